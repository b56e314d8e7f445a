"""Does a sweep survive what happens to it? One line a fault, and a verdict; exit code 1 if any table came out wrong.

    python studies/faults.py [--faults 60] [--sweep tests/sweeps/tiny.py] [--seed 0] [--jobs 2]

Each fault hits a sweep in a fresh folder: the main process or a worker is killed at a random moment, the disk is full for some
writes, files outgrow a limit, stored files are cut, emptied, overwritten or have one bit flipped, a run diverges, other
sweeps work in the same folder. Then the same command is run again and must finish; its table must equal the undisturbed one:
no row lost, none doubled, the same values (times excluded; to 1e-5 where the minimum is attained, since another grouping of
runs moves the last bits). Reports are not drawn here, so that time goes into faults.
"""

from __future__ import annotations

import argparse
import errno
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from tqdm import tqdm

from interface import table

ROOT = Path(__file__).parents[1]
WALL = ("train_s", "measure_s")
UNATTAINED = ("vacuous_lower", "not_converged")
KEY = ["run", "step", "target", "adaptation", "n_labels", "depth", "readout", "replicate", "quantity"]
# Sweeps fork from one process that has imported what they import: nine tenths of a small sweep's time, when nothing can go wrong.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["interface.workers", "torch._dynamo"])

DIVERGING = """
import importlib.util
from dataclasses import replace
spec = importlib.util.spec_from_file_location("base", {base!r})
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

def cells(scale=1.0):
    sweep = base.cells(scale)
    run = sweep.pretrainings[{index}]
    diverging = replace(run, optimizer=replace(run.optimizer, lr=1e30))
    return replace(sweep, pretrainings=(*sweep.pretrainings[:{index}], diverging, *sweep.pretrainings[{index} + 1 :]))
"""


@dataclass(frozen=True)
class Trial:
    """A sweep to be disturbed: its file, the folder of the trial, the undisturbed folder, and how long that took by processes."""

    sweep: Path
    folder: Path
    undisturbed: Path
    seconds: dict[int, float]
    rng: random.Random
    most_jobs: int = 2

    def some_jobs(self) -> int:
        return self.rng.randint(1, self.most_jobs)

    def start(
        self, *, jobs: int = 1, full: tuple[int, int] = (0, 0), largest_file: int | None = None, log: Path = Path(os.devnull)
    ) -> BaseProcess:
        words = [str(self.sweep), "--out", str(self.folder), "--jobs", str(jobs)]
        process = FORKS.Process(target=swept, args=(words, full, largest_file, log))
        process.start()
        return process

    def moment(self, jobs: int) -> float:
        """Anywhere in a sweep with so many processes; two take longer to start."""
        return self.rng.uniform(0.2, 1.0) * self.seconds[jobs]


def swept(words: list[str], full: tuple[int, int], largest_file: int | None, log: Path) -> None:
    """In a process of its own: `studies/run_sweep.py` that draws nothing, on a disk that is full for some writes, or limited."""
    output, fsync, count = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), os.fsync, 0
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())

    def filling(descriptor: int) -> None:
        nonlocal count
        count += 1
        if full[0] <= count <= full[1]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    os.fsync = filling
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    sys.modules["interface.report.study"] = SimpleNamespace(report=lambda *_, **__: "not drawn")
    tqdm.set_lock(threading.RLock())  # one between processes would be leaked by each that is killed
    from interface.cli import run_sweep

    sys.argv[1:] = words
    sys.exit(run_sweep(ROOT / "studies" / "sweeps"))


def main_process_killed(trial: Trial) -> str:
    jobs = trial.some_jobs()
    return killed_after(trial.start(jobs=jobs), trial.moment(jobs))


def worker_killed(trial: Trial) -> str:
    process = trial.start(jobs=2)
    while process.is_alive() and not workers_of(process.pid):
        time.sleep(0.02)
    moment = trial.moment(2)
    time.sleep(moment)
    victims = workers_of(process.pid)
    for victim in trial.rng.sample(victims, min(1, len(victims))):
        os.kill(victim, signal.SIGKILL)
    process.join()
    return f"{'one' if victims else 'none left'} after {moment:.1f} s; exit code {process.exitcode}"


