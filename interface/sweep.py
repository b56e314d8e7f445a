"""Sweeps: what is run, in which jobs, and how a folder of finished runs is completed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from interface import table
from interface.checkpoints import Checkpoint, is_kept, keep
from interface.core import Row
from interface.measurement import Transfer, measure, n_rows
from interface.provenance import code_digest
from interface.training import Pretraining, group_key, pretrain

log = logging.getLogger("interface")

# Seconds on one thread of a 2-core server; they size jobs, the progress display and `--dry-run`, nothing that is recorded.
SECONDS_A_FLOP = 1 / 60e9
SECONDS_A_STEP = 1.0e-3
SECONDS_A_BRACKET = 12e-3
SECONDS_AN_EXACT_ROW = 12e-6
BYTES_A_ROW = 35
LARGEST_JOB = 25.0  # seconds: a kill loses at most the jobs in flight


class SweepError(ValueError):
    """Something the user can mend; the message says how."""


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


@dataclass(frozen=True)
class Sweep:
    """A study: which encoders are pretrained and what is asked of each.

    Args:
        name: names the output folder.
        pretrainings: the runs.
        transfers: run -> its evaluation cells. Called often: keep it cheap, and equal for equal source and pretext.
        seed: of the evaluation draws.
    """

    name: str
    pretrainings: tuple[Pretraining, ...]
    transfers: Callable[[Pretraining], Sequence[Transfer]]
    seed: int = 0

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The runs in groups that are trained together, the longest first. Fixed by the sweep, not by what is missing."""
        groups: dict[object, dict[str, list[Pretraining]]] = {}
        for run in self.pretrainings:
            groups.setdefault(group_key(run), {}).setdefault(run.source.instance, []).append(run)
        jobs = []
        for by_instance in groups.values():
            part: list[Pretraining] = []
            for runs in by_instance.values():
                if part and Job(tuple(part + runs), self).seconds > LARGEST_JOB:
                    jobs.append(Job(tuple(part), self))
                    part = []
                part = part + runs
            jobs.append(Job(tuple(part), self))
        return tuple(sorted(jobs, key=lambda job: -job.seconds))

    @cached_property
    def n_rows(self) -> int:
        """Rows of the finished table."""
        return sum(n_rows(run, self.transfers(run)) for run in self.pretrainings)

    @cached_property
    def seconds(self) -> float:
        """Estimated time on one core."""
        return sum(job.seconds for job in self.jobs)


@dataclass(frozen=True)
class Job:
    """Runs that are trained together, one worker's piece of work."""

    runs: tuple[Pretraining, ...]
    sweep: Sweep

    @property
    def name(self) -> str:
        """The same in every process that has this job."""
        return " ".join(run.run for run in self.runs)

    @cached_property
    def training_seconds(self) -> float:
        last = self.runs[0].steps[-1]
        return last * SECONDS_A_STEP + sum(run.flops(last) for run in self.runs) * SECONDS_A_FLOP

    @cached_property
    def measuring_seconds(self) -> float:
        total = 0.0
        for run in self.runs:
            transfers = self.sweep.transfers(run)
            exact = transfers and all(t.target.moments() is not None for t in transfers)
            total += len(run.steps) * len(transfers) * (SECONDS_AN_EXACT_ROW if exact else SECONDS_A_BRACKET)
        return total

    @property
    def seconds(self) -> float:
        return self.training_seconds + self.measuring_seconds


def load(path: Path, scale: float) -> Sweep:
    """The sweep that the file's `cells(scale)` describes.

    Raises:
        SweepError: if the file has no `cells`, or it does not give a Sweep.
    """
    spec = importlib.util.spec_from_file_location(f"sweep_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SweepError(f"{path} cannot be loaded as Python; allowed: a .py file with a function cells(scale=1.0) -> Sweep")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "cells"):
        raise SweepError(f"{path} has no function cells(scale=1.0) -> Sweep")
    sweep = module.cells(scale=scale)
    if not isinstance(sweep, Sweep):
        raise SweepError(f"cells() of {path} gave a {type(sweep).__name__}; allowed: an interface.sweep.Sweep")
    return sweep


def plan_digest(run: Pretraining, transfers: Sequence[Transfer], seed: int) -> str:
    """What a run's file must hold, as a digest: a file of another plan is not this run's result."""
    content = json.dumps([run.run, [_key(transfer) for transfer in transfers], n_rows(run, transfers), seed])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@lru_cache(maxsize=16_384)
def _key(transfer: Transfer) -> tuple[object, ...]:
    """Fingerprints take a while, and runs share their transfers."""
    return transfer.key()


def missing(sweep: Sweep, runs: Sequence[Pretraining], work: Work) -> list[Pretraining]:
    """Those of the runs that the folder does not hold, or holds unreadably or by another plan, or without wanted checkpoints.

    Raises:
        SweepError: if a stored run was made by other measuring code and `keep_older` is not set.
    """
    absent, older = [], []
    for run in runs:
        file = run_file(work.folder, run)
        stored = table.metadata(file) if table.readable(file) else {}
        if stored.get("plan") != plan_digest(run, sweep.transfers(run), sweep.seed):
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


def _measured(
    runs: Sequence[Pretraining], trained: dict[str, list[Checkpoint]], sweep: Sweep, device: str
) -> Iterator[tuple[Pretraining, list[Row] | Exception]]:
    """The rows of runs with equal cells, measured together; one by one where that fails, so that a bad run fails alone."""
    transfers = sweep.transfers(runs[0])
    rows: dict[str, list[Row]] = {run.run: [] for run in runs}
    try:
        for row in measure([c for run in runs for c in trained[run.run]], transfers, device=device, seed=sweep.seed):
            rows[row.run].append(row)
    except Exception as error:  # whatever it is, it is this run's result, and the other runs go on
        if len(runs) == 1:
            yield runs[0], error
            return
        for run in runs:
            yield from _measured([run], trained, sweep, device)
        return
    for run in runs:
        yield run, rows[run.run]


def _stored(
    run: Pretraining, rows: list[Row], checkpoints: list[Checkpoint], sweep: Sweep, work: Work
) -> OSError | AssertionError | None:
    """Writes a run's file, whole or not at all; what went wrong, e.g. a full disk."""
    transfers = sweep.transfers(run)
    expected = n_rows(run, transfers)
    if len(rows) != expected:
        return AssertionError(f"run {run.run} gave {len(rows)} rows where {expected} were announced")
    try:
        if work.keep_checkpoints:
            keep(checkpoints, work.folder, code=code_digest(), seed=sweep.seed)
        for addition in (work.folder / "runs").glob(f"{run.run}+*.parquet"):
            log.warning("%s is removed: its run was computed again", addition)
            addition.unlink()
        metadata = {"code": code_digest(), "plan": plan_digest(run, transfers, sweep.seed)}
        table.write(rows, run_file(work.folder, run), metadata=metadata)
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
