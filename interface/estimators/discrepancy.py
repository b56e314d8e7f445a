"""Second-moment discrepancies between two samples: covariance distance and linear discrepancy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, centre, one_of, rowwise, two_samples


def covariance_distance(x: ArrayLike, y: ArrayLike, *, blocks: int | None = None) -> Estimate:
    """Mean absolute difference of covariance entries (divided by n - 1); in the features' squared units, >= 0.

    Low: covariances agree. It says nothing about means.

    Args:
        x, y: (m, d) and (n, d) samples.
        blocks: blocks of rows for the standard error; None: 24, 0: none.

    Returns:
        Estimate with a delete-a-block standard error, n the smaller sample.

    Raises:
        ValueError: if dimensions differ or inputs are malformed.

    Source: Sun and Saenko, "Deep CORAL", 2016; as adapt's cov_distance.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> f"{covariance_distance(x, x + 5):.6f}"
        '0.000000'
    """
    a, b = two_samples(x, y, ("x", "y"))

    def distance(u: Array, v: Array) -> float:
        u, v = centre(u), centre(v)
        return float(np.abs(u.T @ u / (len(u) - 1) - v.T @ v / (len(v) - 1)).mean())

    return _estimate(distance, a, b, blocks)


def linear_discrepancy(x: ArrayLike, y: ArrayLike, *, convention: str = "adapt", blocks: int | None = None) -> Estimate:
    """Largest absolute eigenvalue of the difference of uncentred second moments; in the features' squared units, >= 0.

    Low: no linear function's squared output differs between the samples. Means count.

    Args:
        x, y: (m, d) and (n, d) samples.
        convention: "adapt", or "adapt_normalised": shifted and scaled by the means of the two grand means and standard
            deviations, divided by d.
        blocks: blocks of rows for the standard error; None: 24, 0: none.

    Returns:
        Estimate with a delete-a-block standard error, n the smaller sample.

    Raises:
        ValueError: if the convention is unknown, dimensions differ or inputs are malformed.

    Source: Mansour, Mohri and Rostamizadeh, COLT 2009, section 5 (squared loss, linear functions).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> f"{linear_discrepancy(x, 2 * x) / np.linalg.norm(x, 2) ** 2 * 100:.6f}"
        '3.000000'
    """
    one_of(convention, ("adapt", "adapt_normalised"), "convention")
    a, b = two_samples(x, y, ("x", "y"))

    def distance(u: Array, v: Array) -> float:
        scale = 1.0
        if convention == "adapt_normalised":
            spread, grand = (u.std() + v.std()) / 2, (u.mean() + v.mean()) / 2
            if spread == 0:
                return 0.0
            u, v, scale = (u - grand) / spread, (v - grand) / spread, 1 / u.shape[1]
        return scale * float(np.abs(np.linalg.eigvalsh(u.T @ u / len(u) - v.T @ v / len(v))).max())

    return _estimate(distance, a, b, blocks)


def _estimate(distance: Callable[[Array, Array], float], a: Array, b: Array, blocks: int | None) -> Estimate:
    first = rowwise(lambda rows: distance(a[rows], b), len(a), blocks)
    second = rowwise(lambda rows: distance(a, b[rows]), len(b), blocks)
    stderr = None if first is None or second is None else float(np.hypot(first, second))
    return Estimate(distance(a, b), stderr=stderr, how="plug_in", n=min(len(a), len(b)))
