"""Readers of files: what they give for small files made here, and one clear error for each way in which files are bad."""

import gzip
import json
import os
import struct
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from interface.populations import ImageKernel, read_arrow, read_idx, read_images, read_npz, read_texts

RNG = np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------ folders of images
def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


@pytest.fixture
def images(tmp_path):
    arrays = {}
    for label, name in enumerate(("ants", "bees")):
        for i in range(2):
            arrays[label, i] = RNG.integers(0, 256, (8, 12))
            save(tmp_path / "set" / name / f"{i}.{'png' if label else 'pgm'}", arrays[label, i])
    return tmp_path / "set", arrays


def test_images_are_averaged_middle_squares_with_their_folder_as_class(images):
    folder, arrays = images
    pool = read_images(folder, side=4)
    assert (pool.name, pool.shape, pool.y.tolist()) == ("set", (4, 4), [0, 0, 1, 1])
    for row, array in enumerate(arrays.values()):
        middle = array[:, 2:10].reshape(4, 2, 4, 2).mean((1, 3)) / 255
        np.testing.assert_allclose(pool.x[row], middle, atol=1 / 255)
    assert not read_images(folder, side=4, kernel=ImageKernel(), name="insects").finite


def test_colour_becomes_luminance_and_a_folder_without_classes_has_no_labels(tmp_path):
    save(tmp_path / "a.png", np.stack([np.full((4, 4), v) for v in (255, 0, 0)], -1))
    save(tmp_path / "b.png", np.zeros((4, 4)))
    pool = read_images(tmp_path, side=8)
    assert not pool.labelled
    assert pool.x[0].flatten().tolist() == pytest.approx([76 / 255] * 64)  # .299 of red, ITU-R 601


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "ants" / "0.pgm").write_bytes(b"not an image"), r"ants.0\.pgm cannot be read"),
        (lambda f: (f / "bees" / "0.png").write_bytes((f / "bees" / "0.png").read_bytes()[:60]), r"0\.png cannot be read"),
        (lambda f: (f / "bees" / "2.png").write_bytes(b""), r"2\.png cannot be read"),
        (lambda f: (f / "wasps").mkdir(), "wasps holds no file"),
        (lambda f: save(f / "loose.png", np.zeros((4, 4))), "beside folders"),
        (lambda f: (f / "bees" / "gone.png").symlink_to(f / "bees" / "missing.png"), r"gone\.png cannot be read: there is no such"),
        (lambda f: os.mkfifo(f / "bees" / "pipe.png"), r"pipe\.png cannot be read"),
        (lambda f: outside(f, f / "bees" / "stolen.png"), "leads out of"),
        (lambda f: (f / "theirs").symlink_to(f.parent), "leads out of"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need POSIX")
def test_bad_image_folders_are_refused(images, spoil, message):
    folder, _ = images
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        read_images(folder)


def outside(folder, link):
    save(folder.parent / "secret.png", np.zeros((4, 4)))
    link.symlink_to(folder.parent / "secret.png")


def test_missing_folders_sides_and_huge_images_are_refused(images, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="a folder that exists"):
        read_images(tmp_path / "none")
    with pytest.raises(ValueError, match="side is 0"):
        read_images(images[0], side=0)
    monkeypatch.setattr("interface.populations.pool._files.MOST_PIXELS", 50)
    with pytest.raises(ValueError, match="12 x 8 pixels"):
        read_images(images[0])


# ------------------------------------------------------------------------------------------------------------- npz
def test_npz_gives_its_arrays(tmp_path):
    x, y = RNG.normal(size=(6, 3)), np.arange(6) % 2
    np.savez(tmp_path / "ward.npz", x=x, y=y, z=y)
    pool = read_npz(tmp_path / "ward.npz")
    assert pool.name == "ward"
    assert np.array_equal(pool.x, x) and np.array_equal(pool.y, y)
    assert not read_npz(tmp_path / "ward.npz", y=None).labelled
    with pytest.raises(ValueError, match="no array 'label'; it holds x, y, z"):
        read_npz(tmp_path / "ward.npz", y="label")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_npz_never_unpickles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "bomb.npz", x=np.array([Bomb()], dtype=object), y=np.arange(1))
    with pytest.raises(ValueError, match="cannot be read"):
        read_npz(tmp_path / "bomb.npz")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY"])
