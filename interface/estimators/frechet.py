"""Frechet (Bures-Wasserstein) distance between the Gaussians that fit two samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import EPS, Array, Moments, Statistics, centre, jackknife, one_of, rowwise, two_samples

CONVENTIONS = ("unbiased_covariance", "pot", "adapt_normalised")


def frechet(
    x: ArrayLike | Statistics,
    y: ArrayLike | Statistics,
    *,
    mean: bool = True,
    convention: str = "unbiased_covariance",
    blocks: int | None = None,
) -> Estimate:
    """|mean difference|^2 + tr(A + B - 2 (A B)^1/2); in the features' squared units, >= 0.

    Low: the samples agree in mean and covariance. Biased upwards by about 1/n: `frechet_infinity` extrapolates.

    Args:
        x, y: (m, d) and (n, d) samples, or a Statistics of each (streaming).
        mean: count the means; False is the squared Bures distance of the covariances.
        convention: "unbiased_covariance" divides covariances by n - 1 (torchmetrics, adapt); "pot" by n;
            "adapt_normalised" shifts and scales by the mean of the two grand means and standard deviations (ddof 0),
            and divides by d.
        blocks: blocks of rows for the standard error; None: 24 (none for d > 200), 0: none.

    Returns:
        Estimate with a delete-a-block standard error, n the smaller sample. Rank-deficient covariances are no trouble.

    Raises:
        ValueError: if the convention is unknown, dimensions differ, or inputs are malformed.

    Source: Dowson and Landau, J. Multivariate Analysis 12, 1982, eq. (16); as FID: Heusel et al., NeurIPS 2017.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> f"{frechet(x, x + [3, 0, 0]):.6f}"
        '9.000000'
    """
    one_of(convention, CONVENTIONS, "convention")
    if isinstance(x, Statistics) or isinstance(y, Statistics):
        return _streamed(x, y, mean, convention)
    a, b = two_samples(x, y, ("x", "y"))
    if convention == "adapt_normalised":
        spread, grand = (a.std() + b.std()) / 2, (a.mean() + b.mean()) / 2
        if spread == 0:
            return Estimate(0.0, how="plug_in", n=min(len(a), len(b)), status="no signal")
        a, b = (a - grand) / spread / np.sqrt(a.shape[1]), (b - grand) / spread / np.sqrt(a.shape[1])
    ddof = 0 if convention == "pot" else 1
    value = _distance(a, b, mean, ddof)
    chosen = 0 if blocks is None and a.shape[1] > 200 else blocks
    first = rowwise(lambda rows: _distance(a[rows], b, mean, ddof), len(a), chosen)
    second = rowwise(lambda rows: _distance(a, b[rows], mean, ddof), len(b), chosen)
    stderr = None if first is None or second is None else float(np.hypot(first, second))
    return Estimate(value, stderr=stderr, how="plug_in", n=min(len(a), len(b)))


def frechet_infinity(x: ArrayLike, y: ArrayLike, *, mean: bool = True, blocks: int | None = None) -> Estimate:
    """Frechet distance extrapolated to infinite samples; in the features' squared units, possibly < 0 by chance.

    Low: the populations agree in mean and covariance. Intercept of the distances of halves, thirds and quarters of
    the samples on 1/n.

    Args:
        x, y: (m, d) and (n, d) samples; take m = n, since parts shrink together.
        mean: count the means.
        blocks: blocks of rows for the standard error; None: 24 (none for d > 100), 0: none.

    Returns:
        Estimate with a delete-a-block standard error. Status "n <= 4 d: extrapolation is not linear" where parts are
        smaller than the dimension.

    Raises:
        ValueError: if dimensions differ, a sample has fewer than 8 rows, or inputs are malformed.

    Source: Chong and Forsyth, "Effectively unbiased FID", CVPR 2020, section 4. Deviation: disjoint parts, all rows
        used at every size.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(400, 4)), rng.normal(size=(400, 4))
        >>> bool(abs(frechet_infinity(a, b, blocks=0)) < frechet(a, b))
        True
    """
    a, b = two_samples(x, y, ("x", "y"), min_rows=8)
    value = _extrapolated(a, b, mean)
    chosen = 0 if blocks is None and a.shape[1] > 100 else blocks
    first = rowwise(lambda rows: _extrapolated(a[rows], b, mean), len(a), chosen)
    second = rowwise(lambda rows: _extrapolated(a, b[rows], mean), len(b), chosen)
    stderr = None if first is None or second is None else float(np.hypot(first, second))
    n = min(len(a), len(b))
    status = "ok" if n > 4 * a.shape[1] else "n <= 4 d: extrapolation is not linear"
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status=status)


def _extrapolated(a: Array, b: Array, mean: bool) -> float:
    # by distance to the mean, so that neither the caller's row order nor a rotation matters
    orders = [np.argsort((centre(rows) ** 2).sum(1)) for rows in (a, b)]
    parts = [order[np.random.default_rng(len(order)).permutation(len(order))] for order in orders]
    sizes, values = [], []
    for k in (1, 2, 3, 4):
        found = [_distance(a[parts[0][i::k]], b[parts[1][i::k]], mean, 1) for i in range(k)]
        sizes.append(float(k))  # parts have 1/k of the rows, so the bias grows as k
        values.append(float(np.mean(found)))
    slope, intercept = np.polyfit(sizes, values, 1)
    del slope
    return float(intercept)


def _distance(a: Array, b: Array, mean: bool, ddof: int) -> float:
    gap = (a - a[0]).mean(0) - (b - b[0]).mean(0) + (a[0] - b[0])
    u, v = centre(a), centre(b)
    m, n = len(a) - ddof, len(b) - ddof
    traces = (u**2).sum() / m + (v**2).sum() / n
    # |A^1/2 B^1/2|_* = |U V'|_* of any factors A = U'U: those of the rows themselves lose no small singular value
    left, right = _factor(u) / np.sqrt(m), _factor(v) / np.sqrt(n)
    nuclear = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return max(float((gap @ gap if mean else 0.0) + traces - 2 * nuclear), 0.0)


def _factor(x: Array) -> Array:
    """A matrix of at most d rows with the same x'x."""
    return x if len(x) <= x.shape[1] else np.asarray(np.linalg.qr(x, mode="r"))


