"""The calibration study runs, and says when a cell falls short."""

import subprocess
import sys
from pathlib import Path

STUDY = Path(__file__).parents[1] / "studies" / "calibration.py"


def test_it_runs_and_counts_what_fell_short(tmp_path):
    options = ["--only", "power", "noise", "--simulations", "100", "--workers", "1", "--out", str(tmp_path)]
    command = [sys.executable, str(STUDY), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=STUDY.parents[1], check=True)
    assert done.stdout.strip().splitlines()[-1] == "0 of 13 cells fell short"
    assert (tmp_path / "calibration.csv").read_text().count("\n") == 14
