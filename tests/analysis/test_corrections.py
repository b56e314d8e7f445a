"""Errors in variables, mediation and equivalence."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from interface.analysis import cluster_mean, equivalence, errors_in_variables, mediation


def measured(rng, reliability, *, correlation=0.0, clusters=40, each=100):
    true = rng.normal(size=clusters * each)
    error = np.sqrt(1 / reliability - 1)
    noise = rng.normal(size=len(true))
    other = correlation * noise + np.sqrt(1 - correlation**2) * rng.normal(size=len(true))
    return true + error * noise, 0.5 * true + error * other * 0.4, error, np.arange(len(true)) // each


@pytest.mark.parametrize("reliability", [0.95, 0.8, 0.5])
def test_independent_draws_give_back_the_slope_that_noise_flattened(reliability):
    rng = np.random.default_rng(0)
    x, y, error, cluster = measured(rng, reliability, each=500)
    fit = errors_in_variables(x, y, error, cluster, draws="independent")
    np.testing.assert_allclose([fit.plain, fit.slope.estimate], [0.5 * reliability, 0.5], atol=4 * fit.slope.stderr)
    np.testing.assert_allclose(fit.reliability, reliability, atol=0.02)
    assert fit.status == "reliability below .99"


@pytest.mark.parametrize("correlation", [-0.8, 0.8])
def test_shared_draws_are_refused_because_the_correction_would_be_wrong(correlation):
    x, y, error, cluster = measured(np.random.default_rng(1), 0.8, correlation=correlation, each=500)
    with pytest.raises(ValueError, match="share draws"):
        errors_in_variables(x, y, error, cluster, draws="shared")
    claimed = errors_in_variables(x, y, error, cluster, draws="independent").slope
    assert abs(claimed.estimate - 0.5) > 10 * claimed.stderr and (claimed.estimate > 0.5) == (correlation > 0)


def test_run_means_take_their_share_of_the_noise():
    rng = np.random.default_rng(2)
    x, y, error, cluster = measured(rng, 0.7, clusters=60, each=40)
    pairs = np.arange(len(x)) // 2  # with two rows a run, half of the noise leaves with the mean
    level = rng.normal(size=len(x) // 2)[pairs]
    fit = errors_in_variables(x + level, y + 3 * level, error, cluster, draws="independent", groups=pairs)
    assert abs(fit.slope.estimate - 0.5) < 4 * fit.slope.stderr and fit.slope.stderr < 0.05


def test_its_interval_covers():
    rng, tables, covered = np.random.default_rng(3), 400, 0
    for _ in range(tables):
        x, y, error, cluster = measured(rng, 0.8, clusters=12, each=10)
        low, high = errors_in_variables(x, y, error, cluster, draws="independent").slope.interval()
        covered += low <= 0.5 <= high
    assert covered >= stats.binom.ppf(0.001, tables, 0.94)


def test_noise_alone_and_bad_errors_are_refused():
    rng = np.random.default_rng(4)
    x, y, cluster = rng.normal(size=60), rng.normal(size=60), np.arange(60) // 6
    with pytest.raises(ValueError, match="it is noise"):
        errors_in_variables(x, y, 1.0, cluster, draws="independent")
    with pytest.raises(ValueError, match="negative or not finite"):
        errors_in_variables(x, y, -0.1, cluster, draws="independent")


def treated(rng, clusters=10, each=12):
    cluster = np.repeat(np.arange(clusters), each)
    size = rng.normal(size=len(cluster))
    loss = -0.8 * size + 0.3 * rng.normal(size=clusters)[cluster] + 0.5 * rng.normal(size=len(cluster))
    slope = 0.5 + 0.2 * rng.normal(size=clusters)
    return size, loss, slope[cluster] * loss - 0.2 * size + 0.3 * rng.normal(size=len(cluster)), cluster


def test_mediation_is_two_regressions_in_every_resample():
    rng = np.random.default_rng(5)
    size, loss, y, cluster = treated(rng)
    control = rng.normal(size=len(y))
    found = mediation(size, loss, y, cluster, rng=np.random.default_rng(6), controls=control, resamples=5)
    one = np.ones(len(y))
    a = np.linalg.lstsq(np.column_stack([one, control, size]), loss, rcond=None)[0][2]
    direct, b = np.linalg.lstsq(np.column_stack([one, control, size, loss]), y, rcond=None)[0][2:]
    total = np.linalg.lstsq(np.column_stack([one, control, size]), y, rcond=None)[0][2]
    np.testing.assert_allclose([found.indirect, found.direct, found.total], [a * b, direct, total], rtol=1e-9)
    np.testing.assert_allclose(found.resamples[:, :2].sum(1), found.resamples[:, 2], rtol=1e-8)


def test_the_mediation_interval_covers():
    rng, tables, covered = np.random.default_rng(7), 200, 0
    for _ in range(tables):
        low, high = mediation(*treated(rng), rng=rng, resamples=400).interval()
        covered += low <= -0.4 <= high
    assert stats.binom.ppf(0.001, tables, 0.92) <= covered


def test_mediation_refuses_few_clusters_and_collinear_columns():
    size, loss, y, cluster = treated(np.random.default_rng(8))
    with pytest.raises(ValueError, match="at least 6"):
        mediation(size, loss, y, cluster % 5, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="collinear"):
        mediation(size, 2 * size, y, cluster, rng=np.random.default_rng(0))


@pytest.mark.parametrize("margin", [0.1, (-0.05, 0.3)])
def test_equivalence_is_statsmodels_two_one_sided_tests(margin):
    values = np.random.default_rng(9).normal(0.05, 0.08, size=9)
    found = equivalence(cluster_mean(values, range(9)), margin)
    low, high = (-margin, margin) if isinstance(margin, float) else margin
    p, first, second = DescrStatsW(values).ttost_mean(low, high)
    np.testing.assert_allclose([found.p, found.p_low, found.p_high], [p, first[1], second[1]], rtol=1e-9)
    assert found.equivalent == (found.interval[0] >= low and found.interval[1] <= high) == (p <= 0.05)
    with pytest.raises(ValueError, match="low < high"):
        equivalence(cluster_mean(values, range(9)), 0.0)
