"""Running the jobs of a sweep in one or several one-thread processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from interface.jobs import Failure, Work, run_job
from interface.lock import claim
from interface.sweep import Job, Sweep, SweepError, load

log = logging.getLogger("interface")


@dataclass(frozen=True)
class Task:
    """Some runs of one job. `patient` waits where another process is at this job."""

    job: int
    runs: tuple[int, ...]
    patient: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Args:
        computed: number of runs that were computed.
        failures: runs without a result.
        busy: nothing was tried, because another process is at this job.
        broken: why the task as a whole gave nothing, or None.
    """

    computed: int = 0
    failures: tuple[Failure, ...] = ()
    busy: bool = False
    broken: str | None = None


@dataclass
class Agenda:
    """What is left to do, and what came of the rest. Changes as outcomes come in.

    Args:
        sweep: what is run.
        deadline: time (monotonic clock) after which no task is handed out.
    """

    sweep: Sweep
    deadline: float
    left: deque[Task] = field(default_factory=deque)
    computed: int = 0
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left.extend(Task(index, tuple(range(len(job.runs)))) for index, job in enumerate(self.sweep.jobs))

    def take(self) -> Task | None:
        return self.left.popleft() if self.left and time.monotonic() < self.deadline else None

    def settle(self, task: Task, outcome: Outcome) -> None:
        """A task that broke is tried again in halves, down to the run that breaks it: the other runs go on."""
        self.computed += outcome.computed
        self.failures.extend(outcome.failures)
        if outcome.busy:
            self.left.append(replace(task, patient=True))
        elif outcome.broken is not None:
            if len(task.runs) == 1:
                self.failures.append(Failure.of(self.sweep.jobs[task.job].runs[task.runs[0]], outcome.broken))
            else:
                half = len(task.runs) // 2
                self.left.extend(replace(task, runs=runs) for runs in (task.runs[:half], task.runs[half:]))


def execute(
    work: Work, sweep: Sweep, *, jobs: int, progress: Callable[[float], None], seconds: float = float("inf")
) -> tuple[int, list[Failure]]:
    """Complete the folder, as far as time allows. What is missing afterwards, `sweep.missing` says.

    Args:
        work: what to run and where to.
        sweep: `load(work.path, work.scale)`.
        jobs: number of processes; 1 runs in this one.
        progress: called with estimated seconds of work done.
        seconds: no job is begun later than this.

    Returns:
        Number of runs that were computed, and those that were tried and have no result; every other run is complete.

    Raises:
        SweepError: if the folder holds runs of other code, or workers cannot start.
    """
    (work.folder / "runs").mkdir(parents=True, exist_ok=True)
    agenda = Agenda(sweep, time.monotonic() + seconds)
    n = min(jobs, len(sweep.jobs))
    if n == 1:
        _one_thread()
        while (task := agenda.take()) is not None:
            agenda.settle(task, _attempt(work, sweep, task, progress))
    else:
        _in_processes(work, agenda, n, progress)
    return agenda.computed, agenda.failures


def _attempt(work: Work, sweep: Sweep, task: Task, progress: Callable[[float], None]) -> Outcome:
    job = sweep.jobs[task.job]
    with claim(work.folder, job.name, wait=task.patient) as mine:
        if not mine:
            return Outcome(busy=True)
        try:
            computed, failures = run_job(Job(tuple(job.runs[i] for i in task.runs), sweep), work, progress)
        except SweepError:
            raise
        except Exception as error:  # one job's failure must not take the others along; it is reported at the end
            log.error("%s on %s: %s", job.runs[0].pretext.name, job.runs[0].source.instance, error, exc_info=len(task.runs) == 1)
            return Outcome(broken=f"{type(error).__name__}: {error}")
        return Outcome(computed, tuple(failures))


def _one_thread() -> None:
    """One thread a process: two processes of one thread beat one of two, and results do not depend on the machine's load."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def _in_processes(work: Work, agenda: Agenda, n: int, progress: Callable[[float], None]) -> None:
    """Each worker has a pipe of its own: one that is killed, at whatever moment, cannot harm another's messages."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when the child imports numpy
        os.environ[name] = "1"
    workers: dict[Connection, tuple[BaseProcess, Task | None]] = {}  # a worker without a task is still starting
    try:
        for _ in range(n):
            _hire(work, workers)
        while workers:
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                process, task = workers[pipe]
                try:
                    message = pipe.recv()
                except (EOFError, OSError):
                    _bury(workers, pipe, agenda)
                    if agenda.left:
                        _hire(work, workers)
                    continue
                if isinstance(message, float):
                    progress(message)
                    continue
                if isinstance(message, SweepError):
                    raise message
                if isinstance(message, Outcome):
                    assert task is not None
                    agenda.settle(task, message)
                following = agenda.take()
                pipe.send(following)
                if following is None:
                    process.join()
                    pipe.close()
                    del workers[pipe]
                else:
                    workers[pipe] = process, following
    finally:
        for process, _ in workers.values():
            process.terminate()
        for process, _ in workers.values():
            process.join()


def _hire(work: Work, workers: dict[Connection, tuple[BaseProcess, Task | None]]) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_worker, args=(work, there), daemon=True)
    process.start()
    there.close()  # the worker's end is the worker's alone, so that its death is seen
    workers[here] = process, None


def _bury(workers: dict[Connection, tuple[BaseProcess, Task | None]], pipe: Connection, agenda: Agenda) -> None:
    process, task = workers.pop(pipe)
    process.join()
    pipe.close()
    if task is None:
        raise SweepError(f"a worker process ended before it began (exit code {process.exitcode}); try --jobs 1, which says why")
    reason = f"its worker process died (exit code {process.exitcode}; out of memory?)"
    log.error("%d run(s) of job %d: %s", len(task.runs), task.job, reason)
    agenda.settle(task, Outcome(broken=reason))


def _worker(work: Work, pipe: Connection) -> None:
    """Do tasks until there is none; the parent decides about Ctrl-C, and a worker without a parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _one_thread()
    parent = multiprocessing.parent_process()
    sweep = load(work.path, work.scale)

    def progress(seconds: float) -> None:
        if parent is not None and not parent.is_alive():
            sys.exit("the sweep's main process is gone")
        pipe.send(float(seconds))

    pipe.send("ready")
    while (task := pipe.recv()) is not None:
        try:
            pipe.send(_attempt(work, sweep, task, progress))
        except SweepError as error:
            pipe.send(error)
