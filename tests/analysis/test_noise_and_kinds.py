"""Run against evaluation variance, signal to noise, and the kinds of tasks."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from interface.analysis import noise_shares, signal_to_noise, task_fractions, task_kind


def test_the_parts_of_the_variance_are_those_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    cell = np.repeat(np.arange(4), [2, 3, 5, 1])
    value = rng.normal(size=4)[cell] + rng.normal(size=11)
    error = rng.uniform(0.1, 0.3, size=11)
    found = noise_shares(value, error, cell)
    dummies = (cell[:, None] == np.arange(4)).astype(float)
    total = sm.OLS(value, dummies).fit().mse_resid
    np.testing.assert_allclose(found.run + found.evaluation, total, rtol=1e-10)
    weights = np.array([1, 2, 4]) / 7
    np.testing.assert_allclose(found.evaluation, weights @ [np.mean(error[cell == c] ** 2) for c in range(3)], rtol=1e-10)


def test_the_interval_of_the_run_variance_covers_and_noise_alone_is_below_noise():
    rng, tables, covered, below = np.random.default_rng(1), 500, 0, 0
    for _ in range(tables):
        low, high = noise_shares(0.2 * rng.normal(size=8) + 0.1 * rng.normal(size=8), np.full(8, 0.1)).run_interval
        covered += low <= 0.04 <= high
        below += noise_shares(0.1 * rng.normal(size=8), np.full(8, 0.1)).status == "below noise"
    assert stats.binom.ppf(0.001, tables, 0.95) <= covered <= stats.binom.ppf(0.999, tables, 0.95)
    assert 0.4 < below / tables < 0.7
    with pytest.raises(ValueError, match="no cell has two runs"):
        noise_shares([1.0, 2.0], [0.1, 0.1], [0, 1])


def test_signal_to_noise_does_not_depend_on_the_unit():
    scores = np.random.default_rng(2).uniform(0.3, 0.6, size=(5, 4))
    one, two = signal_to_noise(scores), signal_to_noise(100 * scores)
    np.testing.assert_allclose(one.ratio, two.ratio, rtol=1e-12)
    final = scores.mean(1)
    np.testing.assert_allclose(one.signal, (final.max() - final.min()) / final.mean(), rtol=1e-12)
    with pytest.raises(ValueError, match="positive"):
        signal_to_noise(-scores)


SHAPES = {
    "predictable": lambda x: 0.5 * x,
    "inverse": lambda x: 1 - 0.4 * x,
    "non-monotone": lambda x: (x - 3) ** 2,
    "breakthrough": lambda x: np.minimum(x - 2.6, 0) * 1.5,
    "noisy": lambda x: 0 * x,
    "none": lambda x: 0 * x,
}


@pytest.mark.parametrize("kind", SHAPES)
def test_planted_kinds_are_found(kind):
    rng, right = np.random.default_rng(3), 0
    for _ in range(60):
        x = rng.uniform(2, 4, 40)
        noise = {"none": 0.005, "noisy": 0.3}.get(kind, 0.05)
        found = task_kind(x, SHAPES[kind](x) + noise * rng.normal(size=40), smallest_effect=0.05)
        right += found.kind == kind
    assert right >= 57, right


def test_what_evaluation_noise_explains_is_none():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(2, 4, 40), 0.1 * rng.normal(size=40)
    assert task_kind(x, y, smallest_effect=0.05).kind == "noisy"
    assert task_kind(x, y, smallest_effect=0.05, stderr=0.1).kind == "none"
    with pytest.raises(ValueError, match="at least 8"):
        task_kind(x[:5], y[:5], smallest_effect=0.05)


def test_fractions_sum_to_one_with_wilson_limits():
    found = task_fractions({"a": "predictable", "b": "noisy", "c": "predictable"})
    assert sum(value[0] for value in found.values()) == pytest.approx(1.0)
    p, z, n = 2 / 3, stats.norm.ppf(0.975), 3
    centre, half = (p + z**2 / (2 * n)) / (1 + z**2 / n), z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(found["predictable"][1:], [centre - half, centre + half], rtol=1e-10)
    with pytest.raises(ValueError, match="clean"):
        task_fractions(["clean"])
