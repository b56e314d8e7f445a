"""A job: what is missing of it is pretrained, measured and stored, one file a run, written when its rows are complete."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from interface import table
from interface.checkpoints import Checkpoint, is_kept, keep
from interface.core import Row, fingerprint
from interface.measurement import Transfer, measure, write_arrays
from interface.provenance import code_digest
from interface.sweep import Job, Sweep, SweepError
from interface.training import Pretraining, pretrain
from interface.training.stopping import stopping_rows

log = logging.getLogger("interface")


@dataclass(frozen=True)
class Failure:
    """A run that has no result, and why."""

    run: str
    instance: str
    pretext: str
    reason: str

    @classmethod
    def of(cls, run: Pretraining, reason: str) -> Failure:
        return cls(run.run, run.source.instance, run.pretext.name, reason)


@dataclass(frozen=True)
class Work:
    """Where results go and how they are made: plain values, so that every worker can rebuild the sweep from them.

    Args:
        path: the sweep's file.
        scale: handed to its `cells`.
        folder: of results.
        device: torch device of training and embedding.
        keep_older: accept stored runs that were measured by other code.
        keep_checkpoints: write the checkpoints, too, into `folder/checkpoints`.
    """

    path: Path
    scale: float
    folder: Path
    device: str = "cpu"
    keep_older: bool = False
    keep_checkpoints: bool = False


def plan_digest(sweep: Sweep, run: Pretraining) -> str:
    """What a run's file must hold, as a digest: a file of another plan is not this run's result."""
    rules = [rule.quantity for rule in sweep.stopping]
    content = json.dumps([run.run, [_key(transfer) for transfer in sweep.transfers(run)], sweep.n_rows_of(run), sweep.seed, rules])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@lru_cache(maxsize=16_384)
def _key(transfer: Transfer) -> tuple[object, ...]:
    """Fingerprints take a while, and runs share their transfers."""
    return (*transfer.key(), None if transfer.adapted_on is None else fingerprint(transfer.adapted_on))


def missing(sweep: Sweep, runs: Sequence[Pretraining], work: Work) -> list[Pretraining]:
    """Those of the runs that the folder does not hold, or holds unreadably or by another plan, or without wanted checkpoints.

    Raises:
        SweepError: if a stored run was made by other measuring code and `keep_older` is not set.
    """
    absent, older = [], []
    for run in runs:
        file = run_file(work.folder, run)
        stored = table.metadata(file) if table.readable(file) else {}
        if stored.get("plan") != plan_digest(sweep, run):
            absent.append(run)
        elif stored.get("code") != code_digest() and not work.keep_older:
            older.append(str(stored.get("code")))
        elif work.keep_checkpoints and not is_kept(work.folder, run.run, code=str(stored.get("code"))):
            absent.append(run)
    if older:
        raise SweepError(
            f"{len(older)} of the runs in {work.folder} were measured by other code ({', '.join(sorted(set(older)))}; this is "
            f"{code_digest()}): start afresh with --out elsewhere, delete them, or keep them with --keep-older"
        )
    return absent


def run_file(folder: Path, run: Pretraining) -> Path:
    return folder / "runs" / f"{run.run}.parquet"


def run_job(job: Job, work: Work, progress: Callable[[float], None]) -> tuple[int, list[Failure]]:
    """Pretrain and measure what is missing of a job; one file a run, written when its rows are complete.

    Args:
        progress: called with the estimated seconds of work done since the last call.

    Returns:
        Number of runs that were computed, and those that could not be measured or written; the others are not affected.
    """
    todo = missing(job.sweep, job.runs, work)
    share = len(todo) / len(job.runs)
    progress(job.seconds * (1 - share))
    if not todo:
        return 0, []
    run_steps = len(todo) * max(todo[0].steps[-1], 1)
    trained: dict[str, list[Checkpoint]] = {run.run: [] for run in todo}
    for checkpoint in pretrain(
        todo, device=work.device, progress=lambda done: progress(share * job.training_seconds * done / run_steps)
    ):
        trained[checkpoint.run].append(checkpoint)
    failures = []
    for same in _alike(todo, job.sweep):
        for run, found in _measured(same, trained, job.sweep, work.device):
            fault = found if isinstance(found, Exception) else _stored(run, found, trained[run.run], job.sweep, work)
            if fault is not None:
                log.error("run %s on %s has no result: %s", run.run, run.source.instance, fault)
                failures.append(Failure.of(run, _in_words(fault)))
        progress(share * job.measuring_seconds * len(same) / len(todo))
    return len(todo) - len(failures), failures


@dataclass(frozen=True)
class Measured:
    """What was found of one run: rows, and the numbers that fit no row."""

    rows: list[Row]
    arrays: dict[str, np.ndarray]


def _measured(
    runs: Sequence[Pretraining], trained: dict[str, list[Checkpoint]], sweep: Sweep, device: str
) -> Iterator[tuple[Pretraining, Measured | Exception]]:
    """What is found of runs with equal cells, measured together; one by one where that fails, so that a bad run fails alone."""
    transfers = sweep.transfers(runs[0])
    found = {run.run: Measured([], {}) for run in runs}
    try:
        checkpoints = [checkpoint for run in runs for checkpoint in trained[run.run]]
        arrays = lambda run, values: found[run].arrays.update(values)  # noqa: E731
        for row in measure(checkpoints, transfers, device=device, seed=sweep.seed, arrays=arrays):
            found[row.run].rows.append(row)
    except Exception as error:  # whatever it is, it is this run's result, and the other runs go on
        if len(runs) == 1:
            yield runs[0], error
            return
        for run in runs:
            yield from _measured([run], trained, sweep, device)
        return
    for run in runs:
        found[run.run].rows.extend(list(stopping_rows(found[run.run].rows, sweep.stopping)))
        yield run, found[run.run]


def _stored(
    run: Pretraining, found: Measured, checkpoints: list[Checkpoint], sweep: Sweep, work: Work
) -> OSError | AssertionError | None:
    """Writes a run's files, the one that makes it count last, whole or not at all; what went wrong, e.g. a full disk."""
    expected = sweep.n_rows_of(run)
    if len(found.rows) != expected:
        return AssertionError(f"run {run.run} gave {len(found.rows)} rows where {expected} were announced")
    try:
        if work.keep_checkpoints:
            keep(checkpoints, work.folder, code=code_digest(), seed=sweep.seed)
        for addition in (work.folder / "runs").glob(f"{run.run}+*.parquet"):
            log.warning("%s is removed: its run was computed again", addition)
            addition.unlink()
        if found.arrays:
            write_arrays(work.folder / "arrays" / f"{run.run}.npz", found.arrays)
        metadata = {"code": code_digest(), "plan": plan_digest(sweep, run)}
        table.write(found.rows, run_file(work.folder, run), metadata=metadata)
    except OSError as fault:
        return fault
    return None


def _in_words(error: BaseException) -> str:
    """One line for a list of failures."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _alike(runs: Sequence[Pretraining], sweep: Sweep) -> Iterator[list[Pretraining]]:
    """Runs of one instance with the same cells: they are measured on common draws, embedded together."""
    groups: dict[object, list[Pretraining]] = {}
    for run in runs:
        cells = tuple(_key(transfer) for transfer in sweep.transfers(run))
        groups.setdefault((run.source.instance, cells), []).append(run)
    yield from groups.values()
