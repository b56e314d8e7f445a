"""Whatever table comes, the end is a result with its doubts or one clear line; INTERFACE_BAD_TABLES sets how many are tried."""

import os
import runpy
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from interface.analysis import analyze

bad = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("bad_tables.py"))))
SIZE = int(os.environ.get("INTERFACE_BAD_TABLES", "300"))
BY_COMMAND = 4 if SIZE < 2_000 else 20
CODE = "import sys; from interface.cli import main; sys.exit(main())"


def outcome(table, keywords):
    """The result, or the one line that says why there is none."""
    before = table.copy(deep=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = analyze(table, **keywords)
    except ValueError as error:
        result = str(error)
        assert result and "\n" not in result and len(result) < 1_000, result
    pd.testing.assert_frame_equal(table, before)
    return result


def assert_no_silent_nan(result):
    for number in (result.slope, result.intercept, result.spread, *result.others):
        line = str(number)
        assert "nan" not in line.replace(number.unit, "").replace(number.where, "").lower() and "\n" not in line, line
        assert np.isfinite([number.estimate, number.low, number.high]).all() or number.status != "ok", line
        assert not np.isfinite(number.low) or number.low <= number.estimate <= number.high
    assert np.isfinite([result.smallest_effect, result.smallest_slope]).all() and result.notes and result.verdict.word


def test_every_bad_table_ends_in_a_result_with_notes_or_in_one_line():
    seen = Counter()
    for seed in range(SIZE):
        table, keywords, used = bad.bad_table(seed)
        try:
            result = outcome(table, keywords)
            if isinstance(result, str):
                seen["refused"] += 1
            else:
                assert_no_silent_nan(result)
                str(result)
                seen["answered"] += 1
        except Exception as error:
            raise AssertionError(f"table {seed}, spoilt by {used}, keywords {keywords}") from error
    assert min(seen["refused"], seen["answered"]) > SIZE / 10, seen  # neither everything is refused nor everything let through


def command(*arguments):
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONIOENCODING": "ascii"}
    return subprocess.run(
        [sys.executable, "-c", CODE, "analyze", *map(str, arguments)], capture_output=True, text=True, env=environment
    )


def written(table, folder, seed):
    """As a file; what Parquet cannot hold goes to CSV."""
    if seed % 2:
        try:
            table.to_parquet(folder / f"{seed}.parquet")
            return folder / f"{seed}.parquet"
        except Exception:  # pyarrow has a type of error for every type that it refuses
            (folder / f"{seed}.parquet").unlink(missing_ok=True)
    table.to_csv(folder / f"{seed}.csv", index=False)
    return folder / f"{seed}.csv"


@pytest.mark.parametrize("seed", range(3, 3 + BY_COMMAND))
def test_the_command_line_does_the_same(seed, tmp_path):
    table, keywords, used = bad.bad_table(seed)
    table = table.rename(columns=lambda name: name.replace("\x00", "")) if table.columns.is_unique else table
    values = {role: column.replace("\x00", "") for role, column in keywords.items()}  # no argument holds this character
    options = [part for role, column in values.items() for part in (f"--{role.replace('_', '-')}", column)]
    done = command(written(table, tmp_path, seed), *options, "--html", tmp_path / "page.html")
    assert "Traceback" not in done.stderr, (used, done.stderr)
    if done.returncode:
        assert done.returncode == 2 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, (used, done.stderr)
    else:
        assert done.stderr == "" and "In words" in done.stdout and "N0" in done.stdout, (used, done.stderr)
        assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_large_table_through_the_command_line(tmp_path):
    rows = 1_000_000 if SIZE >= 2_000 else 20_000
    rng, runs = np.random.default_rng(0), rows // 10
    loss = 1 + 2 * np.exp(-rng.uniform(0.2, 0.4, (runs, 1)) * np.arange(10))
    error = 0.1 + 0.2 * (loss - 1) + 0.01 * rng.normal(size=(runs, 1)) + 0.002 * rng.normal(size=loss.shape)
    table = pd.DataFrame({
        "model": np.repeat([f"12e{index}" for index in range(runs)], 10),
        "step": np.tile(np.arange(10), runs),
        "loss": loss.ravel(),
        "error": error.ravel(),
        "params": np.repeat(rng.integers(1, 10**9, runs), 10),
    })  # fmt: skip
    table.to_csv(tmp_path / "large.csv", index=False)
    named = ("--pre", "loss", "--adapt", "error", "--adapt-is", "error", "--run", "model", "--step", "step", "--size", "params")
    done = command(tmp_path / "large.csv", *named, "--html", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert f"{rows} rows, {runs} runs, {runs} clusters" in done.stdout and "N22" in done.stdout
    assert (tmp_path / "page.html").stat().st_size < 2_000_000
