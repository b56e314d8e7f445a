"""Within and between: what a regressor does inside groups, apart from what groups with more of it do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._contrast import Contrast
from interface.analysis._least_squares import clustered_fit
from interface.analysis.cr2 import cr2

ROUND_OFF = 1e-12  # relative: a constant regressor centres to round-off, not to 0


@dataclass(frozen=True)
class WithinBetween:
    """Slopes of y on x inside groups and between group means; always both, because their mixture can have either sign.

    Args:
        within: the headline: slope at equal group.
        between: slope over group means; its status says why, where groups do not differ or are fewer than 3.
        contextual: between minus within; 0 where it does not matter which groups are compared (Mundlak's test).
        pooled: coefficient of one regression without groups, the number that Simpson's paradox is about; no test is made of it.
    """

    within: Contrast
    between: Contrast
    contextual: Contrast
    pooled: float


def within_between(x: ArrayLike, y: ArrayLike, groups: ArrayLike, clusters: ArrayLike | None = None) -> WithinBetween:
    """Mundlak's regression of y on the deviation of x from its group mean and on that mean; CR2 over clusters.

    Args:
        x, y: (n,) regressor and outcome.
        groups: (n,) labels: families, runs or tasks.
        clusters: (n,) labels of what is independent; by default the groups.

    Raises:
        ValueError: if the shapes differ, a value is not finite, or x does not vary inside any group.

    Source: Mundlak, "On the pooling of time series and cross section data", Econometrica 1978; the within slope equals the
        fixed-effects estimator.

    Example:
        >>> x, group = np.array([0.0, 1, 2, 3, 4, 5]), np.repeat([0, 1, 2], 2)
        >>> found = within_between(x, 2 * x - 5 * group + 0.1 * np.array([0, 1, 1, 0, 0, 2]), group)
        >>> round(found.within.estimate, 2) > 0 > round(found.between.estimate, 2)
        True
    """
    x, y, groups = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), np.asarray(groups)
    if not (x.shape == y.shape == groups.shape and x.ndim == 1):
        raise ValueError(f"within_between: x, y, groups have shapes {x.shape}, {y.shape}, {groups.shape}; give one value a row")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("within_between: x or y holds a value that is not finite; drop or impute it first")
    clusters = groups if clusters is None else np.asarray(clusters)
    codes = np.unique(groups, return_inverse=True)[1]
    count = np.bincount(codes)
    mean = (np.bincount(codes, x) / count)[codes]
    inside, scale = x - mean, np.abs(x).max(initial=0.0)
    if np.abs(inside).max(initial=0.0) <= ROUND_OFF * scale:
        raise ValueError("within_between: x does not vary inside any group; no slope within groups is identified")
    one, n_clusters = np.ones(len(x)), len(np.unique(clusters))
    pooled = float(clustered_fit(np.column_stack([one, x]), y, codes).coefficients[1])
    if len(count) < 3 or np.ptp(mean) <= ROUND_OFF * scale:
        none = Contrast(float("nan"), float("nan"), float("nan"), n_clusters, "CR2", f"{len(count)} groups, needs 3 that differ")
        dummies = (codes[:, None] == np.arange(len(count))).astype(float)
        alone = cr2(np.column_stack([inside, dummies]), y, clusters, [1.0] + [0.0] * len(count))
        return WithinBetween(alone, none, none, pooled)
    design = np.column_stack([one, inside, mean])
    within, between, contextual = (cr2(design, y, clusters, w) for w in ([0.0, 1, 0], [0.0, 0, 1], [0.0, -1, 1]))
    return WithinBetween(within, between, contextual, pooled)
