"""Sweeps in processes of their own that may be killed, forked from one process that has imported what a sweep imports."""

import multiprocessing
import os
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["interface.workers", "torch._dynamo"])
SWEEPS = Path(__file__).parents[1] / "studies" / "sweeps"


def started(*words: object, kill: tuple[str, int] | None = None) -> BaseProcess:
    """`studies/run_sweep.py` with these arguments and no report.

    Args:
        kill: it kills itself "before", "inside" (the file is in place, nothing more is done) or "after" this write.
    """
    process = FORKS.Process(target=_sweep, args=([str(word) for word in words], kill))
    process.start()
    return process


def _sweep(words: list[str], kill: tuple[str, int] | None) -> None:
    sys.modules["interface.report.study"] = SimpleNamespace(report=lambda *_, **__: "not drawn")
    if kill is not None:
        _kill_itself(*kill)
    from interface.cli import run_sweep

    sys.argv = ["run_sweep.py", *words]
    sys.exit(run_sweep(SWEEPS))


def _kill_itself(when: str, write: int) -> None:
    count, replace, fsync = 0, os.replace, os.fsync

    def dying(source: str, destination: str) -> None:
        nonlocal count
        count += 1
        if count == write and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, destination)
        if count == write and when == "inside":
            os.kill(os.getpid(), signal.SIGKILL)

    def after(descriptor: int) -> None:
        if count >= write and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    os.replace, os.fsync = dying, after