def _streamed(x: ArrayLike | Statistics, y: ArrayLike | Statistics, mean: bool, convention: str) -> Estimate:
    if not (isinstance(x, Statistics) and isinstance(y, Statistics)):
        raise ValueError("x and y: give two arrays or two Statistics")
    if convention == "adapt_normalised":
        raise ValueError("convention='adapt_normalised' needs the rows")
    a, b = x.moments, y.moments
    if a.d != b.d:
        raise ValueError(f"y has {b.d} columns; allowed: {a.d}, as x")
    ddof = 0 if convention == "pot" else 1
    value = _from_moments(a, b, mean, ddof)
    first = jackknife([_from_moments(part, b, mean, ddof) for part in x.leave_out()])
    second = jackknife([_from_moments(a, part, mean, ddof) for part in y.leave_out()])
    stderr = None if first is None or second is None else float(np.hypot(first, second))
    return Estimate(value, stderr=stderr, how="plug_in", n=min(a.n, b.n))


def _from_moments(a: Moments, b: Moments, mean: bool, ddof: int) -> float:
    gap = (a.pivot - b.pivot) + a.shift - b.shift
    roots, traces = [], 0.0
    for part in (a, b):
        values, vectors = np.linalg.eigh(part.scatter() / (part.n - ddof))
        values = np.where(values > 4 * EPS * np.sqrt(part.d) * max(values[-1], 0.0), values, 0.0)
        traces += float(values.sum())
        roots.append(np.sqrt(values)[:, None] * vectors.T)
    nuclear = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return max(float((gap @ gap if mean else 0.0) + traces - 2 * nuclear), 0.0)
