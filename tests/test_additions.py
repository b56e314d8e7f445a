"""`interface measure`: new cells on kept checkpoints, equal to those of a sweep that asked for them at once."""

import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from interface import additions, cli, table
from interface.adaptations import LinearProbe
from interface.checkpoints import kept_runs
from interface.core import ROW_KEY
from interface.jobs import Work, missing, run_file, run_job
from interface.measurement import Transfer
from interface.sweep import Sweep, load
from interface.workers import execute

TINIEST = Path(__file__).parent / "sweeps" / "tiniest.py"


def silent(_seconds):
    return None


def content(folder):
    frame = table.read(folder)
    frame = frame[frame["unit"] != "s"]
    frame = frame.astype(dict.fromkeys(frame.select_dtypes("category").columns, "str"))
    return frame.sort_values(["run", "step", "target", "quantity"], ignore_index=True)


@pytest.fixture(scope="module")
def sweep():
    return load(TINIEST, 1.0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, sweep):
    folder = tmp_path_factory.mktemp("kept")
    execute(Work(TINIEST, 1.0, folder, keep_checkpoints=True), sweep, jobs=1, progress=silent)
    table.compact(folder)
    return folder


@pytest.fixture
def folder(kept, tmp_path):
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path


def measured(monkeypatch, folder, *arguments):
    monkeypatch.setattr(sys, "argv", ["interface", "measure", "--out", str(folder), *arguments])
    return cli.main()


def test_added_cells_equal_those_of_a_sweep_that_asked_at_once(folder, tmp_path_factory, sweep, monkeypatch, capsys):
    assert measured(monkeypatch, folder, "--target", "rotation=1.0", "--target", "none") == 0
    said = capsys.readouterr().out
    assert "for 3 runs; 7 cells were there already; 0 runs know none" in said
    wider = Sweep(
        "tiniest",
        sweep.pretrainings,
        lambda run: (
            *sweep.transfers(run),
            *([Transfer(run.source.shift("rotation", 1.0))] if "rotation" in run.source.shifts else ()),
        ),
    )
    whole = tmp_path_factory.mktemp("whole")
    for job in wider.jobs:
        run_job(job, Work(TINIEST, 1.0, whole), silent)
    pd.testing.assert_frame_equal(content(folder), content(whole), check_exact=False, rtol=1e-4, atol=1e-5)


def test_nothing_is_measured_twice_and_the_sweep_stays_complete(folder, sweep, monkeypatch, capsys):
    assert measured(monkeypatch, folder, "--target", "script=1.0") == 0
    once = table.read(folder)
    assert measured(monkeypatch, folder, "--target", "script=1.0", "--target", "script=1.0") == 0
    assert "0 rows added" in capsys.readouterr().out
    pd.testing.assert_frame_equal(table.read(folder), once)
    assert not once.duplicated(list(ROW_KEY)).any()
    assert len(table.merge(folder, folder)) == len(once)
    work = Work(TINIEST, 1.0, folder, keep_checkpoints=True)
    assert not missing(sweep, sweep.pretrainings, work)


def test_a_run_that_is_computed_again_takes_its_additions_along(folder, sweep, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    run = next(run for run in sweep.pretrainings if "rotation" in run.source.shifts)
    before = content(folder)
    assert measured(monkeypatch, folder, "--target", "rotation=1.0") == 0
    run_file(folder, run).unlink()
    execute(Work(TINIEST, 1.0, folder, keep_checkpoints=True), sweep, jobs=1, progress=silent)
    for _ in "before and after compaction":
        here = content(folder)
        assert (here["run"] == run.run).sum() == (before["run"] == run.run).sum()
        assert len(here) > len(before)
        table.compact(folder)
    assert measured(monkeypatch, folder, "--target", "rotation=1.0") == 0  # and it can be asked again
    assert (content(folder)["run"] == run.run).sum() > (before["run"] == run.run).sum()


def test_a_damaged_checkpoint_costs_its_run_and_no_other(folder, monkeypatch, capsys):
    victim = kept_runs(folder)[0]
    (folder / "checkpoints" / victim / "0.safetensors").write_bytes(b"garbage")
    assert measured(monkeypatch, folder, "--target", "covariate=1.0", "--target", "rotation=1.0") == 1
    captured = capsys.readouterr()
    assert "1 runs failed" in captured.out and f"run {victim}, unreadable:" in captured.err and "Traceback" not in captured.err
    added = {path.name.partition("+")[0] for path in (folder / "runs").glob("*+*.parquet")}
    assert added == set(kept_runs(folder)) - {victim}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--target", "rotatio=1.0"], "no run knows"),
        (["--target", "rotation"], "name=strength"),
        (["--target", "rotation=2"], r"\[0, 1\]"),
        (["--target", "rotation=1", "--adaptation", "Popen"], "known: .*LinearProbe"),
        (["--target", "rotation=1", "--device", "gpu"], "--device"),
    ],
)
def test_a_bad_request_gets_one_line_and_exit_code_2(folder, monkeypatch, capsys, arguments, word):
    assert measured(monkeypatch, folder, *arguments) == 2
    error = capsys.readouterr().err
    assert re.search(word, error) and len(error.splitlines()) == 1


def test_a_folder_without_checkpoints_says_what_to_do(tmp_path, monkeypatch, capsys):
    assert measured(monkeypatch, tmp_path, "--target", "none") == 2
    assert "--keep-checkpoints" in capsys.readouterr().err


def test_checkpoints_of_other_code_are_refused_unless_told(folder, monkeypatch):
    monkeypatch.setattr(additions, "code_digest", lambda: "c_other")
    request = additions.Request((("none", 0.0), ("concept", 0.5)), (LinearProbe(),))
    assert {added.status for added in additions.add(folder, request)} == {"older_code"}
    found = list(additions.add(folder, request, keep_older=True))
    assert {added.status for added in found} == {"ok"} and sum(added.n_rows for added in found) > 0


def test_tables_merge_on_the_command_line(folder, tmp_path_factory, monkeypatch, capsys):
    out = tmp_path_factory.mktemp("merged") / "all.parquet"
    monkeypatch.setattr(sys, "argv", ["interface", "merge", str(folder), str(folder), "--out", str(out)])
    assert cli.main() == 0 and str(out) in capsys.readouterr().out
    assert len(table.read(out)) == len(table.read(folder))
