"""Sweeps: what is run, in which jobs, and how long it takes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from interface.adaptations import FromScratch, Tuning
from interface.measurement import Transfer, n_rows
from interface.training import Pretraining, group_key
from interface.training.stopping import Oracle, StoppingRule

# Seconds on one thread of a 2-core server; they size jobs, the progress display and `--dry-run`, nothing that is recorded.
SECONDS_A_FLOP = 1 / 60e9
SECONDS_A_STEP = 1.0e-3
SECONDS_A_BRACKET = 12e-3
SECONDS_A_RISK = 3e-3
SECONDS_AN_UPDATE = 1.1e-4  # of a tuned encoder
SECONDS_AN_EXACT_ROW = 12e-6
BYTES_A_ROW = 35
LARGEST_JOB = 25.0  # seconds: a kill loses at most the jobs in flight


class SweepError(ValueError):
    """Something the user can mend; the message says how."""


@dataclass(frozen=True)
class Sweep:
    """A study: which encoders are pretrained and what is asked of each.

    Args:
        name: names the output folder.
        pretrainings: the runs.
        transfers: run -> its evaluation cells. Called often: keep it cheap, and equal for equal source and pretext.
        seed: of the evaluation draws.
        stopping: rules whose choice among the checkpoints is recorded in every run.
    """

    name: str
    pretrainings: tuple[Pretraining, ...]
    transfers: Callable[[Pretraining], Sequence[Transfer]]
    seed: int = 0
    stopping: tuple[StoppingRule, ...] = ()

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
        return sum(self.n_rows_of(run) for run in self.pretrainings)

    def n_rows_of(self, run: Pretraining) -> int:
        """Rows of one run: what is measured, and a choice a stopping rule, of the oracle a choice a cell."""
        transfers = self.transfers(run)
        return n_rows(run, transfers) + sum(len(transfers) if isinstance(rule, Oracle) else 1 for rule in self.stopping)

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
            for transfer in self.sweep.transfers(run):
                times = 1 if isinstance(transfer.adaptation, FromScratch) else len(run.steps)
                total += times * _seconds_of(run, transfer)
        return total

    @property
    def seconds(self) -> float:
        return self.training_seconds + self.measuring_seconds


def _seconds_of(run: Pretraining, transfer: Transfer) -> float:
    """Time that one checkpoint's cell takes."""
    if isinstance(transfer.adaptation, Tuning):
        return transfer.adaptation.steps * SECONDS_AN_UPDATE
    if transfer.n_labels is not None:
        return SECONDS_A_RISK
    exact = run.encoder.closed_form and transfer.target.moments() is not None
    return SECONDS_AN_EXACT_ROW if exact else SECONDS_A_BRACKET


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
