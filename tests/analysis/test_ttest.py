import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from interface.analysis.ttest import cluster_mean, detectable_noncentrality


def test_it_is_the_t_test():
    values = np.random.default_rng(0).normal(0.3, 1, size=9)
    mean = cluster_mean(values, range(9))
    np.testing.assert_allclose(mean.p_value(0.05), stats.ttest_1samp(values, 0.05).pvalue, rtol=1e-12)
    np.testing.assert_allclose(mean.interval(), stats.ttest_1samp(values, 0).confidence_interval(0.95), rtol=1e-12)


def test_the_null_test_is_the_larger_of_two_one_sided_ones():
    values = np.random.default_rng(1).normal(0.01, 0.05, size=12)
    mean = cluster_mean(values, range(12))
    one_sided = [
        stats.ttest_1samp(values, -0.05, alternative="greater").pvalue,
        stats.ttest_1samp(values, 0.05, alternative="less").pvalue,
    ]
    np.testing.assert_allclose(mean.p_null(0.05), max(one_sided), rtol=1e-10)


@pytest.mark.parametrize("n", [3, 6, 12, 48])
@pytest.mark.parametrize("level", [0.05, 0.05 / 8])
def test_the_detectable_effect_has_the_power_it_says(n, level):
    shift = detectable_noncentrality(n, level=level)
    critical = stats.t.ppf(1 - level / 2, n - 1)
    # P(|T| > critical) given the sampled standard deviation, averaged over its chi distribution
    nodes, weights = np.polynomial.legendre.leggauss(1000)
    scale = critical * np.sqrt(stats.chi2.ppf((nodes + 1) / 2, n - 1) / (n - 1))
    power = 0.5 * weights @ (stats.norm.sf(scale - shift) + stats.norm.cdf(-scale - shift))
    np.testing.assert_allclose(power, 0.8, atol=1e-7)
    reference = TTestPower().solve_power(nobs=n, alpha=level, power=0.8)
    np.testing.assert_allclose(shift / np.sqrt(n), reference, rtol=2e-3)  # its root is loose at few clusters


def test_power_by_simulation():
    rng, n = np.random.default_rng(2), 12
    values = rng.normal(size=(4000, n)) + detectable_noncentrality(n) / np.sqrt(n)
    rejected = np.mean(stats.ttest_1samp(values, 0, axis=1).pvalue <= 0.05)
    assert abs(rejected - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 4000)


def test_twelve_instances_at_an_eighth_detect_what_is_promised():
    assert 1.2 < detectable_noncentrality(12, level=0.05 / 8) / 12**0.5 < 1.25
    assert 2.2 < detectable_noncentrality(6, level=0.05 / 8) / 6**0.5 < 2.4


def test_intervals_cover():
    values = np.random.default_rng(3).normal(1.0, 1.0, size=(1500, 6))
    covered = sum(low <= 1.0 <= high for low, high in (cluster_mean(v, range(6)).interval() for v in values))
    assert stats.binom.cdf(covered, 1500, 0.95) > 0.001
    assert stats.binom.sf(covered - 1, 1500, 0.95) > 0.001


def test_what_cannot_be_tested_says_why_and_counts_as_p_1():
    one = cluster_mean([np.nan, 0.5], "ab")
    assert (one.n_clusters, one.missing, one.p_value(0.0), one.p_null(1.0)) == (1, ("a",), 1.0, 1.0)
    assert one.status == "1 cluster, needs 2" and np.isnan(one.interval()).all() and np.isnan(one.minimal_detectable_effect())
    assert "same value" in cluster_mean([0.1, 0.1, 0.1], "abc").status
    assert cluster_mean([np.nan], "a", reason="no range").status == "no range"
    with pytest.raises(ValueError, match="twice"):
        cluster_mean([1.0, 2.0], "aa")
