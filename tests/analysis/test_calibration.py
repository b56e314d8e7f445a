"""What checkpoints do to tests, against the values that the specification of this package's statistics states."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from interface.analysis import cluster_mean, clustered_fit, cr2, mixed_effects, wild_bootstrap

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "pseudo_replication.py")))

POWER = {  # 200 simulations each
    (6, 0.2): 0.12, (12, 0.2): 0.28, (24, 0.2): 0.52, (48, 0.2): 0.895,
    (6, 0.4): 0.375, (12, 0.4): 0.755, (24, 0.4): 0.985, (48, 0.4): 1.0,
}  # fmt: skip
NAIVE = {6: 0.357, 12: 0.323, 24: 0.350}  # 300 simulations each


@pytest.mark.parametrize(("runs", "slope"), POWER)
def test_power_over_runs_is_the_stated_one_and_that_of_the_noncentral_t(runs, slope):
    tables, stated = 20_000, POWER[runs, slope]
    slopes = made.run_slopes(made.outcomes(np.random.default_rng(runs), runs, slope=slope, tables=tables))
    found = np.mean(stats.ttest_1samp(slopes, 0.0, axis=1).pvalue <= 0.05)
    assert abs(found - made.t_power(runs, slope)) <= 0.01
    spread = max(found * (1 - found), 1 / 200)
    assert abs(found - stated) <= 3 * np.sqrt(spread / tables + spread / 200)


@pytest.mark.parametrize("runs", NAIVE)
def test_checkpoints_taken_for_units_reject_a_true_null_in_a_third_of_tables(runs):
    found = np.mean(made.naive_p(made.outcomes(np.random.default_rng(1), runs, tables=4_000)) <= 0.05)
    assert abs(found - NAIVE[runs]) <= 3 * np.sqrt(0.35 * 0.65 * (1 / 300 + 1 / 4_000))


@pytest.mark.parametrize("runs", [6, 12])
def test_every_test_over_runs_keeps_its_level(runs):
    rng, tables, slow = np.random.default_rng(2), 200, 40  # mixed effects take longer: fewer of them
    rejected = dict.fromkeys(("t over runs", "CR1", "CR2", "wild", "mixed"), 0)
    run, x = np.repeat(np.arange(runs), made.CHECKPOINTS), np.tile(made.X, runs)
    design = np.column_stack([np.ones(len(x)), x])
    for index, y in enumerate(made.outcomes(rng, runs, tables=tables)):
        flat = y.ravel()
        mean = cluster_mean(made.run_slopes(y), range(runs))
        fit = clustered_fit(design, flat, run)
        estimate, error = fit.contrast(np.array([0.0, 1.0]))
        p = {
            "t over runs": mean.p_value(0.0),
            "CR1": 2 * stats.t.sf(abs(estimate) / error, runs - 1),
            "CR2": cr2(design, flat, run, [0, 1]).p_value(),
            "wild": wild_bootstrap(design, flat, run, [0, 1]).p_value(),
            "mixed": mixed_effects(design, flat, run, design).contrast([0, 1]).p_value() if index < slow else 1.0,
        }
        np.testing.assert_allclose([estimate, p["CR2"]], [mean.estimate, p["t over runs"]], rtol=1e-7)
        for name in rejected:
            rejected[name] += p[name] <= 0.05
    # one-sided family-wise 99% over the ten cells tried
    assert rejected.pop("mixed") <= stats.binom.ppf(1 - 0.01 / 10, slow, 0.05)
    assert max(rejected.values()) <= stats.binom.ppf(1 - 0.01 / 10, tables, 0.05), rejected
