import numpy as np
import pytest
from scipy import linalg, stats

from interface.analysis import cluster_mean, cr2


def table(rng, sizes):
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=len(cluster)) + rng.normal(size=len(sizes))[cluster]
    return np.column_stack([np.ones(len(x)), x]), rng.normal(size=len(sizes))[cluster] + rng.normal(size=len(x)), cluster


@pytest.mark.parametrize("sizes", [(5, 5, 5, 5), (1, 2, 9, 4, 3), (30, 2, 2)])
def test_it_is_its_definition_with_dense_matrices(sizes):
    design, y, cluster = table(np.random.default_rng(0), sizes)
    c = np.array([0.0, 1.0])
    bread = np.linalg.inv(design.T @ design)
    residual = np.eye(len(y)) - design @ bread @ design.T
    errors = residual @ y
    score, columns = [], []
    for g in range(len(sizes)):
        rows = cluster == g
        root = linalg.inv(linalg.sqrtm(residual[np.ix_(rows, rows)]).real)
        adjusted = root @ design[rows] @ bread @ c
        score.append(adjusted @ errors[rows])
        columns.append(residual[:, rows] @ adjusted)
    gram = np.array(columns) @ np.array(columns).T
    found = cr2(design, y, cluster, c)
    np.testing.assert_allclose(found.estimate, np.linalg.lstsq(design, y, rcond=None)[0][1], rtol=1e-10)
    np.testing.assert_allclose(found.stderr, np.sqrt(np.sum(np.square(score))), rtol=1e-8)
    np.testing.assert_allclose(found.df, np.trace(gram) ** 2 / (gram**2).sum(), rtol=1e-8)
    np.testing.assert_allclose(found.p_value(0.3), 2 * stats.t.sf(abs(found.estimate - 0.3) / found.stderr, found.df), rtol=1e-12)


def test_with_a_slope_of_its_own_a_balanced_cluster_is_one_value():
    """Equal designs in every cluster: CR2 of the slope is the t test over the clusters' own slopes."""
    rng = np.random.default_rng(1)
    x = np.tile(np.linspace(-1, 1, 5), 7)
    cluster = np.repeat(np.arange(7), 5)
    y = rng.normal(size=35) + rng.normal(size=7)[cluster] * x
    own = [np.polyfit(x[cluster == g], y[cluster == g], 1)[0] for g in range(7)]
    mean, found = cluster_mean(own, range(7)), cr2(np.column_stack([np.ones(35), x]), y, cluster, [0, 1])
    np.testing.assert_allclose([found.estimate, found.stderr, found.df], [mean.estimate, mean.stderr, 6], rtol=1e-9)


def test_absorbed_clusters_do_not_break_it():
    design, y, cluster = table(np.random.default_rng(2), (4, 4, 4, 4, 4))
    dummies = (cluster[:, None] == np.arange(5)).astype(float)
    found = cr2(np.column_stack([design[:, 1], dummies]), y, cluster, [1.0, 0, 0, 0, 0, 0])
    centred = [v - np.array([v[cluster == g].mean() for g in range(5)])[cluster] for v in (design[:, 1], y)]
    np.testing.assert_allclose(found.estimate, centred[0] @ centred[1] / (centred[0] @ centred[0]), rtol=1e-9)
    assert 1 < found.df <= 4 and found.status == "ok"


def test_a_constant_outcome_makes_no_test():
    found = cr2(np.ones((6, 1)), np.ones(6), [0, 0, 1, 1, 2, 2], [1.0])
    assert found.p_value(0.0) == 1.0 and "constant" in found.status and np.isnan(found.interval()).all()