def disk_full(trial: Trial) -> str:
    first = trial.rng.randint(1, 20)
    last = first + trial.rng.choice((0, 1, 7, 1000))
    process = trial.start(full=(first, last))
    process.join()
    return f"from write {first} to {last}; exit code {process.exitcode}"


def files_limited(trial: Trial) -> str:
    sizes = sorted(path.stat().st_size for path in (trial.undisturbed / "runs").iterdir())
    largest = sizes[trial.rng.randrange(len(sizes))]
    process = trial.start(largest_file=largest)
    process.join()
    return f"to {largest} bytes; exit code {process.exitcode}"


def files_damaged(trial: Trial) -> str:
    shutil.copytree(trial.undisturbed, trial.folder, dirs_exist_ok=True)
    files = [*(trial.folder / "runs").glob("*.parquet"), trial.folder / "table.parquet"]
    harmed = trial.rng.sample(files, min(len(files), trial.rng.randint(1, 6)))
    for path in harmed:
        content = path.read_bytes()
        place = trial.rng.randrange(len(content))
        flipped = content[:place] + bytes([content[place] ^ 1 << trial.rng.randrange(8)]) + content[place + 1 :]
        path.write_bytes(trial.rng.choice((content[:place], b"", trial.rng.randbytes(len(content)), flipped)))
    return f"{len(harmed)} of {len(files)}"


def run_diverges(trial: Trial) -> str:
    return main_process_killed(trial)


def other_sweeps_at_work(trial: Trial) -> str:
    jobs = trial.some_jobs(), trial.some_jobs()
    processes = [trial.start(jobs=n) for n in jobs]
    words = [f"two; the first {killed_after(processes[0], trial.moment(jobs[0]))}" if trial.rng.random() < 0.5 else "two"]
    for process in processes:
        process.join()
        words.append(f"exit code {process.exitcode}")
    return ", ".join(words)


FAULTS: tuple[Callable[[Trial], str], ...] = (
    main_process_killed, files_damaged, disk_full, other_sweeps_at_work, worker_killed, run_diverges, files_limited,
)  # fmt: skip


def killed_after(process: BaseProcess, seconds: float) -> str:
    process.join(seconds)
    if not process.is_alive():
        return f"finished before {seconds:.1f} s"
    process.kill()
    process.join()
    return f"killed after {seconds:.1f} s"


