"""What goes wrong in a sweep stays where it went wrong: full disks, killed workers, diverged runs, two sweeps at once."""

import errno
import math
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from interface import table, workers
from interface.analysis import summarize
from interface.cli import sweep as cli_sweep
from interface.hypotheses import judge
from interface.jobs import Work, missing, run_file, run_job
from interface.measurement import n_rows
from interface.sweep import Sweep, load
from interface.workers import Agenda, Outcome, execute
from tests.forks import started

ROOT = Path(__file__).parents[1]
TINIEST = Path(__file__).parent / "sweeps" / "tiniest.py"
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
WALL = ["train_s", "measure_s"]


def silent(_seconds):
    return None


def content(folder):
    frame = table.read(folder)
    frame = frame[~frame["quantity"].isin(WALL)].drop(columns=["spec"])
    return frame.astype(dict.fromkeys(frame.select_dtypes("category").columns, "str")).sort_values(
        ["run", "step", "target", "quantity"], ignore_index=True
    )


@pytest.fixture(scope="module")
def sweep():
    return load(TINIEST, 1.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, sweep):
    folder = tmp_path_factory.mktemp("finished")
    assert execute(Work(TINIEST, 1.0, folder), sweep, jobs=1, progress=silent) == (len(sweep.pretrainings), [])
    return folder


@pytest.fixture
def reported(monkeypatch):
    """Titles of the reports that were asked for; none is drawn."""
    titles = []
    stub = SimpleNamespace(report=lambda frame, folder, *, name: titles.append((name, len(frame))) or "drawn")
    monkeypatch.setitem(sys.modules, "interface.report.study", stub)
    return titles


def command(folder, **more):
    return cli_sweep.run(cli_sweep.SweepOptions(sweep=str(TINIEST), out=folder, jobs=1, **more), ROOT / "studies" / "sweeps")


# a bad run fails alone ------------------------------------------------------------------------------------------------------


def test_a_full_disk_costs_one_run_and_leaves_nothing_half_written(finished, tmp_path, sweep, monkeypatch):
    unlucky, real = sweep.pretrainings[1], os.replace

    def full(source, destination):
        if unlucky.run in str(destination):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(destination))
        real(source, destination)

    monkeypatch.setattr(os, "replace", full)
    work = Work(TINIEST, 1.0, tmp_path)
    computed, failures = execute(work, sweep, jobs=1, progress=silent)
    assert computed == len(sweep.pretrainings) - 1
    assert [f.run for f in failures] == [unlucky.run] and "No space left" in failures[0].reason
    assert {path.stem for path in (tmp_path / "runs").iterdir()} == {run.run for run in sweep.pretrainings} - {unlucky.run}
    monkeypatch.undo()
    assert execute(work, sweep, jobs=1, progress=silent) == (1, [])
    pd.testing.assert_frame_equal(content(tmp_path), content(finished), check_exact=False, rtol=1e-4, atol=1e-5)


BROKEN = """

from dataclasses import dataclass

from interface.adaptations import LinearProbe


@dataclass(frozen=True)
class Broken(LinearProbe):
    def brackets(self, *arguments, **options):
        raise OSError("the labels are on a disk that is gone")


def transfers(run):
    return (Transfer(run.source, Broken() if run.n_unlabelled == 60 else LinearProbe()),)
"""


def test_a_run_that_cannot_be_measured_fails_alone(tmp_path):
    path = tmp_path / "failing.py"
    path.write_text(TINIEST.read_text() + BROKEN)
    broken = load(path, 1.0)
    _, failures = execute(Work(path, 1.0, tmp_path), broken, jobs=1, progress=silent)
    assert [(f.instance, f.reason) for f in failures] == [("Glyphs-0", "OSError: the labels are on a disk that is gone")]
    assert len(list((tmp_path / "runs").iterdir())) == len(broken.pretrainings) - 1


