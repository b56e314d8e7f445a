import json
import math

import pytest
import torch

from interface import encoders, populations, pretexts, training
from interface.checkpoints import CheckpointError, from_specification, is_kept, keep, kept_runs, kinds_of, read_kept
from interface.core import fingerprint, specification
from interface.encoders import MLP, LinearEncoder
from interface.measurement import Transfer, measure
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding, InfoNCE
from interface.theory.labels import LinearLabel
from interface.training import Adam, Pretraining, pretrain

KINDS = kinds_of(populations, pretexts, encoders, training)
RUN = Pretraining(Glyphs(1), Autoencoding(hidden=8), MLP(16, 4), 40, Adam(3e-3), (0, 5), views=2)


@pytest.fixture(scope="module")
def trained():
    return list(pretrain([RUN]))


@pytest.fixture
def folder(tmp_path, trained):
    keep(trained, tmp_path, code="c1", seed=3)
    return tmp_path


# specifications -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        RUN,
        Pretraining(GaussianFactor(2).shift("concept", 0.5), InfoNCE(), LinearEncoder(4), 100, views=2),
        Pretraining(Glyphs(0).shift("rotation", 1.0), Autoencoding(), MLP(8, 2), 10, Adam(1e-2, batch=16), (0, 3, 9), 7),
    ],
)
def test_a_specification_becomes_the_record_again(record):
    again = from_specification(json.loads(json.dumps(specification(record))), KINDS)
    assert again == record and fingerprint(again) == fingerprint(record)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"kind": "Popen", "args": ["true"]}, "known: .*Glyphs"),
        ({"kind": "Checkpoint", "run": "a"}, "is of kind 'Checkpoint'"),
        ({"kind": "Glyphs", "indexx": 1}, "Glyphs has no field indexx"),
        ({"kind": "Glyphs", "index": 99}, "no Glyphs can be made of it"),
        ({"kind": "Glyphs", "index": {"kind": "Evil"}}, r"specification\.index is of kind 'Evil'"),
        ({"index": 1}, "a record with a kind"),
        ({"kind": ["Glyphs"]}, "a record with a kind"),
    ],
)
def test_only_known_kinds_and_fields_are_built(content, word):
    with pytest.raises(ValueError, match=word):
        from_specification(content, KINDS)


def test_labels_given_by_directions_survive():
    label = LinearLabel(tuple([1.0] + [0.0] * 15), tuple([0.0, 1.0] + [0.0] * 14), tuple([0.0, 0.0, 1.0] + [0.0] * 13))
    world = GaussianFactor(label=label)
    kinds = KINDS | {"LinearLabel": LinearLabel}
    assert from_specification(json.loads(json.dumps(specification(world))), kinds) == world


# files ----------------------------------------------------------------------------------------------------------------------


def test_what_was_kept_is_measured_as_before(folder, trained):
    assert kept_runs(folder) == [RUN.run] and is_kept(folder, RUN.run, code="c1") and not is_kept(folder, RUN.run, code="c2")
    kept = read_kept(folder, RUN.run, KINDS)
    assert (kept.code, kept.seed) == ("c1", 3) and [c.step for c in kept.checkpoints] == [0, 5]
    for before, after in zip(trained, kept.checkpoints, strict=True):
        states = before.load().state_dict(), after.load().state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        assert after.spec == before.spec
    asked = [Transfer(RUN.source)]
    rows = [[r for r in measure(cs, asked, n_pre=200) if r.unit != "s"] for cs in (trained, kept.checkpoints)]
    assert rows[0] == rows[1] and len(rows[0]) > 10 and all(math.isfinite(row.value) for row in rows[0])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda place: flip(place / "5.safetensors"), "5.safetensors is damaged"),
        (lambda place: (place / "5.safetensors").write_bytes(b""), "5.safetensors is damaged"),
        (lambda place: (place / "5.safetensors").unlink(), "5.safetensors cannot be read"),
        (lambda place: place.with_suffix(".json").write_bytes(b'{"schema": "1", "co'), "is not the description"),
        (lambda place: place.with_suffix(".json").write_bytes(b"\xff\xfe"), "is not the description"),
        (lambda place: place.with_suffix(".json").write_text("[]"), "is not the description"),
        (lambda place: edit(place, schema="9"), "schema 9"),
        (lambda place: edit(place, files={"../../etc/passwd": "0"}), "is not the description"),
        (lambda place: edit(place, files={"0": "0"}), "lists steps"),
        (lambda place: edit(place, specification={"kind": "system"}), "is of kind 'system'"),
        (lambda place: edit(place, specification=specification(Glyphs(1))), "describes the run"),
    ],
)
def test_damaged_files_are_named(folder, harm, word):
    harm(folder / "checkpoints" / RUN.run)
    with pytest.raises(CheckpointError, match=word):
        read_kept(folder, RUN.run, KINDS)


def edit(place, **changes):
    path = place.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_nothing_is_read_from_outside_the_folder(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "5.safetensors"
    inner = folder / "checkpoints" / RUN.run / "5.safetensors"
    inner.rename(outside)
    inner.symlink_to(outside)
    with pytest.raises(CheckpointError, match="leads out of"):
        read_kept(folder, RUN.run, KINDS)
    with pytest.raises(CheckpointError, match="leads out of"):
        read_kept(folder, "../../elsewhere", KINDS)


def test_half_of_a_keeping_does_not_count(trained, tmp_path, monkeypatch):
    import os

    real = os.replace

    def full(source, destination):
        if str(destination).endswith("5.safetensors"):
            raise OSError("disk full")
        real(source, destination)

    keep(trained, tmp_path, code="c1", seed=0)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        keep(trained, tmp_path, code="c1", seed=0)
    assert kept_runs(tmp_path) == [] and not list(tmp_path.rglob("*.tmp"))
