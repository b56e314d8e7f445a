import itertools

import numpy as np
import pytest
from scipy import stats

from interface.analysis import clustered_fit, wild_bootstrap


def table(rng, g=6, each=5, slope=0.0):
    cluster = np.repeat(np.arange(g), each)
    x = rng.normal(size=g * each)
    y = slope * x + rng.normal(size=g)[cluster] + 0.3 * rng.normal(size=g)[cluster] * x + rng.normal(size=g * each)
    return np.column_stack([np.ones(g * each), x]), y, cluster


@pytest.mark.parametrize("against", [0.0, 0.4])
def test_cluster_sums_give_the_bootstrap_that_refits_every_table(against):
    design, y, cluster = table(np.random.default_rng(0), g=5)

    def t(outcome):
        fit = clustered_fit(design, outcome, cluster)
        return (fit.coefficients[1] - against) / np.sqrt(fit.covariance[1, 1])

    alpha = np.mean(y - against * design[:, 1])
    null = alpha + against * design[:, 1]
    restricted = [abs(t(null + (y - null) * np.array(s)[cluster])) for s in itertools.product([1, -1], repeat=5)]
    test = wild_bootstrap(design, y, cluster, [0, 1])
    assert test.enumerated and test.draws == 32
    np.testing.assert_allclose(test.p_value(against), np.mean(np.array(restricted) >= abs(t(y)) * (1 - 1e-9)))


def test_it_keeps_its_level_and_its_interval_covers():
    rng, tables = np.random.default_rng(1), 300
    p, covered = [], 0
    for i in range(tables):
        test = wild_bootstrap(*table(rng, g=8, slope=0.5), [0, 1])
        p.append(test.p_value(0.5))
        if i < 60:
            low, high = test.interval(0.9)
            covered += low <= 0.5 <= high
            assert (p[-1] > 0.1) == (low <= 0.5 <= high)
    assert np.mean(np.array(p) <= 0.05) <= stats.binom.ppf(0.999, tables, 0.05) / tables
    assert np.mean(np.array(p) <= 0.5) > 0.3, "p-values spread over the unit interval"
    assert covered >= stats.binom.ppf(0.001, 60, 0.85)


def test_many_clusters_need_randomness_and_use_it():
    design, y, cluster = table(np.random.default_rng(2), g=14, slope=1.0)
    with pytest.raises(ValueError, match="give rng"):
        wild_bootstrap(design, y, cluster, [0, 1])
    test = wild_bootstrap(design, y, cluster, [0, 1], rng=np.random.default_rng(3), draws=999)
    assert test.draws == 1000 and test.p_value(0.0) < 0.05 < test.p_value(1.0)


def test_four_clusters_cannot_reject_and_have_no_finite_interval():
    test = wild_bootstrap(*table(np.random.default_rng(4), g=4, slope=5.0), [0, 1])
    assert test.smallest_p == 0.125 and test.p_value(0.0) >= 0.125
    assert np.isinf(test.interval()).all()
