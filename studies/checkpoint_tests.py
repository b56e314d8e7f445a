"""What checkpoints taken for units do to a test, the power over runs, and errors in variables: parts of the calibration study."""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy import stats

from interface.analysis import clustered_fit, cr2, errors_in_variables, mixed_effects, wild_bootstrap

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "tests" / "pseudo_replication.py")))

LEVEL = 0.05
INSTANCES = (6, 12, 24)
STATED_POWER = {(6, 0.2): 0.12, (12, 0.2): 0.28, (24, 0.2): 0.52, (48, 0.2): 0.895,
                (6, 0.4): 0.375, (12, 0.4): 0.755, (24, 0.4): 0.985, (48, 0.4): 1.0}  # fmt: skip
Rows = list[dict]


def reject(p) -> float:
    return float(np.mean(np.asarray(p) <= LEVEL))


def checkpoints(options: argparse.Namespace) -> Rows:
    """Rejection of a true null by five tests over runs, and by least squares over checkpoints."""
    rows = []
    for runs in INSTANCES:
        rng = np.random.default_rng(runs)
        n = options.simulations
        y = made.outcomes(rng, runs, tables=n)
        p = {"naive": list(made.naive_p(y)), "t over runs": list(stats.ttest_1samp(made.run_slopes(y), 0, axis=1).pvalue)}
        run, x = np.repeat(np.arange(runs), made.CHECKPOINTS), np.tile(made.X, runs)
        design = np.column_stack([np.ones(len(x)), x])
        p |= {"CR1": [], "CR2": [], "wild": [], "mixed": []}
        for table in y[: max(n // 4, 1)]:
            flat = table.ravel()
            estimate, error = clustered_fit(design, flat, run).contrast(np.array([0.0, 1.0]))
            p["CR1"].append(2 * stats.t.sf(abs(estimate) / error, runs - 1))
            p["CR2"].append(cr2(design, flat, run, [0, 1]).p_value())
            p["wild"].append(wild_bootstrap(design, flat, run, [0, 1], rng=rng, draws=999).p_value())
            p["mixed"].append(mixed_effects(design, flat, run, design).contrast([0, 1]).p_value())
        for name, values in p.items():
            valid = None if name == "naive" else LEVEL
            rows.append(
                {"part": "checkpoints", "what": name, "clusters": runs, "rate": reject(values), "n": len(values), "most": valid}
            )
    return rows


def power(options: argparse.Namespace) -> Rows:
    """Power of the t test over runs beside the stated one and the noncentral t."""
    rows = []
    for (runs, slope), stated in STATED_POWER.items():
        n = 10 * options.simulations
        y = made.outcomes(np.random.default_rng(runs), runs, slope=slope, tables=n)
        found = reject(stats.ttest_1samp(made.run_slopes(y), 0, axis=1).pvalue)
        spread = max(found * (1 - found), 1 / 200)
        off = abs(found - stated) / np.sqrt(spread / n + spread / 200)
        exact = made.t_power(runs, slope)
        good = off <= 3 and abs(found - exact) <= max(0.01, 4 * np.sqrt(spread / n))
        rows.append({"part": "power", "what": f"slope {slope}", "clusters": runs, "rate": found, "n": n,
                     "detail": f"noncentral t {exact:.3f}, stated {stated} ({off:.1f} s.e. away)", "ok": good})  # fmt: skip
    return rows


def noise(options: argparse.Namespace) -> Rows:
    """Errors in variables: a slope of .5 at three reliabilities, and what shared draws would do."""
    rows = []
    n = 200 * max(options.simulations // 4, 1)
    for reliability, plain in ((0.95, 0.476), (0.8, 0.4), (0.5, 0.25)):
        for correlation in (0.0, -0.8, 0.8):
            if correlation and reliability != 0.8:
                continue
            rng = np.random.default_rng(int(100 * reliability))
            true, first = rng.normal(size=(2, n))
            error = np.sqrt(1 / reliability - 1)
            second = correlation * first + np.sqrt(1 - correlation**2) * rng.normal(size=n)
            y = 0.5 * true + 0.4 * second
            fit = errors_in_variables(true + error * first, y, error, np.arange(n) % 100, draws="independent")
            detail = f"plain {fit.plain:.3f} (stated {plain}), corrected {fit.slope.estimate:.3f} ± {fit.slope.stderr:.3f}"
            if correlation:
                detail += ", had it been claimed that these draws are independent: the function refuses them"
            good = bool(correlation) or abs(fit.slope.estimate - 0.5) <= 4 * fit.slope.stderr
            rows.append({"part": "noise", "what": f"reliability {reliability}, error correlation {correlation}", "rate":
                         fit.slope.estimate, "n": n, "detail": detail, "ok": good})  # fmt: skip
    return rows
