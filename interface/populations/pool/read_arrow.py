"""read_arrow: a data set saved to disk by Hugging Face `datasets` as a Pool, without that package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from interface.populations.pool._base import Pool
from interface.populations.pool._files import LARGEST, inside, pixels, regular, unreadable
from interface.populations.pool.image_kernel import ImageKernel

BYTES = 256


def read_arrow(
    folder: str | Path,
    *,
    x: str,
    y: str | None = "label",
    side: int = 16,
    length: int = 64,
    kernel: ImageKernel | None = None,
    name: str | None = None,
) -> Pool:
    """One split of a data set as `Dataset.save_to_disk` leaves it: `data-*.arrow` files beside `dataset_info.json`.

    Columns become inputs by their type: numbers and lists of equal length as they are, images as luminance (side, side)
    like `read_images`, and texts as their first `length` bytes in UTF-8, shorter ones filled up with 0.

    Args:
        folder: of one split, such as "imdb/train".
        x, y: names of the columns; y None where there are no labels.
        side: pixels in each direction, for images.
        length: bytes of an input, for texts.
        kernel: makes draws of square images unlimited.
        name: how tables name the data; by default the folder's name.

    Raises:
        ValueError: if the folder is not one split, a file leads out of it or cannot be read, a column is missing or ragged.
    """
    if min(side, length) < 1:
        raise ValueError(f"read_arrow: side, length are {side!r}, {length!r}; allowed: integers >= 1")
    table = _table(Path(folder))
    for key in (x, y):
        if key is not None and key not in table.column_names:
            raise ValueError(f"read_arrow: {folder} has no column {key!r}; it has {', '.join(table.column_names)}")
    inputs, vocabulary = _inputs(table[x], x, side, length)
    labels = None if y is None else _numbers(table[y], y)
    return Pool(inputs, labels, name=name or Path(folder).resolve().name, kernel=kernel, vocabulary=vocabulary)


def _table(root: Path) -> pa.Table:
    if (root / "dataset_dict.json").is_file():
        splits = ", ".join(sorted(path.name for path in root.iterdir() if path.is_dir()))
        raise ValueError(f"read_arrow: {root} holds several splits; give the folder of one: {splits}")
    if not (root / "dataset_info.json").is_file():
        raise ValueError(f"read_arrow: {root} has no dataset_info.json; allowed: a folder made by Dataset.save_to_disk")
    parts, total = [], 0
    for path in _data_files(root):
        total += path.stat().st_size
        if total > LARGEST:
            raise ValueError(f"read_arrow: {root} holds over {LARGEST} bytes of data; save a part of it")
        try:
            with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as stream:
                parts.append(stream.read_all())
        except (OSError, pa.ArrowException) as error:
            raise unreadable("read_arrow", path, error) from error
    try:
        return pa.concat_tables(parts)
    except pa.ArrowException as error:
        raise unreadable("read_arrow", root, f"its files do not fit together: {error}") from error


def _data_files(root: Path) -> list[Path]:
    """In the order that state.json gives, or by name where there is none."""
    names = sorted(path.name for path in root.glob("data-*.arrow"))
    state_file = root / "state.json"
    if state_file.is_file():
        try:
            state = json.loads(inside(state_file, root, "read_arrow").read_text(encoding="utf-8"))
            names = [str(entry["filename"]) for entry in state["_data_files"]]
            selected = state.get("_indices_files") or state.get("_indices_data_files")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise unreadable("read_arrow", state_file, f"{type(error).__name__}: {error}") from error
        if selected:
            raise ValueError(f"read_arrow: {root} is a selection by indices; call flatten_indices() before save_to_disk")
    if not names:
        raise ValueError(f"read_arrow: {root} has no data-*.arrow file")
    return [regular(inside(root / name, root, "read_arrow"), "read_arrow") for name in names]


def _inputs(column: pa.ChunkedArray, key: str, side: int, length: int) -> tuple[np.ndarray, int | None]:
    """The column as an array (n, ...), and its vocabulary where it is text."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [_present(text, key, row).encode() for row, text in enumerate(column.to_pylist())]
        filled = b"".join(text[:length].ljust(length, b"\0") for text in texts)
        return np.frombuffer(filled, np.uint8).reshape(-1, length).astype(np.int64), BYTES
    if pa.types.is_struct(kind) and "bytes" in {field.name for field in kind}:
        contents = [_present(image, key, row)["bytes"] for row, image in enumerate(column.to_pylist())]
        images = [
            pixels(_present(content, f"{key}.bytes", row), side, "read_arrow", f"row {row} of {key!r}")
            for row, content in enumerate(contents)
        ]
        return np.stack(images), None
    return _numbers(column, key), None


def _numbers(column: pa.ChunkedArray, key: str) -> np.ndarray:
    """A column of numbers or of (lists of) lists of numbers as an array."""
    inner, depth = column.type, 0
    while pa.types.is_nested(inner) and hasattr(inner, "value_type"):
        inner, depth = inner.value_type, depth + 1
    if not (pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_boolean(inner)):
        raise ValueError(f"read_arrow: column {key!r} is {column.type}; allowed: numbers, lists of numbers, texts, images")
    rows = [_present(value, key, row) for row, value in enumerate(column.to_pylist())]
    try:
        return np.array(rows, dtype=inner.to_pandas_dtype())
    except (ValueError, TypeError) as error:  # lists of unequal length, or a gap inside of one
        raise ValueError(f"read_arrow: column {key!r} does not make an array: {error}") from error


def _present(value: Any, key: str, row: int) -> Any:
    if value is None:
        raise ValueError(f"read_arrow: column {key!r} has no value in row {row}; drop such rows first")
    return value
