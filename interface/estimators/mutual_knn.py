"""Mutual nearest neighbours: whether two representations have the same local neighbourhoods."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, centre, neighbour_dependence, one_of, paired

CHUNK = 1 << 21  # entries of the similarity matrix held at a time


def mutual_knn(x: ArrayLike, y: ArrayLike, *, k: int = 10, metric: str = "cosine") -> Estimate:
    """Mean share of a row's k nearest neighbours that both representations agree on; unitless, in [0, 1].

    High: same local geometry. k / (n - 1) by chance: compare with that, or use `permutation_test`.

    Args:
        x, y: (n, p) and (n, q) representations of the same rows.
        k: neighbours, below n - 1 (at n - 1 the value is 1 whatever the features).
        metric: "cosine" (published) or "euclidean".

    Returns:
        Estimate with the standard error of a mean over rows, widened for rows that are neighbours, whose overlaps go
        together (unwidened it is too small by a third). "no signal" and NaN where all rows of a representation
        are equal, so that neighbours mean nothing.

    Raises:
        ValueError: if k is not in [1, n - 2] or inputs are malformed.

    Source: Huh et al., "The platonic representation hypothesis", ICML 2024, arXiv:2405.07987, eq. (11)-(12).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 5))
        >>> float(mutual_knn(x, 2 * x)), bool(mutual_knn(x, np.random.default_rng(1).normal(size=(100, 5))) < 0.3)
        (1.0, True)
    """
    one_of(metric, ("cosine", "euclidean"), "metric")
    a, b = paired(x, y, ("x", "y"), min_rows=3)
    n = len(a)
    if not 1 <= k <= n - 2:
        raise ValueError(f"k is {k}; allowed: 1 to {n - 2}, two below the number of rows")
    a, b = _prepared(a, metric), _prepared(b, metric)
    if not np.ptp(a, axis=0).any() or not np.ptp(b, axis=0).any():
        return Estimate(float("nan"), how="plug_in", n=n, status="no signal: all rows of a representation are equal")
    near = [_neighbours(rows, k) for rows in (a, b)]
    shared = np.array([len(np.intersect1d(p, q, assume_unique=True)) for p, q in zip(*near, strict=True)]) / k
    spread = neighbour_dependence(shared - shared.mean(), *near)
    stderr = spread * float(shared.std(ddof=1) / np.sqrt(n))
    return Estimate(float(shared.mean()), stderr=stderr, how="plug_in", n=n)


def _prepared(x: Array, metric: str) -> Array:
    if metric == "euclidean":
        return centre(x)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1.0)


def _neighbours(x: Array, k: int) -> np.ndarray:
    """(n, k) indices of the nearest other rows, in chunks of rows."""
    n = len(x)
    squares = (x**2).sum(1)
    found = np.empty((n, k), dtype=np.intp)
    step = max(1, CHUNK // n)
    for start in range(0, n, step):
        stop = min(start + step, n)
        closeness = 2 * x[start:stop] @ x.T - squares
        closeness[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        found[start:stop] = np.argpartition(closeness, -k, axis=1)[:, -k:]
    return found
