"""The benchmarks of the solvers run, and print what they say they print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "studies" / "benchmarks"


@pytest.mark.parametrize(
    ("script", "options", "name"),
    [
        ("default_probes", [], "sklearn_default_suboptimality"),
        ("squared", ["--threads", "1"], "squared_vs_loop_sklearn_ridge"),
        ("probes", ["--threads", "1", "--part", "single"], "single_geometric_mean_vs_sklearn"),
    ],
)
def test_a_quick_run_ends_with_lines_of_name_ratio_value(script, options, name):
    if script == "probes":
        pytest.importorskip("cyanure", reason="cyanure, a rival of this benchmark, is not installed")
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--quick", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line and not line.startswith(("#", "\x1b"))]
    assert all(len(row) == 3 and float(row[1]) > 0 for row in rows)
    assert name in [row[0] for row in rows]
