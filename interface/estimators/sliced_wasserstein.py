"""Sliced Wasserstein distance between two samples, by random projections."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, matrix, one_of, positive, rowwise, two_samples


def sliced_wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    *,
    p: float = 2.0,
    projections: int | ArrayLike = 128,
    reduce: str = "mean",
    rng: np.random.Generator | None = None,
    blocks: int | None = None,
) -> Estimate:
    """(mean over directions of W_p^p of the projections)^(1/p); in the features' own units, >= 0.

    Low: projections have the same distribution. Biased upwards at small n, as every plug-in Wasserstein distance.

    Args:
        x, y: (m, d) and (n, d) samples; sizes may differ.
        p: order, >= 1.
        projections: how many random directions, or (d, L) fixed ones, whose columns are normalised here.
        reduce: "mean", or "max" (max-sliced: the largest over the directions).
        rng: source of the directions; None is a generator with seed 0.
        blocks: blocks of rows for the standard error; None: 24, 0: none.

    Returns:
        Estimate whose standard error adds sampling (delete-a-block, at fixed directions) and, for random directions
        and "mean", the Monte Carlo error over directions; n the smaller sample.

    Raises:
        ValueError: if p < 1, a direction is 0, an option is unknown, or inputs are malformed.

    Source: Bonneel et al., J. Math. Imaging and Vision 51, 2015; max-sliced: Deshpande et al., CVPR 2019.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 2))
        >>> f"{sliced_wasserstein(x, x + [3, 0], projections=[[1, 0], [0, 1]], reduce='max'):.4f}"
        '3.0000'
    """
    one_of(reduce, ("mean", "max"), "reduce")
    if not positive(p, "p") >= 1:
        raise ValueError(f"p is {p}; allowed: a number >= 1")
    a, b = two_samples(x, y, ("x", "y"), min_rows=1)
    random = isinstance(projections, int)
    if isinstance(projections, int):
        if projections < 1:
            raise ValueError(f"projections is {projections}; allowed: a number >= 1, or (d, L) directions")
        drawn = np.random.default_rng(0) if rng is None else rng
        directions = drawn.normal(size=(a.shape[1], projections))
    else:
        directions = matrix(projections, "projections")
        if len(directions) != a.shape[1]:
            raise ValueError(f"projections has {len(directions)} rows; allowed: {a.shape[1]}, the features' columns")
    norms = np.linalg.norm(directions, axis=0)
    if (norms == 0).any():
        raise ValueError("projections holds a direction of 0")
    origin = a[0]  # a common shift, which changes no distance and saves digits
    u, v = (a - origin) @ (directions / norms), (b - origin) @ (directions / norms)
    # in units of their size: powers of extreme scales must neither overflow nor vanish
    unit = max(float(np.abs(u).max()), float(np.abs(v).max())) or 1.0
    u, v = u / unit, v / unit
    costs = _costs(u, v, p)

    def reduced(c: Array) -> float:
        return unit * float((c.mean() if reduce == "mean" else c.max()) ** (1 / p))

    value = reduced(costs)
    sampling = [
        rowwise(lambda rows: reduced(_costs(u[rows], v, p)), len(u), blocks),
        rowwise(lambda rows: reduced(_costs(u, v[rows], p)), len(v), blocks),
    ]
    stderr = None
    if sampling[0] is not None and sampling[1] is not None:
        carlo = 0.0
        if random and reduce == "mean" and len(costs) > 1 and costs.mean() > 0:
            carlo = value / p * float(costs.std(ddof=1) / np.sqrt(len(costs)) / costs.mean())
        stderr = float(np.sqrt(sampling[0] ** 2 + sampling[1] ** 2 + carlo**2))
    return Estimate(value, stderr=stderr, how="monte_carlo" if random else "plug_in", n=min(len(a), len(b)))


def _costs(u: Array, v: Array, p: float) -> Array:
    """(L,) W_p^p of the columns: quantile functions are step functions, compared on their common steps."""
    u, v = np.sort(u, axis=0), np.sort(v, axis=0)
    m, n = len(u), len(v)
    if m == n:
        return np.asarray((np.abs(u - v) ** p).mean(0))
    # levels i / m and j / n in units of 1 / (m n), as integers, so that equal levels are equal
    levels = np.unique(np.concatenate([np.arange(1, m + 1) * n, np.arange(1, n + 1) * m]))
    widths = np.diff(levels, prepend=0) / (m * n)
    return np.asarray(widths @ np.abs(u[(levels - 1) // n] - v[(levels - 1) // m]) ** p)
