"""Least squares after removing group means: what is left when whatever the group fixes is held equal."""

from __future__ import annotations

import numpy as np

ROUND_OFF = 1e-12  # a constant column centres to round-off, not to 0


def within_slopes(x: np.ndarray, y: np.ndarray, groups: np.ndarray, clusters: np.ndarray, n_clusters: int) -> np.ndarray:
    """Slope of y on x in each cluster after removing group means; nan where x does not vary inside any of its groups.

    A group with one row contributes nothing, by itself. Rows in which x or y is not finite are left out first.

    Args:
        x, y: (n,) regressor and outcome.
        groups: (n,) integer codes >= 0 of what is held equal; a group lies inside one cluster.
        clusters: (n,) integer codes in [0, n_clusters).
        n_clusters: number of clusters c.

    Returns:
        (c,) slopes.

    Source: fixed-effects (within) estimator, Wooldridge, "Econometric Analysis of Cross Section and Panel Data", 2nd ed.,
        section 10.5, in each cluster by itself.
    """
    keep = np.isfinite(x) & np.isfinite(y)
    x, y, groups, clusters = x[keep], y[keep], groups[keep], clusters[keep]
    if not len(x):
        return np.full(n_clusters, np.nan)
    size = np.bincount(groups)
    size = np.maximum(size, 1)
    dx = x - (np.bincount(groups, x) / size)[groups]
    dy = y - (np.bincount(groups, y) / size)[groups]
    xx, xy, level = (np.bincount(clusters, products, n_clusters) for products in (dx * dx, dx * dy, x * x))
    varies = xx > ROUND_OFF * level
    return np.divide(xy, xx, out=np.full(n_clusters, np.nan), where=varies)


def slopes_along(x: np.ndarray, y: np.ndarray, *, axis: int) -> np.ndarray:
    """(i,) slope of y on x along one axis of the design (i, l, n, t), at equal values of the other two, instance by instance."""
    x, y = (np.moveaxis(values, axis, -1) for values in (x, y))
    groups = np.broadcast_to(np.arange(x[..., 0].size).reshape(x.shape[:-1])[..., None], x.shape)
    clusters = np.broadcast_to(np.arange(len(x))[:, None, None, None], x.shape)
    return within_slopes(x.ravel(), y.ravel(), groups.ravel(), clusters.ravel(), len(x))
