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
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from interface import table

ROOT = Path(__file__).parents[1]
WALL = ("train_s", "measure_s")
UNATTAINED = ("vacuous_lower", "not_converged")
KEY = ["run", "step", "target", "adaptation", "n_labels", "depth", "readout", "replicate", "quantity"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}

COMMAND = """
import errno, os, sys, types
from pathlib import Path
first, last = int(sys.argv.pop(1)), int(sys.argv.pop(1))  # of the writes that find the disk full
count, fsync = 0, os.fsync
def full(descriptor):
    global count
    count += 1
    if first <= count <= last:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fsync(descriptor)
os.fsync = full
sys.modules["interface.report.study"] = types.SimpleNamespace(report=lambda *_, **__: "not drawn")
from interface.cli import run_sweep
sys.exit(run_sweep(Path("studies/sweeps")))
"""

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
    """A sweep to be disturbed: its file, the folder of the trial, the undisturbed folder, and how long that took."""

    sweep: Path
    folder: Path
    undisturbed: Path
    seconds: float
    rng: random.Random
    most_jobs: int = 2

    def some_jobs(self) -> int:
        return self.rng.randint(1, self.most_jobs)

    def start(self, *, jobs: int = 1, full: tuple[int, int] = (0, 0), largest_file: int | None = None) -> subprocess.Popen:
        def limit() -> None:
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))

        words = [str(word) for word in (*full, self.sweep, "--out", self.folder, "--jobs", jobs)]
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words], env=ENV, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, preexec_fn=limit,
        )  # fmt: skip

    def moment(self) -> float:
        return self.rng.uniform(0.2, 1.0) * self.seconds


def main_process_killed(trial: Trial) -> str:
    process = trial.start(jobs=trial.some_jobs())
    return killed_after(process, trial.moment())


def worker_killed(trial: Trial) -> str:
    process = trial.start(jobs=2)
    while process.poll() is None and not workers_of(process.pid):
        time.sleep(0.02)
    moment = trial.moment()
    time.sleep(moment)
    victims = workers_of(process.pid)
    for victim in trial.rng.sample(victims, min(1, len(victims))):
        os.kill(victim, signal.SIGKILL)
    process.communicate()
    return f"{'one' if victims else 'none left'} after {moment:.1f} s; exit code {process.returncode}"


def disk_full(trial: Trial) -> str:
    first = trial.rng.randint(1, 20)
    last = first + trial.rng.choice((0, 1, 7, 1000))
    process = trial.start(full=(first, last))
    process.communicate()
    return f"from write {first} to {last}; exit code {process.returncode}"


def files_limited(trial: Trial) -> str:
    sizes = sorted(path.stat().st_size for path in (trial.undisturbed / "runs").iterdir())
    largest = sizes[trial.rng.randrange(len(sizes))]
    process = trial.start(largest_file=largest)
    process.communicate()
    return f"to {largest} bytes; exit code {process.returncode}"


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
    return killed_after(trial.start(jobs=trial.some_jobs()), trial.moment())


def other_sweeps_at_work(trial: Trial) -> str:
    processes = [trial.start(jobs=trial.some_jobs()) for _ in range(2)]
    words = [f"two; the first {killed_after(processes[0], trial.moment())}" if trial.rng.random() < 0.5 else "two"]
    for process in processes:
        process.communicate()
        words.append(f"exit code {process.returncode}")
    return ", ".join(words)


FAULTS: tuple[Callable[[Trial], str], ...] = (
    main_process_killed, files_damaged, disk_full, other_sweeps_at_work, worker_killed, run_diverges, files_limited,
)  # fmt: skip


def killed_after(process: subprocess.Popen, seconds: float) -> str:
    try:
        process.communicate(timeout=seconds)
        return f"finished before {seconds:.1f} s"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
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
    fault: Callable[[Trial], str], sweep: Path, undisturbed: Path, seconds: float, rng: random.Random, jobs: int
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
        again = trial.start(jobs=trial.some_jobs())
        said, _ = again.communicate()
        if again.returncode:
            return done, f"exit code {again.returncode}: {said.strip().splitlines()[-1:]}"
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
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        process = Trial(sweep, Path(place), Path(place), 0.0, random.Random()).start()
        said, _ = process.communicate()
        seconds = time.perf_counter() - began
        if process.returncode:
            print(f"the undisturbed sweep failed:\n{said}")
            return 1
        print(f"undisturbed: {len(table.read(place))} rows in {seconds:.1f} s")
        bad = 0
        for number in range(options.faults):
            fault = FAULTS[number % len(FAULTS)]
            done, wrong = survived(fault, sweep, Path(place), seconds, random.Random(f"{options.seed} {number}"), options.jobs)
            bad += bool(wrong)
            print(
                f"{number + 1:3d} {fault.__name__.replace('_', ' '):22s} {'WRONG: ' + wrong if wrong else 'equal':8s} ({done})",
                flush=True,
            )
    print(f"faults {options.faults}, tables that came out wrong {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
