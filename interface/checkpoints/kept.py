"""Checkpoints of our own runs on disk, to be measured again later without being trained again.

`checkpoints/<run>/<step>.safetensors`, and `checkpoints/<run>.json`, written last: the run's specification, the code that
trained it, and a digest of each file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from interface.checkpoints._base import Checkpoint
from interface.checkpoints._files import CheckpointError, inside, read_state, state_bytes, write_whole
from interface.checkpoints.decoding import from_specification
from interface.core import fingerprint, specification

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Kept:
    """One run's checkpoints on disk.

    Args:
        checkpoints: in order of steps; their files are whole, and are read again when a checkpoint is measured.
        code: digest of the code that trained them.
        seed: of the evaluation draws of their sweep.
    """

    checkpoints: tuple[Checkpoint, ...]
    code: str
    seed: int


def keep(checkpoints: Sequence[Checkpoint], folder: Path, *, code: str, seed: int) -> Path:
    """Writes all checkpoints of one run, trained here; the file that makes them count, written last.

    Raises:
        ValueError: if they are of several runs, or were not trained here.
        OSError: if a file cannot be written; what is there then does not count.
    """
    first = checkpoints[0]
    if first.spec is None or any(c.run != first.run for c in checkpoints):
        raise ValueError("keep: checkpoints are not those of one run that was trained here; give such")
    place = folder / FOLDER / first.run
    index = place.with_suffix(".json")
    index.unlink(missing_ok=True)
    for leftover in place.glob(".*.tmp"):  # of a killed process: only one at a time writes a run's checkpoints
        leftover.unlink()
    digests = {}
    for checkpoint in checkpoints:
        content = state_bytes(checkpoint.load().state_dict())
        digests[str(checkpoint.step)] = hashlib.sha256(content).hexdigest()
        write_whole(place / f"{checkpoint.step}.safetensors", content)
    described = {"schema": "1", "code": code, "seed": seed, "specification": specification(first.spec), "files": digests}
    write_whole(index, json.dumps(described, indent=1).encode())
    return index


def kept_runs(folder: Path) -> list[str]:
    """Names of the runs whose checkpoints a folder holds."""
    return sorted(path.stem for path in (folder / FOLDER).glob("*.json") if not path.name.startswith("."))


def is_kept(folder: Path, run: str, *, code: str) -> bool:
    """Whether all checkpoints of a run, trained by this code, are there by name; whether they are whole, `read_kept` finds."""
    try:
        described = _described(folder, run)
        return described["code"] == code and all((folder / FOLDER / run / f"{s}.safetensors").is_file() for s in described["files"])
    except CheckpointError:
        return False


def read_kept(folder: Path, run: str, kinds: Mapping[str, type]) -> Kept:
    """The checkpoints of one run; every file is checked against its digest first.

    Args:
        folder: the sweep's folder.
        run: one of `kept_runs`.
        kinds: classes that its specification may name.

    Raises:
        CheckpointError: if a file is missing, damaged or not this run's; the message names it.
    """
    described = _described(folder, run)
    try:
        spec = from_specification(described["specification"], kinds)
    except ValueError as fault:
        raise CheckpointError(f"{folder / FOLDER / run}.json: {fault}") from fault
    if fingerprint(spec) != run:
        raise CheckpointError(f"{folder / FOLDER / run}.json describes the run {fingerprint(spec)}, not {run}")
    steps = sorted(int(step) for step in described["files"])
    if tuple(steps) != tuple(spec.steps):
        raise CheckpointError(f"{folder / FOLDER / run}.json lists steps {steps}; the run has {list(spec.steps)}")
    loads = [partial(_load, folder / FOLDER, run, step, described["files"][str(step)], spec) for step in steps]
    for load in loads:
        load()
    embed = partial(_embed, spec.pretext)
    checkpoints = [
        Checkpoint(run=run, step=step, load=load, embed=embed, spec=spec) for step, load in zip(steps, loads, strict=True)
    ]
    return Kept(tuple(checkpoints), described["code"], described["seed"])


def _described(folder: Path, run: str) -> dict[str, Any]:
    path = inside(folder / FOLDER, f"{run}.json")
    try:
        found = json.loads(path.read_bytes())
        if found["schema"] != "1":
            raise CheckpointError(f"{path} has schema {found['schema']}; this version reads 1: install a newer one")
        if not (isinstance(found["code"], str) and isinstance(found["seed"], int) and isinstance(found["specification"], dict)):
            raise TypeError("code, seed or specification has a wrong type")
        if not all(isinstance(digest, str) and step.isdigit() for step, digest in found["files"].items()):
            raise TypeError("files is not {step: digest}")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
        raise CheckpointError(f"{path} is not the description of a run's checkpoints: {fault}") from fault
    return found


def _load(folder: Path, run: str, step: int, digest: str, spec: Any) -> nn.Module:
    path = inside(folder, f"{run}/{step}.safetensors")
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise CheckpointError(f"{path} cannot be read: {fault.strerror}") from fault
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(f"{path} is damaged: its content is not what was written; train the run again")
    module = spec.build()
    try:
        module.load_state_dict(read_state(path, content), assign=True)
    except RuntimeError as fault:
        raise CheckpointError(f"{path} does not fit the run's modules: {fault}") from fault
    return module.eval().requires_grad_(False)


def _embed(pretext: Any, module: Any, x: Tensor) -> Tensor:
    return module.encoder(pretext.inputs(x))
