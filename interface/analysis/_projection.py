"""Variable projection from moments: thousands of fits of a + b exp(-k u) that never touch the rows again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import factorial

import numpy as np

from interface.analysis._resampling import cluster_weights

ORDER = 10  # terms of the expansion in k: relative error of the moments below 2e-9 within REACH
REACH = 0.15  # in k, for u in [-1, 1]
LOWEST, HIGHEST = 0.01, 10.0  # k: below, the curve is a line; above, it spans 20 e-folds
ROUNDS = 80
CHUNK = 250  # resamples at a time, where every row is its own cluster
TOLERANCE = 1e-10  # of k

CONVERGED, BOUND, ITERATIONS = 0, 1, 2
STATUS = ("converged", "bound hit", "max iterations")


def project(
    u: np.ndarray, y: np.ndarray, codes: np.ndarray, resamples: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of y = a + b exp(-k u) over all rows, then in every resample of clusters.

    For a given k the curve is linear, so that only the profile over k is searched. It depends on the rows through weighted means
    of exp(-k u), its square and its product with y; their Taylor expansions in k around a centre are sums over clusters, formed
    once and then weighted by a matrix product. A resample whose k leaves the reach of a centre is moved to the next one.

    Args:
        u: (n,) regressor scaled to [-1, 1].
        y: (n,) outcome, centred and scaled.
        codes: (n,) cluster codes.
        resamples: (b, g) weights of clusters, in chunks that are made when they are asked for.

    Returns:
        (1 + b,) a, b, k and status code; the first of each is the fit to all rows.

    Source: Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
        separate", SIAM J. Numerical Analysis 1973.
    """
    g = int(codes.max()) + 1
    each = g == len(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0])
    u, y = u[order], y[order]
    cache: dict[float, np.ndarray] = {}

    def sums(centre: float) -> np.ndarray:
        if centre not in cache:
            if len(cache) > 6:
                cache.clear()
            e = np.exp(-centre * (u + 1))
            powers = [(-u) ** j for j in range(ORDER)]
            columns = [np.ones_like(u), y]
            columns += [p * e for p in powers] + [p * e * y for p in powers] + [2.0**j * p * e * e for j, p in enumerate(powers)]
            features = np.column_stack(columns)
            cache[centre] = features if each else np.add.reduceat(features, starts)
        return cache[centre]

    grid = np.geomspace(LOWEST, HIGHEST, 40)
    e = np.exp(-grid[:, None] * (u + 1))
    cross = e @ (y - y.mean())
    start = grid[np.argmax(cross**2 / ((e - e.mean(1, keepdims=True)) ** 2).sum(1))]
    full = _search(np.ones((1, g)), np.array([start]), sums)
    parts = [full, *(_search(weights, np.full(len(weights), full[2][0]), sums) for weights in resamples)]
    a, b, k, status = (np.concatenate(values) for values in zip(*parts, strict=True))
    return a, b, k, status


def _search(
    weights: np.ndarray, k: np.ndarray, sums: Callable[[float], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """k that minimises the profiled squared error in every resample, found centre by centre."""
    origin = float(k[0])
    k = k.copy()
    a, b = np.empty_like(k), np.empty_like(k)
    status = np.full(len(k), ITERATIONS)
    todo = np.arange(len(k))
    for _ in range(ROUNDS):
        nearest = np.round((k[todo] - origin) / (2 * REACH))
        for cell in np.unique(nearest):
            rows = todo[nearest == cell]
            centre = float(np.clip(origin + 2 * REACH * cell, LOWEST, HIGHEST))
            s = weights[rows] @ sums(centre)
            s = s / s[:, :1]
            moments = s[:, 1], *np.split(s[:, 2:], 3, axis=1)
            step, settled = _newton(moments, k[rows] - centre, LOWEST - centre, HIGHEST - centre)
            k[rows] = centre + step
            e, ey, ee = (_taylor(m, step, 0) for m in moments[1:])
            spread = ee - e * e
            b[rows] = np.divide(ey - e * moments[0], spread, out=np.zeros_like(e), where=spread > 0)
            a[rows] = moments[0] - b[rows] * e
            b[rows] *= np.exp(-centre)  # the moments are those of exp(-k u - centre)
            at_bound = settled & ((k[rows] <= LOWEST * (1 + 1e-9)) | (k[rows] >= HIGHEST * (1 - 1e-9)))
            status[rows[settled]] = CONVERGED
            status[rows[at_bound]] = BOUND
        todo = todo[status[todo] == ITERATIONS]
        if not len(todo):
            break
    return a, b, k, status


def _newton(moments: tuple[np.ndarray, ...], d: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps d from the centre, and whether they are the optimum (inside the reach, or at a bound of k)."""
    y, *series = moments
    edge = 1.2 * REACH
    settled = np.zeros(len(d), bool)
    for _ in range(25):
        (e, ey, ee), (e1, ey1, ee1), (e2, ey2, ee2) = ([_taylor(m, d, o) for m in series] for o in (0, 1, 2))
        n, n1, n2 = ey - e * y, ey1 - e1 * y, ey2 - e2 * y
        v, v1, v2 = ee - e * e, ee1 - 2 * e * e1, ee2 - 2 * e1 * e1 - 2 * e * e2
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = 2 * n1 / n - v1 / v  # of the log of the explained variance n²/v, which is to be largest
            curve = 2 * (n2 / n - (n1 / n) ** 2) - (v2 / v - (v1 / v) ** 2)
            newton = np.where(curve < 0, -slope / curve, np.sign(slope) * REACH)
        newton = np.clip(np.nan_to_num(newton), -REACH, REACH)
        moved = np.clip(d + newton, max(low, -edge), min(high, edge))
        change = moved - d
        d = moved
        settled = np.abs(change) < TOLERANCE
        if settled.all():
            break
    stuck = np.abs(d) >= edge * (1 - 1e-12)
    at_bound = (d <= low + 1e-12) | (d >= high - 1e-12)
    return d, settled & (~stuck | at_bound)


def _taylor(moment: np.ndarray, d: np.ndarray, derivative: int) -> np.ndarray:
    """(b,) value of a moment, or of its derivative in k, at a step d from the centre."""
    total = np.zeros_like(d)
    for j in range(ORDER - 1, derivative - 1, -1):  # Horner
        total = total * d + moment[:, j] / factorial(j - derivative)
    return total


def in_chunks(n_clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Weights of clusters, a few hundred resamples at a time: rows that are their own cluster need no matrix of all of them."""
    for done in range(0, resamples, CHUNK):
        yield cluster_weights(n_clusters, min(CHUNK, resamples - done), rng)
