"""The skewness-corrected t: its level by simulation where plain t fails, its inverse, its power, and where it cannot be made."""

import numpy as np
import pytest
from scipy import optimize, stats

from interface.analysis.skewed_mean import SkewedMean, bent, skewed_mean, straightened
from interface.analysis.ttest import cluster_mean

SIZES = (6, 12, 24)


def hall_t(values, against):
    """Corrected t of each row, from Hall's formula as printed: S, gamma, a = 1/3, b = 1/6."""
    n = values.shape[1]
    s = (values.mean(axis=1) - against) / values.std(axis=1, ddof=1)
    gamma = stats.skew(values, axis=1, bias=False)
    return n**0.5 * (s + gamma * s**2 / 3 + gamma**2 * s**3 / 27 + gamma / (6 * n))


@pytest.mark.parametrize("n", SIZES)
def test_its_level_holds_on_a_skewed_parent_where_that_of_plain_t_does_not(n):
    tables = 2000
    values = np.random.default_rng([0, n]).gamma(4.0, 0.25, size=(tables, n))
    rejected = sum(skewed_mean(v, range(n)).p_value(1.0) <= 0.05 for v in values)
    limit = stats.binom.ppf(1 - 0.01 / len(SIZES), tables, 0.05)
    assert rejected <= limit
    assert rejected < sum(cluster_mean(v, range(n)).p_value(1.0) <= 0.05 for v in values)


@pytest.mark.parametrize("n", SIZES)
def test_on_a_strongly_skewed_parent_it_is_much_nearer_its_level(n):
    values = np.random.default_rng([1, n]).exponential(size=(20_000, n))
    critical = stats.t.ppf(0.975, n - 1)
    plain = np.mean(np.abs(stats.ttest_1samp(values, 1.0, axis=1).statistic) > critical)
    corrected = np.mean(np.abs(hall_t(values, 1.0)) > critical)
    assert corrected - 0.05 < 0.4 * (plain - 0.05)


def test_it_is_halls_formula():
    values = np.random.default_rng(2).gamma(2.0, size=(20, 9))
    expected = 2 * stats.t.sf(np.abs(hall_t(values, 1.4)), 8)
    np.testing.assert_allclose([skewed_mean(v, range(9)).p_value(1.4) for v in values], expected, rtol=1e-10)


def test_without_skewness_it_is_the_t_test():
    half = np.random.default_rng(6).normal(size=7)
    symmetric = np.concatenate([0.75 + half, 0.75 - half])
    plain, corrected = cluster_mean(symmetric, range(14)), skewed_mean(symmetric, range(14))
    np.testing.assert_allclose(corrected.interval(), plain.interval(), rtol=1e-12)
    for of in ("p_value", "p_null"):
        np.testing.assert_allclose(getattr(corrected, of)(2.5), getattr(plain, of)(2.5), rtol=1e-12)
    np.testing.assert_allclose(corrected.minimal_detectable_effect(), plain.minimal_detectable_effect(), rtol=1e-12)


def test_the_transformation_increases_and_is_inverted():
    t = np.linspace(-30, 30, 2001)
    for bend in (-0.7, -0.1, 0.0, 1e-9, 0.2, 0.7):
        straight = [straightened(v, bend) for v in t]
        assert (np.diff(straight) > 0).all()
        np.testing.assert_allclose([bent(v, bend) for v in straight], t, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_holds_what_is_not_rejected(seed):
    mean = skewed_mean(np.random.default_rng(seed).exponential(size=8), range(8))
    low, high = mean.interval()
    assert low < mean.estimate < high
    away = 20 * mean.stderr
    for end, other in ((low, mean.estimate - away), (high, mean.estimate + away)):
        found = optimize.brentq(lambda value: mean.p_value(value) - 0.05, mean.estimate, other)
        np.testing.assert_allclose(end, found, rtol=1e-8)
    # shown to be negligible at .05 exactly where the 90% interval ends inside the margin
    low, high = mean.interval(0.9)
    assert mean.p_null(max(high, -low) * 1.001) < 0.05 < mean.p_null(max(high, -low) * 0.999)


def test_the_detectable_effect_has_about_its_power():
    n, rng = 12, np.random.default_rng(3)
    values = rng.gamma(4.0, 0.25, size=(600, n))
    effect = np.median([skewed_mean(v, range(n)).minimal_detectable_effect() for v in values])
    found = np.mean([(m := skewed_mean(v + effect, range(n))).p_value(1.0) <= 0.05 and m.estimate > 1.0 for v in values])
    assert abs(found - 0.8) < 0.08


def test_what_cannot_be_tested_says_why_and_counts_as_p_1():
    one = skewed_mean([np.nan, 0.5], "ab")
    assert isinstance(one, SkewedMean) and one.missing == ("a",) and one.status == "1 cluster, needs 2"
    assert one.p_value(0.0) == one.p_null(1.0) == 1.0
    assert np.isnan(one.interval()).all() and np.isnan(one.minimal_detectable_effect())
    same = skewed_mean([0.1, 0.1, 0.1], "abc")
    assert "same value" in same.status and same.p_value(0.0) == 1.0 and same.bend == 0.0


def test_units_change_nothing():
    mean = skewed_mean([0.1, 0.2, 0.2, 0.9], "abcd")
    np.testing.assert_allclose(mean.scaled(3.0).interval(), 3 * np.array(mean.interval()), rtol=1e-12)
    np.testing.assert_allclose(mean.scaled(3.0).p_value(0.6), mean.p_value(0.2), rtol=1e-10)
