"""Standard errors of means over rows that are each other's neighbours, and so are not independent."""

from __future__ import annotations

import numpy as np

from interface.estimators._base.inputs import Array


def neighbour_dependence(residuals: Array, *neighbours: np.ndarray) -> float:
    """Factor, >= 1, by which neighbours' common residuals widen the standard error of a mean over rows.

    The variance of the sum is estimated by the products of residuals of all pairs that are neighbours either way, in
    any of the lists.

    Args:
        residuals: (n,) deviations from the mean.
        neighbours: (n, k) indices of every row's neighbours, one or more lists.

    Source: Chen and Shao, "Normal approximation under local dependence", Annals of Probability 32, 2004.
    """
    from scipy.sparse import csr_array  # here, because it costs import time

    n = len(residuals)
    columns = np.concatenate([who.ravel() for who in neighbours])
    starts = np.concatenate([np.repeat(np.arange(n), who.shape[1]) for who in neighbours])
    links = csr_array((np.ones(len(columns)), (starts, columns)), shape=(n, n))
    links = links.maximum(links.T)
    links.data[:] = 1.0  # repeated links were summed
    own = float(residuals @ residuals)
    return float(np.sqrt(max(1.0, 1.0 + float(residuals @ (links @ residuals)) / own))) if own > 0 else 1.0