KILLER = """

import os, signal
from interface import pretexts


class Killing(Autoencoding):
    def noise(self, n, *arguments):
        if n > 2:  # operations are counted on two examples before anything is trained
            os.kill(os.getpid(), signal.SIGKILL)


def cells(scale=1.0):
    runs = [
        Pretraining(GaussianFactor(index=i), Autoencoding(), LinearEncoder(4), 32 + i, Adam(1e-2), (0, 10)) for i in range(3)
    ]
    bad = Pretraining(GaussianFactor(index=9), Killing(), LinearEncoder(4), 32, Adam(1e-2), (0, 10))
    return Sweep("killer", (*runs, bad), transfers)
"""


def test_a_killed_worker_is_replaced_and_the_job_goes_on_without_the_run_that_kills(tmp_path):
    path = tmp_path / "killer.py"
    path.write_text(TINIEST.read_text() + KILLER)
    computed, failures = execute(Work(path, 1.0, tmp_path), load(path, 1.0), jobs=2, progress=silent)
    assert computed == 3
    assert [f.instance for f in failures] == ["GaussianFactor-9"] and "exit code -9" in failures[0].reason


def test_a_task_that_breaks_is_halved_down_to_the_run_that_breaks_it(sweep):
    agenda, tried = Agenda(sweep, math.inf), []
    while (task := agenda.take()) is not None:
        tried.append(task)
        bad = task.job == 0 and 2 in task.runs
        agenda.settle(task, Outcome(broken="it broke") if bad else Outcome(computed=len(task.runs)))
    lost = sweep.jobs[0].runs[2]
    assert agenda.computed == len(sweep.pretrainings) - 1
    assert [(f.run, f.reason) for f in agenda.failures] == [(lost.run, "it broke")]


# diverged runs --------------------------------------------------------------------------------------------------------------

DIVERGING = """

def cells(scale=1.0):
    designs = (GaussianFactor(), LinearEncoder(4)), (Glyphs(), MLP(16, 4))
    return Sweep("diverging", tuple(
        Pretraining(source, Autoencoding(), encoder, 64, Adam(lr), (0, 1, 10), views=2)
        for source, encoder in designs for lr in (1e-3, 1e30)
    ), transfers)
"""


