"""Running the jobs of a sweep in one or several one-thread processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from interface.sweep import Sweep, SweepError, load, run_job

log = logging.getLogger("interface")


@dataclass(frozen=True)
class Work:
    """What every worker needs to rebuild the sweep: nothing is pickled but plain values."""

    path: Path
    scale: float
    folder: Path
    device: str
    keep_older: bool


def execute(work: Work, sweep: Sweep, *, jobs: int, progress: Callable[[float], None]) -> int:
    """Complete the folder; the number of runs that were computed.

    Args:
        work: what to run and where to.
        sweep: `load(work.path, work.scale)`.
        jobs: number of processes; 1 runs in this one.
        progress: called with estimated seconds of work done.

    Raises:
        SweepError: if a job failed or a worker died; every other job has been completed then.
    """
    if jobs == 1 or len(sweep.jobs) == 1:
        _one_thread()
        computed, failures = 0, []
        for index in range(len(sweep.jobs)):
            try:
                computed += _run(work, sweep, index, progress)
            except SweepError:
                raise
            except Exception as error:  # one job's failure must not take the others along; it is reported at the end
                failures.append(_describe(sweep, index, error))
        _raise_if(failures)
        return computed
    return _in_processes(work, sweep, min(jobs, len(sweep.jobs)), progress)


def _run(work: Work, sweep: Sweep, index: int, progress: Callable[[float], None]) -> int:
    return run_job(sweep.jobs[index], work.folder, device=work.device, keep_older=work.keep_older, progress=progress)


def _describe(sweep: Sweep, index: int, error: BaseException) -> str:
    job = sweep.jobs[index]
    log.error("job %d failed:\n%s", index, "".join(traceback.format_exception(error)))
    return f"{job.runs[0].pretext.name} on {job.runs[0].source.instance} and {len(job.runs) - 1} more runs: {error}"


def _raise_if(failures: list[str]) -> None:
    if failures:
        listed = "\n  ".join(failures)
        raise SweepError(f"{len(failures)} job(s) failed; finished runs are kept, run again to retry:\n  {listed}")


def _one_thread() -> None:
    """One thread a process: two processes of one thread beat one of two, and results do not depend on the machine's load."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def _in_processes(work: Work, sweep: Sweep, n: int, progress: Callable[[float], None]) -> int:
    context = multiprocessing.get_context("spawn")
    tasks, events = context.Queue(), context.Queue()
    for index in range(len(sweep.jobs)):
        tasks.put(index)
    for _ in range(n):
        tasks.put(None)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when the child imports numpy
        os.environ[name] = "1"
    processes = [context.Process(target=_worker, args=(work, tasks, events), daemon=True) for _ in range(n)]
    for process in processes:
        process.start()
    computed, failures, open_jobs = 0, [], len(sweep.jobs)
    try:
        while open_jobs:
            try:
                kind, value = events.get(timeout=0.5)
            except queue.Empty:
                dead = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
                if dead:
                    raise SweepError(
                        f"a worker process died (exit code {dead[0]}; out of memory?); finished runs are kept, "
                        "run again to resume, with fewer --jobs if memory was short"
                    ) from None
                continue
            if kind == "progress":
                progress(value)
            elif kind == "refused":
                raise SweepError(value)
            else:
                open_jobs -= 1
                computed += value if kind == "done" else 0
                if kind == "failed":
                    failures.append(value)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    _raise_if(failures)
    return computed


def _worker(work: Work, tasks: multiprocessing.Queue, events: multiprocessing.Queue) -> None:
    """Take jobs until there is none; the parent decides about Ctrl-C, and a worker without a parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _one_thread()
    parent = multiprocessing.parent_process()
    sweep = load(work.path, work.scale)

    def progress(seconds: float) -> None:
        if parent is not None and not parent.is_alive():
            sys.exit("the sweep's main process is gone")
        events.put(("progress", seconds))

    while (index := tasks.get()) is not None:
        try:
            events.put(("done", _run(work, sweep, index, progress)))
        except SweepError as error:
            events.put(("refused", str(error)))
        except Exception as error:  # reported to the parent, which goes on with the other jobs
            events.put(("failed", _describe(sweep, index, error)))
