"""`studies/faults.py` at its smallest, and that its comparison sees what is wrong."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
compared = runpy.run_path(str(ROOT / "studies" / "faults.py"))["compared"]


def test_four_faults_leave_the_table_as_it_should_be():
    tiniest = ROOT / "tests" / "sweeps" / "tiniest.py"
    done = subprocess.run(
        [sys.executable, "studies/faults.py", "--faults", "4", "--jobs", "1", "--sweep", str(tiniest)],
        env=ENV, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" equal ") == 4 and "came out wrong 0" in done.stdout


@pytest.fixture
def frame():
    keys = {"target": "t", "adaptation": "LinearProbe", "n_labels": pd.NA, "depth": pd.NA, "readout": None, "replicate": pd.NA}
    rows = [
        {"run": run, "step": step, **keys, "quantity": quantity, "value": 0.5, "status": "ok"}
        for run in "ab"
        for step in (0, 9)
        for quantity in ("l_adapt", "l_adapt_low")
    ]
    return pd.DataFrame(rows)


def test_the_comparison_sees_every_kind_of_difference(frame):
    none = {"lost": 0, "doubled": 0, "foreign": 0, "different": 0}
    assert compared(frame, frame, diverging=None) == none
    assert compared(frame[1:], frame, diverging=None) == none | {"lost": 1}
    assert compared(frame, frame[1:], diverging=None) == none | {"foreign": 1}
    assert compared(pd.concat([frame, frame[:1]]), frame, diverging=None)["doubled"] == 1
    assert compared(frame.assign(value=frame["value"] * (1 + 1e-4)), frame, diverging=None) == none | {"different": 8}
    assert compared(frame.assign(status="crossed"), frame, diverging=None) == none | {"different": 8}
    loose = frame.assign(status="not_converged")
    assert compared(loose.assign(value=0.6), loose, diverging=None) == none


def test_a_diverging_run_must_have_all_its_rows_and_say_so(frame):
    late = (frame["run"] == "b") & (frame["step"] > 0)
    diverged = frame.assign(run=frame["run"].replace("b", "c"))
    diverged.loc[late, ["value", "status"]] = [float("nan"), "diverged"]
    assert not any(compared(diverged, frame, diverging="b").values())
    assert compared(diverged[:-1], frame, diverging="b")["lost"] == 1
    silent = diverged.assign(status="ok")
    assert compared(silent, frame, diverging="b")["different"] == 2
