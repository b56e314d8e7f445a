"""Alignment and uniformity of representations on the unit sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, matrix, paired, positive

CHUNK = 1 << 21  # entries of the distance matrix held at a time


def alignment(x: ArrayLike, y: ArrayLike, *, alpha: float = 2.0) -> Estimate:
    """Mean distance, to the power alpha, of two views of the same input; in the features' units^alpha, >= 0.

    Low: views of one input lie close together. 0 also for a collapsed encoder: read it beside uniformity.

    Args:
        x, y: (n, d) representations of two views, row by row; on the unit sphere, as published, if the caller
            normalises them.
        alpha: power of the distance.

    Returns:
        Estimate with the standard error of a mean over pairs.

    Raises:
        ValueError: if x and y differ in shape, alpha is not positive, or an input is malformed.

    Source: Wang and Isola, ICML 2020, arXiv:2005.10242, section 4.1.

    Example:
        >>> x = np.eye(4)
        >>> float(alignment(x, x)), f"{alignment(x, np.roll(x, 1, axis=0)):.4f}"
        (0.0, '2.0000')
    """
    positive(alpha, "alpha")
    a, b = paired(x, y, ("x", "y"))
    if a.shape != b.shape:
        raise ValueError(f"y has {b.shape[1]} columns; allowed: {a.shape[1]}, as x")
    terms = np.linalg.norm(a - b, axis=1) ** alpha
    n = len(terms)
    stderr = float(terms.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Estimate(float(terms.mean()), stderr=stderr, how="plug_in", n=n)


def uniformity(x: ArrayLike, *, t: float = 2.0, normalise: bool = False) -> Estimate:
    """Log of the mean Gaussian potential exp(-t |x_i - x_j|^2) over pairs; nats, in [-4 t, 0] on the unit sphere.

    Low: representations fill the sphere evenly (about -2 t in many dimensions). 0: collapse. The logarithm of an
    unbiased mean is a little too low on average, by half its squared standard error.

    Args:
        x: (n, d) representations, on the unit sphere if the caller normalises them, as published.
        t: inverse width of the potential.
        normalise: divide each row by its norm here; a row of 0 stays 0.

    Returns:
        Estimate with the delta-method standard error of a log U-statistic. Status "not on the unit sphere" where
        norms differ from 1 by more than 1e-3, so that the range does not hold; "one row" and NaN.

    Raises:
        ValueError: if t is not positive or x is malformed.

    Source: Wang and Isola, ICML 2020, arXiv:2005.10242, eq. (4.2); U-statistics: Hoeffding, 1948.

    Example:
        >>> float(uniformity(np.ones((5, 1)))), f"{uniformity(np.eye(6)):.4f}"
        (0.0, '-4.0000')
    """
    from scipy.special import logsumexp  # here, because it costs import time

    positive(t, "t")
    rows = matrix(x, "x")
    n = len(rows)
    if n < 2:
        return Estimate(float("nan"), how="plug_in", n=n, status="one row")
    norms = np.linalg.norm(rows, axis=1)
    if normalise:
        rows, norms = rows / np.where(norms > 0, norms, 1.0)[:, None], np.where(norms > 0, 1.0, 0.0)
    squares = (rows**2).sum(1)
    log_row = np.empty(n)  # ln of a row's mean potential to the other rows
    log_square = np.empty(n)  # ln of its mean squared potential
    step = max(1, CHUNK // n)
    for start in range(0, n, step):
        block = slice(start, min(start + step, n))
        distance = np.maximum(squares[block, None] + squares - 2 * rows[block] @ rows.T, 0.0)
        power = -t * distance
        power[np.arange(power.shape[0]), np.arange(block.start, block.stop)] = -np.inf
        log_row[block] = logsumexp(power, axis=1) - np.log(n - 1)
        log_square[block] = logsumexp(2 * power, axis=1) - np.log(n - 1)
    value = float(logsumexp(log_row) - np.log(n))
    on_sphere = bool(np.abs(norms - 1).max() <= 1e-3)
    stderr = _stderr(np.exp(log_row - value), np.exp(float(logsumexp(log_square) - np.log(n)) - 2 * value))
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status="ok" if on_sphere else "not on the unit sphere")


def _stderr(relative: Array, second: float) -> float | None:
    """Of the log of a U-statistic, from row means over its value and the mean squared kernel over its square.

    Both components of Hoeffding's variance: on an even sphere row means hardly differ, and the second one counts.
    """
    n = len(relative)
    if n < 3 or not np.isfinite(relative).all() or not np.isfinite(second):
        return None
    pairs = max(second - 1.0, 0.0)
    rows = float(relative.var(ddof=1)) - pairs / (n - 1)  # the row means' own noise taken off; may fall below 0
    variance = 4 * (n - 2) / (n * (n - 1)) * rows + 2 / (n * (n - 1)) * pairs
    return float(np.sqrt(max(variance, pairs / (n * (n - 1)))))
