"""Two-way clustering: rows that share a model and rows that share a task are both dependent."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._contrast import Contrast, contrast
from interface.analysis._least_squares import clustered_fit

FEWEST = 6  # groups on either side below which the variance is too noisy to use


def two_way(design: ArrayLike, y: ArrayLike, first: ArrayLike, second: ArrayLike, weights: ArrayLike) -> Contrast:
    """weights'coefficients in units of y, with errors that may depend inside either grouping; t with fewer groups less 1.

    Args:
        design: (n, k), the constant included.
        y: (n,).
        first, second: (n,) labels of the two groupings.
        weights: (k,).

    Raises:
        ValueError: if a grouping has fewer than 6 groups, or the columns are collinear.

    Source: Cameron, Gelbach and Miller, "Robust inference with multiway clustering", J. Business & Economic Statistics 2011,
        equation 2.11, each of its three matrices with its own small-sample factor.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> model, task = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
        >>> effect = rng.normal(size=8)[model] + rng.normal(size=6)[task]
        >>> mean = lambda *groups: two_way(np.ones((48, 1)), effect, *groups, [1.0]).stderr
        >>> bool(mean(model, task) > mean(np.arange(48), np.arange(48)))
        True
    """
    matrix, outcome, c = (np.asarray(v, dtype=np.float64) for v in (design, y, weights))
    codes = [np.unique(np.asarray(labels), return_inverse=True)[1] for labels in (first, second)]
    counts = [int(code.max()) + 1 for code in codes]
    if min(counts) < FEWEST:
        raise ValueError(f"two_way: the groupings have {counts[0]} and {counts[1]} groups; at least {FEWEST} of each are needed")
    fits = [clustered_fit(matrix, outcome, code) for code in (*codes, codes[0] * counts[1] + codes[1])]
    variances = [float(c @ fit.covariance @ c) for fit in fits]
    variance = max(variances[0] + variances[1] - variances[2], max(variances[:2]))  # the difference can be negative by chance
    return contrast(c @ fits[0].coefficients, variance, min(counts) - 1, min(counts), "CR1 over two groupings")