def test_bad_npz_files_are_refused(tmp_path, content, monkeypatch):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.npz cannot be read"):
        read_npz(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match="no such file"):
        read_npz(tmp_path / "none.npz")
    np.savez_compressed(tmp_path / "large.npz", x=np.zeros((100, 2)), y=np.arange(100))
    monkeypatch.setattr(sys.modules["interface.populations.pool.read_npz"], "LARGEST", 1_000)
    with pytest.raises(ValueError, match="bytes once unpacked"):
        read_npz(tmp_path / "large.npz")


def test_damaged_npz_members_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=RNG.normal(size=(50, 4)), y=np.arange(50) % 2)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
        read_npz(tmp_path / "a.npz")


# ------------------------------------------------------------------------------------------------------------- IDX
def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_gives_ink_and_labels(tmp_path, packed):
    x, y = RNG.integers(0, 256, (5, 6, 6)), np.array([0, 1, 2, 1, 0])
    ending, write = (".gz", gzip.compress) if packed else ("", bytes)
    paths = [tmp_path / f"train-{what}-idx-ubyte{ending}" for what in ("images", "labels")]
    for path, array in zip(paths, (x, y), strict=True):
        path.write_bytes(write(idx(array)))
    pool = read_idx(*paths)
    np.testing.assert_allclose(pool.x, x / 255, atol=1e-6)
    assert (pool.y.tolist(), pool.name) == (y.tolist(), "train-images-idx-ubyte")
    halved = read_idx(*paths, side=3, kernel=ImageKernel())
    np.testing.assert_allclose(halved.x, (x / 255).reshape(5, 3, 2, 3, 2).mean((2, 4)), atol=1e-6)
    assert not read_idx(paths[0]).labelled


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with"),
        (b"\x00\x00\x0d\x03" + bytes(12), "starts with 00 00 0d 03"),
        (idx(np.zeros((2, 3)))[:12], "starts with 00 00 08 02"),
        (idx(np.zeros((2, 3, 3)))[:-1], "holds 17 values and states 18"),
        (idx(np.zeros((2, 3, 3))) + b"\x00", r"holds 19\+ values and states 18"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 2**31), "states the shape"),
        (idx(np.zeros((0, 3, 3))), "states the shape"),
        (idx(np.zeros((2, 3, 4))), "3 x 4 pixels"),
    ],
)
def test_bad_idx_files_are_refused(tmp_path, content, message):
    for name, written in (("images", content), ("images.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(ValueError, match=message):
            read_idx(tmp_path / name)


def test_cut_and_foreign_gzip_files_are_refused(tmp_path):
    whole = gzip.compress(idx(RNG.integers(0, 256, (20, 6, 6))))
    for content in (whole[: len(whole) // 2], b"not gzip at all", whole[:30] + bytes(20) + whole[50:]):
        (tmp_path / "images.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"images\.gz cannot be read"):
            read_idx(tmp_path / "images.gz")
    (tmp_path / "images").write_bytes(idx(np.zeros((2, 3, 3))))
    with pytest.raises(ValueError, match="side is 4"):
        read_idx(tmp_path / "images", side=4)


# ----------------------------------------------------------------------------------------------------------- texts
def test_texts_are_windows_of_bytes(tmp_path):
    for name, texts in {"de": ["äb" * 4, "x"], "en": ["abcdefgh" * 2 + "ij"]}.items():
        (tmp_path / name).mkdir()
        for i, text in enumerate(texts):
            (tmp_path / name / f"{i}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "en" / "notes.md").write_text("left out")
    pool = read_texts(tmp_path, length=4)
    written = "äb".encode() * 4
    expected = [written[0:4], written[4:8], written[8:12], b"abcd", b"efgh", b"abcd", b"efgh"]
    assert [bytes(row.tolist()) for row in pool.x] == expected
    assert (pool.y.tolist(), pool.vocabulary, pool.x.dtype) == ([0] * 3 + [1] * 4, 256, torch.int64)
    assert not read_texts(tmp_path / "en", length=4).labelled


def test_bad_text_folders_are_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(ValueError, match=r"holds no file that ends in \.txt"):
        read_texts(tmp_path / "set")
    (tmp_path / "set" / "a.txt").write_text("short")
    with pytest.raises(ValueError, match="holds 64 bytes"):
        read_texts(tmp_path / "set")
    with pytest.raises(ValueError, match="length is 0"):
        read_texts(tmp_path / "set", length=0)
    (tmp_path / "secret.txt").write_text("secret " * 100)
    (tmp_path / "set" / "b.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ValueError, match="leads out of"):
        read_texts(tmp_path / "set", length=2)


# ----------------------------------------------------------------------------------------------------------- Arrow
def saved(folder, *tables, state=True):
    """As `Dataset.save_to_disk` writes it: streams, the features, and the order of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{i:05d}-of-{len(tables):05d}.arrow" for i in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    (folder / "dataset_info.json").write_text("{}")
    if state:
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return folder


def test_arrow_numbers_and_lists_become_arrays(tmp_path):
    x, label = RNG.normal(size=(6, 2, 3)).astype(np.float32), np.arange(6) % 3
    table = pa.table({"x": pa.array(x.tolist(), pa.list_(pa.list_(pa.float32()))), "label": label})
    pool = read_arrow(saved(tmp_path / "set" / "train", table[:4], table[4:]), x="x")
    assert (pool.name, pool.shape, pool.y.tolist()) == ("train", (2, 3), label.tolist())
    np.testing.assert_array_equal(pool.x, x)
    fixed = pa.table({"x": pa.array(x.reshape(6, 6).tolist(), pa.list_(pa.float32(), 6))})
    unlabelled = read_arrow(saved(tmp_path / "b", fixed, state=False), x="x", y=None)
    assert unlabelled.shape == (6,) and not unlabelled.labelled


def test_arrow_texts_and_images_become_tokens_and_pixels(tmp_path):
    save(tmp_path / "a.png", np.full((4, 4), 51))
    content = (tmp_path / "a.png").read_bytes()
    table = pa.table({"text": ["abcdef", "xy"], "image": [{"bytes": content, "path": "a.png"}] * 2, "label": [0, 1]})
    folder = saved(tmp_path / "set", table)
    texts, images = read_arrow(folder, x="text", length=4), read_arrow(folder, x="image", side=2, kernel=ImageKernel())
    assert [bytes(row.tolist()) for row in texts.x] == [b"abcd", b"xy\0\0"]
    assert texts.vocabulary == 256
    assert images.x.flatten().tolist() == pytest.approx([0.2] * 8)


def test_bad_arrow_folders_are_refused(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "label": [0, 1], "gap": [1.0, None], "ragged": [[1], [1, 2]], "when": [[None], [1]]})
    folder = saved(tmp_path / "set", table)
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(ValueError, match="several splits; give the folder of one: set"):
        read_arrow(tmp_path, x="x")
    with pytest.raises(ValueError, match="no column 'y'; it has x, label"):
        read_arrow(folder, x="y")
    for column, message in (("gap", "no value in row 1"), ("ragged", "does not make an array"), ("when", "does not make an array")):
        with pytest.raises(ValueError, match=message):
            read_arrow(folder, x=column)
    structs = saved(tmp_path / "structs", pa.table({"x": [{"a": 1}], "label": [0]}))
    with pytest.raises(ValueError, match="allowed: numbers, lists of numbers"):
        read_arrow(structs, x="x")
    broken = saved(tmp_path / "broken", pa.table({"x": [{"bytes": b"no image", "path": ""}], "label": [0]}))
    with pytest.raises(ValueError, match="row 0 of 'x' cannot be read"):
        read_arrow(broken, x="x")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "dataset_info.json").unlink(), "no dataset_info.json"),
        (lambda f: next(f.glob("*.arrow")).unlink(), "no such file"),
        (lambda f: next(f.glob("*.arrow")).write_bytes(b"garbage" * 9), "cannot be read"),
        (lambda f: cut(next(f.glob("*.arrow"))), "cannot be read"),
        (lambda f: (f / "state.json").write_text("{"), "state.json cannot be read"),
        (lambda f: (f / "state.json").write_text("[]"), "state.json cannot be read"),
        (lambda f: (f / "state.json").write_text('{"_data_files": []}'), r"no data-\*\.arrow"),
        (lambda f: (f / "state.json").write_text('{"_data_files": [{"filename": "../x.arrow"}]}'), "leads out of"),
        (lambda f: (f / "state.json").write_text('{"_data_files": [], "_indices_files": [{"filename": "i"}]}'), "flatten_indices"),
    ],
)
def test_spoilt_arrow_folders_are_refused(tmp_path, spoil, message):
    folder = saved(tmp_path / "set", pa.table({"x": np.arange(200.0), "label": np.arange(200) % 2}))
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        read_arrow(folder, x="x")


def cut(path):
    path.write_bytes(path.read_bytes()[:700])
