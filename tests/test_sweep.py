"""The main job: announced rows, resuming after kills, grouping, and refusals."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from interface import table
from interface.cli import run_sweep
from interface.jobs import Work, missing, run_file, run_job
from interface.sweep import Sweep, SweepError, load
from interface.workers import execute
from tests.forks import started

ROOT = Path(__file__).parents[1]
TINY = Path(__file__).parent / "sweeps" / "tiny.py"
WALL = ["train_s", "measure_s"]
UNATTAINED = ["vacuous_lower", "not_converged"]
CELL = ["run", "step", "target"]
KEY = ["run", "step", "target", "replicate", "quantity", "shift", "strength", "lr", "n_unlabelled", "unit"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}


def silent(_seconds):
    return None


def content(folder):
    """The table without its timings, in a fixed order."""
    frame = table.read(folder)
    frame = frame[~frame["quantity"].isin(WALL)]
    words = frame.select_dtypes("category").columns
    frame = frame.astype(dict.fromkeys(words, "str"))  # the order of categories is that in which they were met
    return frame.sort_values(["run", "step", "target", "quantity", "replicate"]).reset_index(drop=True)


def complete(folder, path=TINY, jobs=1):
    sweep = load(path, 1.0)
    computed, failures = execute(Work(path, 1.0, Path(folder)), sweep, jobs=jobs, progress=silent)
    assert not failures
    return computed


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    assert complete(folder) == len(load(TINY, 1.0).pretrainings)
    table.compact(folder)
    return folder


def test_the_finished_table_has_the_rows_that_were_announced(finished):
    sweep = load(TINY, 1.0)
    frame = table.read(finished)
    assert len(frame) == sweep.n_rows and frame["run"].nunique() == len(sweep.pretrainings)


def test_two_processes_give_the_same_table(finished, tmp_path):
    complete(tmp_path, jobs=2)
    same_table(content(tmp_path), content(finished))


def same_table(found, expected):
    """Equal keys everywhere; equal values wherever the minimiser is attained (elsewhere the status says that it is not)."""
    loose = [set(frame.loc[frame["status"].isin(UNATTAINED), CELL].itertuples(index=False)) for frame in (found, expected)]
    pd.testing.assert_frame_equal(found[KEY], expected[KEY])
    exempt = pd.Series([cell in loose[0] | loose[1] for cell in found[CELL].itertuples(index=False)], dtype=bool)
    assert exempt.mean() < 0.02
    found, expected = found[~exempt], expected[~exempt]
    pd.testing.assert_frame_equal(
        found.drop(columns="value"), expected.drop(columns="value"), check_categorical=False, rtol=1e-4
    )  # errors of means follow them
    pd.testing.assert_series_equal(found["value"], expected["value"], rtol=1e-5, atol=2e-6)


def test_another_grouping_gives_the_same_table(finished, tmp_path):
    sweep = load(TINY, 1.0)
    for run in random.Random(0).sample(sweep.pretrainings, 6):
        part = Sweep("part", (run,), sweep.transfers)
        assert run_job(part.jobs[0], Work(TINY, 1.0, tmp_path), silent) == (1, [])
    some = content(tmp_path)
    whole = content(finished)
    same_table(some, whole[whole["run"].isin(some["run"].unique())].reset_index(drop=True))


def test_resuming_computes_only_what_is_missing(finished, tmp_path):
    sweep = load(TINY, 1.0)
    shutil.copytree(finished / "runs", tmp_path / "runs")
    assert complete(tmp_path) == 0
    first = content(tmp_path)
    run_file(tmp_path, sweep.pretrainings[3]).unlink()
    run_file(tmp_path, sweep.pretrainings[5]).write_bytes(b"PAR1 not a table")
    (tmp_path / "runs" / ".leftover.tmp").write_bytes(b"half")
    assert complete(tmp_path) == 2
    same_table(content(tmp_path), first)


def test_a_changed_plan_is_computed_again_and_other_code_is_refused(finished, tmp_path):
    sweep = load(TINY, 1.0)
    narrower = Sweep("tiny", sweep.pretrainings, lambda run: sweep.transfers(run)[:1])
    assert len(missing(narrower, sweep.pretrainings, Work(TINY, 1.0, finished))) == len(sweep.pretrainings)
    run = sweep.pretrainings[0]
    stored = table.metadata(run_file(finished, run))
    rows = table.read(run_file(finished, run))
    table.write(rows, run_file(tmp_path, run), metadata={"plan": stored["plan"], "code": "c_other"})
    with pytest.raises(SweepError, match="--keep-older"):
        missing(sweep, sweep.pretrainings, Work(TINY, 1.0, tmp_path))
    assert run not in missing(sweep, sweep.pretrainings, Work(TINY, 1.0, tmp_path, keep_older=True))


def command(folder, *more):
    return [sys.executable, str(ROOT / "studies" / "run_sweep.py"), str(TINY), "--out", str(folder), *more]


@pytest.mark.parametrize("when", ["before", "inside", "after"])
def test_killed_by_itself_at_a_write(finished, tmp_path, when):
    """`studies/faults.py` kills at other moments, and does worse."""
    died = started(TINY, "--out", tmp_path, "--jobs", 1, kill=(when, 4))
    died.join()
    assert died.exitcode == -signal.SIGKILL
    assert 1 <= len(list((tmp_path / "runs").glob("*.parquet"))) <= 4  # arrays are replaced too
    table.sweep_temporaries(tmp_path)
    complete(tmp_path)
    found = content(tmp_path)
    assert not found.duplicated(["run", "step", "target", "replicate", "quantity"]).any()
    same_table(found, content(finished))
    assert not list((tmp_path / "runs").glob(".*.tmp"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["defualt"], ["sweep is 'defualt'", "did you mean default"]),
        (["smallest", "--scale", "-1"], ["--scale", "allowed"]),
        (["smallest", "--jobs", "-3"], ["--jobs", "allowed"]),
        (["smallest", "--device", "gpu"], ["--device", "gpu"]),
        (["smallest", "--max-minutes", "0"], ["--max-minutes", "allowed"]),
        (["smallest", "--dry-rum"], ["--dry-run"]),
        (["/nowhere/sweep.py"], ["allowed"]),
    ],
)
def test_a_bad_value_gets_one_clear_line_and_exit_code_2(arguments, words):
    done = subprocess.run(
        [sys.executable, str(ROOT / "studies" / "run_sweep.py"), *arguments], env=ENV, capture_output=True, text=True
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_the_sweeps_are_listed_and_a_dry_run_announces(tmp_path, monkeypatch, capsys):
    program = [sys.executable, str(ROOT / "studies" / "run_sweep.py")]
    listed = subprocess.run([*program, "--list"], env=ENV, capture_output=True, text=True, check=True).stdout
    assert all(path.stem in listed for path in (ROOT / "studies" / "sweeps").glob("*.py"))
    monkeypatch.setattr(sys, "argv", [program[1], str(TINY), "--dry-run", "--out", str(tmp_path)])
    assert run_sweep(ROOT / "studies" / "sweeps") == 0
    said, sweep = capsys.readouterr().out, load(TINY, 1.0)
    assert f"{len(sweep.pretrainings)} runs" in said and f"{sweep.n_rows} rows" in said
    assert not list(tmp_path.iterdir())


def test_an_interrupt_says_how_to_resume(tmp_path):
    process = subprocess.Popen(
        command(tmp_path, "--jobs", "2"), env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell has its background jobs ignore
    )  # fmt: skip
    while not (tmp_path / "runs").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "resumes" in error and "Traceback" not in error


def test_a_file_that_is_no_sweep_is_named(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("x = 1\n")
    with pytest.raises(SweepError, match=r"no function cells"):
        load(path, 1.0)
    path.write_text("def cells(scale=1.0):\n    return 3\n")
    with pytest.raises(SweepError, match="gave a int"):
        load(path, 1.0)