def test_a_diverged_run_has_all_its_rows_and_harms_nobody(tmp_path):
    path = tmp_path / "diverging.py"
    path.write_text(TINIEST.read_text() + DIVERGING)
    both = load(path, 1.0)
    work = Work(path, 1.0, tmp_path / "both")
    assert execute(work, both, jobs=1, progress=silent) == (4, [])
    frame = table.read(work.folder)
    assert len(frame) == both.n_rows
    gone = frame[(frame["lr"] == 1e30) & (frame["step"] > 0)]
    known = gone["quantity"].isin(["flops", *WALL, "l_adapt_bayes"])
    assert (gone.loc[~known, "status"] == "diverged").all() and gone.loc[~known, "value"].isna().all()
    assert np.isfinite(gone.loc[known, "value"]).all() and (~known).sum() > 20
    rest = frame.drop(gone.index)
    assert np.isfinite(rest["value"]).all() and not (rest["status"] == "diverged").any()
    assert not missing(both, both.pretrainings, work)  # it is not tried for ever

    alone = Sweep("alone", tuple(run for run in both.pretrainings if run.optimizer.lr < 1), both.transfers)
    execute(Work(path, 1.0, tmp_path / "alone"), alone, jobs=1, progress=silent)
    healthy = content(work.folder)
    healthy = healthy[healthy["lr"] < 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(healthy, content(tmp_path / "alone"), check_exact=False, rtol=1e-4, atol=1e-5)


def test_rows_of_diverged_runs_change_no_verdict():
    rows = runpy.run_path(str(Path(__file__).parent / "synthetic.py"))["rows"]()
    runs = list(dict.fromkeys(row.run for row in rows))[::17]
    lost = [
        replace(row, run="x" + row.run, value=math.nan, stderr=None, status="diverged")
        for row in rows
        if row.run in runs and row.unit != "s" and row.quantity not in ("flops", "l_adapt_bayes")
    ]
    healthy, both = table.wide(rows), table.wide([*rows, *lost])
    assert len(both) > len(healthy)
    assert list(map(str, judge(both))) == list(map(str, judge(healthy)))
    pd.testing.assert_frame_equal(summarize(both), summarize(healthy))


# time, files, and other processes -------------------------------------------------------------------------------------------


def test_no_job_is_begun_after_the_time_is_up_and_what_was_begun_is_finished(tmp_path, sweep, monkeypatch):
    clock = iter([100.0, 100.5, 101.5])  # at the start, at the first job, at the second
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    done = execute(Work(TINIEST, 1.0, tmp_path), sweep, jobs=1, progress=silent, seconds=1.0)
    assert done == (len(sweep.jobs[0].runs), []) and len(sweep.jobs) == 2


def test_an_incomplete_sweep_is_reported_as_such(tmp_path, sweep, reported, capsys):
    run_job(sweep.jobs[0], Work(TINIEST, 1.0, tmp_path), silent)
    assert command(tmp_path, max_minutes=1e-9) == 1
    total, there = len(sweep.pretrainings), len(sweep.jobs[0].runs)
    said = capsys.readouterr().out
    assert f"INCOMPLETE: {total - there} of {total} runs are missing (4 Autoencoding on GaussianFactor-0)" in said
    assert "resumes" in said
    rows = sum(n_rows(run, sweep.transfers(run)) for run in sweep.jobs[0].runs)
    assert reported == [(f"tiniest, incomplete: {there} of {total} runs", rows)]
    assert not (tmp_path / "table.parquet").exists()
    assert command(tmp_path) == 0
    assert reported[1:] == [("tiniest", sweep.n_rows)] and (tmp_path / "table.parquet").exists()


def test_unreadable_files_are_named_and_computed_again(finished, tmp_path, sweep, reported, capsys):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    victims = [run_file(tmp_path, run) for run in sweep.pretrainings[:3]]
    whole = victims[0].read_bytes()
    victims[0].write_bytes(whole[: len(whole) // 2])
    victims[1].write_bytes(b"garbage")
    victims[2].write_bytes(whole[:150] + bytes([whole[150] ^ 1]) + whole[151:])
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    assert command(tmp_path) == 0
    said = capsys.readouterr().out
    assert "3 unreadable file(s) count as missing" in said and all(str(victim) in said for victim in victims)
    pd.testing.assert_frame_equal(content(tmp_path), content(finished), check_exact=False, rtol=1e-4, atol=1e-5)


def test_what_failed_is_listed_until_it_succeeds(tmp_path, sweep, reported, monkeypatch, capsys):
    real = table.write

    def full(rows, path, **more):
        if sweep.pretrainings[0].run in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(rows, path, **more)

    monkeypatch.setattr(table, "write", full)
    assert command(tmp_path) == 1
    listed = pd.read_csv(tmp_path / "failures.csv")
    assert listed[["run", "reason"]].values.tolist() == [[sweep.pretrainings[0].run, "No space left on device"]]
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.setattr(table, "write", real)
    assert command(tmp_path) == 0 and not (tmp_path / "failures.csv").exists()


def test_two_sweeps_into_one_folder_share_the_work_and_both_finish(finished, tmp_path):
    both = [started(TINIEST, "--out", tmp_path, "--jobs", 1) for _ in "12"]
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    pd.testing.assert_frame_equal(content(tmp_path), content(finished), check_exact=False, rtol=1e-4, atol=1e-5)


HOLDER = """
import sys, time
from pathlib import Path
from interface.lock import claim
with claim(Path(sys.argv[1]), "a job", wait=False) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


def test_a_claim_holds_until_its_holder_ends_however_it_ends(tmp_path):
    from interface.lock import claim

    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], env=ENV, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert holder.stdout is not None and holder.stdout.readline() == "True\n"
    with claim(tmp_path, "a job", wait=False) as mine:
        assert not mine
    with claim(tmp_path, "another job", wait=False) as mine:
        assert mine
    holder.send_signal(signal.SIGKILL)
    began = time.monotonic()
    with claim(tmp_path, "a job", wait=True) as mine:
        assert mine and time.monotonic() - began < 30
    holder.wait()
