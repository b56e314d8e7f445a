"""What a user's table may not hold, said by name; and the jackknife of the spread against fits without one cluster."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interface.analysis import analyze
from interface.analysis._least_squares import clustered_fit, jackknife_log_variance

NAMES = {"pre": "loss", "adapt": "err", "run": "model", "adapt_is": "loss"}


def table(runs=8, steps=4, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"m{k}", t, 1 + (2 + 0.1 * k) * np.exp(-t), 0.2 + 0.1 * np.exp(-t) + 0.01 * rng.normal(), 10.0 ** (6 + k % 3))
        for k in range(runs)
        for t in range(steps)
    ]
    return pd.DataFrame(rows, columns=["model", "step", "loss", "err", "params"])


BAD = {
    "flags for numbers": (lambda t: t.assign(err=t.err > 0.25), "'err' holds true or false"),
    "dates for numbers": (
        lambda t: t.assign(loss=[datetime(2024, 1, 1) + timedelta(days=i) for i in t.index]),
        "dates or durations",
    ),
    "complex numbers": (lambda t: t.assign(loss=t.loss + 1j), "complex numbers"),
    "a number that is none": (lambda t: t.assign(loss=[10**400] + [1] * (len(t) - 1)).astype({"loss": object}), "cannot be read"),
    "1 and '1'": (lambda t: t.assign(model=[1, "1"] * (len(t) // 2)), "holds 1 both as text and as a number"),
    "blank names": (lambda t: t.assign(model=t.model.where(t.model != "m1", "  ")), r"'model' is empty in 4 row\(s\)"),
    "lists for names": (lambda t: t.assign(model=[[name] for name in t.model]), "lists or dicts"),
    "too large to square": (lambda t: t.assign(loss=1e200 * t.loss), "rescale it"),
    "too small to square": (lambda t: t.assign(loss=1e-200 * t.loss), "rescale it"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(case):
    spoil, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        analyze(spoil(table()), **NAMES)
    assert "\n" not in str(caught.value)


def test_names_that_break_lines_do_not_break_messages():
    frame = table().rename(columns={"step": "st\nep"}).assign(model=lambda t: "run\n" + t.model)
    with pytest.raises(ValueError, match=r"run run\\nm0 has two rows at st\\nep 0") as caught:
        analyze(pd.concat([frame, frame]), **NAMES, step="st\nep")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="and 30 more"):
        analyze(pd.DataFrame(np.zeros((3, 50))), **NAMES)


@pytest.mark.parametrize("extra", [{"draws": "maybe"}, {"status": "state"}])
def test_bad_options_are_named(extra):
    with pytest.raises(ValueError, match=r"draws is 'maybe'|column 'state' .given as status. is not in the table"):
        analyze(table(), **NAMES, **extra)


def test_a_number_without_an_interval_says_why():
    frame = table(runs=3)
    result = analyze(frame, **NAMES, size="params")
    alone = next(number for number in result.others if number.name == "slope[1e+06]")
    assert np.isfinite(alone.estimate) and alone.status == "1 cluster, needs 2"
    assert "no interval" in str(alone) and "(1 cluster, needs 2)" in str(alone)


def test_runs_of_different_length_are_read_like_runs_of_one_length():
    frame = table(steps=6)
    shorter = frame[~((frame.model == "m0") & (frame.step == 2)) & ~((frame.model == "m3") & (frame.step > 4))]
    result = analyze(shorter, **NAMES, step="step")
    lowest = shorter.groupby("model").loss.min().max()
    levels = [np.interp(lowest, run.loss[::-1], run.err[::-1]) for _, run in shorter.groupby("model")]
    np.testing.assert_allclose(result.intercept.estimate, np.mean(levels), rtol=1e-12)
    np.testing.assert_allclose(result.spread.estimate, np.var(levels, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(result.intercept_at, lowest, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_the_jackknife_is_that_of_fits_without_one_cluster(scale):
    rng = np.random.default_rng(1)
    for _ in range(5):
        clusters = rng.integers(0, 7, 40)
        design = np.column_stack([np.ones(40), 3 + scale * rng.normal(size=40), rng.normal(size=40)])
        y = rng.normal(size=40)
        value, error = jackknife_log_variance(design, y, clusters)
        logs = [
            np.log(clustered_fit(design[clusters != c], y[clusters != c], clusters[clusters != c]).residual_variance)
            for c in set(clusters)
        ]
        np.testing.assert_allclose(error, np.sqrt((len(logs) - 1) * np.var(logs)), rtol=1e-7)
        np.testing.assert_allclose(value, clustered_fit(design, y, clusters).residual_variance)


def test_a_deletion_that_identifies_no_fit_leaves_no_interval():
    only = np.array([0.0] * 6 + [1.0, 1.0])
    design, clusters = np.column_stack([np.ones(8), only]), np.repeat([0, 1, 2, 3], 2)
    value, error = jackknife_log_variance(design, np.arange(8.0), clusters)
    assert value > 0 and np.isnan(error)


def test_the_spread_inside_sizes_has_the_jackknife_interval_over_runs():
    frame = table(runs=9)
    result = analyze(frame, **NAMES, step="step", size="params")
    lowest = frame.groupby("model").loss.min().max()
    level = {name: np.interp(lowest, run.loss[::-1], run.err[::-1]) for name, run in frame.groupby("model")}
    size = frame.groupby("model").params.first()

    def variance(runs):
        values = pd.Series({run: level[run] for run in runs})
        groups = values.groupby(size[values.index])
        return ((values - groups.transform("mean")) ** 2).sum() / (len(values) - groups.ngroups)

    logs = [np.log(variance([other for other in level if other != run])) for run in level]
    width = stats.t.ppf(0.975, 8) * np.sqrt(8 * np.var(logs))
    np.testing.assert_allclose(result.spread.estimate, variance(level), rtol=1e-9)
    np.testing.assert_allclose((result.spread.low, result.spread.high), variance(level) * np.exp([-width, width]), rtol=1e-7)