def workers_of(pid: int) -> list[int]:
    """Children that do the work, not the interpreter's own bookkeeper."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except FileNotFoundError:  # it ended meanwhile
        return []


def content(folder: Path) -> pd.DataFrame:
    """The table without times, one row a measurement, in a fixed order."""
    frame = table.read(folder)
    frame = frame[~frame["quantity"].isin(WALL)].drop(columns="spec")
    frame = frame.astype(dict.fromkeys(frame.select_dtypes("category").columns, "str"))
    return frame.sort_values(KEY, ignore_index=True)


def compared(found: pd.DataFrame, expected: pd.DataFrame, *, diverging: str | None) -> dict[str, int]:
    """How many rows are doubled, lost, foreign or different; a diverging run has all its rows, and says so in each."""
    doubled = int(found.duplicated(KEY).sum())
    if diverging is not None:
        strangers = ~found["run"].isin(expected["run"])
        gone = found[strangers & (found["step"] > found["step"].min()) & ~found["quantity"].isin(["flops", "l_adapt_bayes"])]
        silent = int((gone["status"].ne("diverged") | gone["value"].notna()).sum()) + (gone.empty)
        lost = int((expected["run"] == diverging).sum() - strangers.sum())
        found, expected = found[~strangers], expected[expected["run"] != diverging]
    else:
        silent = lost = 0
    both = expected.merge(found, on=KEY, how="outer", suffixes=("", "_found"), indicator=True)
    lost += int((both["_merge"] == "left_only").sum())
    foreign = int((both["_merge"] == "right_only").sum())
    both = both[both["_merge"] == "both"]
    loose = both["status"].isin(UNATTAINED) | both["status_found"].isin(UNATTAINED)
    cells = set(both.loc[loose, ["run", "step", "target"]].itertuples(index=False))
    exempt = np.array([cell in cells for cell in both[["run", "step", "target"]].itertuples(index=False)], dtype=bool)
    same = np.isclose(both["value_found"], both["value"], rtol=1e-5, atol=2e-6, equal_nan=True)
    same &= (both["status"] == both["status_found"]).to_numpy()
    return {"lost": lost, "doubled": doubled, "foreign": foreign, "different": silent + int((~same & ~exempt).sum())}


def survived(
    fault: Callable[[Trial], str], sweep: Path, undisturbed: Path, seconds: dict[int, float], rng: random.Random, jobs: int
) -> tuple[str, str]:
    """What was done, and what is wrong with the table after the same command was run again ("" if nothing)."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        diverging = None
        if fault is run_diverges:
            names = content(undisturbed)["run"].unique()
            base, sweep = sweep, Path(place) / "diverging.py"
            index = rng.randrange(len(names))
            diverging = planned(base)[index]
            sweep.write_text(DIVERGING.format(base=str(base), index=index))
        trial = Trial(sweep, Path(place) / "out", undisturbed, seconds, rng, jobs)
        done = fault(trial)
        log = Path(place) / "log"
        again = trial.start(jobs=trial.some_jobs(), log=log)
        again.join()
        if again.exitcode:
            return done, f"exit code {again.exitcode}: {log.read_text().strip().splitlines()[-1:]}"
        wrong = {word: n for word, n in compared(content(trial.folder), content(undisturbed), diverging=diverging).items() if n}
        leftovers = list((trial.folder / "runs").glob(".*.tmp"))
        return done, ", ".join([*(f"{n} rows {word}" for word, n in wrong.items()), *(f"left {path.name}" for path in leftovers)])


def planned(path: Path) -> list[str]:
    """Names of a sweep's runs, in its order."""
    from interface.sweep import load

    return [run.run for run in load(path, 1.0).pretrainings]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--sweep", type=Path, default=ROOT / "tests" / "sweeps" / "tiny.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes that a sweep may use")
    options = parser.parse_args()
    sweep = options.sweep.resolve()
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the server of forks imports numpy
    first = FORKS.Process(target=int)  # ends when the server has imported everything
    first.start()
    first.join()
    with tempfile.TemporaryDirectory() as place:
        seconds = {}
        timed = max(options.jobs, 2 if options.faults > FAULTS.index(worker_killed) else 1)
        for jobs in range(1, timed + 1):
            folder, log, began = Path(place) / f"{jobs}", Path(place) / "log", time.perf_counter()
            process = Trial(sweep, folder, folder, {}, random.Random()).start(jobs=jobs, log=log)
            process.join()
            seconds[jobs] = time.perf_counter() - began
            if process.exitcode:
                print(f"the undisturbed sweep failed:\n{log.read_text()}")
                return 1
            print(f"undisturbed: {len(table.read(folder))} rows in {seconds[jobs]:.1f} s with {jobs} process(es)")
        undisturbed = Path(place) / "1"
        bad = 0
        for number in range(options.faults):
            fault = FAULTS[number % len(FAULTS)]
            done, wrong = survived(fault, sweep, undisturbed, seconds, random.Random(f"{options.seed} {number}"), options.jobs)
            bad += bool(wrong)
            print(
                f"{number + 1:3d} {fault.__name__.replace('_', ' '):22s} {'WRONG: ' + wrong if wrong else 'equal':8s} ({done})",
                flush=True,
            )
    print(f"faults {options.faults}, tables that came out wrong {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
