"""The hinge: two lines that meet at a knot, with an interval for where."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from interface.analysis._link import RESAMPLES, LinkFit, checked
from interface.analysis._resampling import cluster_weights

KNOTS = 101
TRIMMED = 0.1  # share of the rows on either side of which no knot is looked for
CHUNK = 100


def hinge(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> LinkFit:
    """y = level + below (x - knot) left of the knot, level + above (x - knot) right of it; parameters knot, level, below, above.

    The knot is searched on a grid between the 10th and 90th percentile of x and refined, on the rows for the estimate and by a
    parabola in resamples; "bound hit": the best one is at an end, so that there may be none. Its interval means nothing where
    `below` and `above` do not differ.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        clusters: (n,) labels of what is independent; by default each row.
        rng: randomness of the bootstrap.
        resamples: bootstrap resamples of clusters.

    Raises:
        ValueError: if the rows do not identify four parameters, or shapes and values are not as said.

    Source: broken-stick regression, Muggeo, "Estimating regression models with unknown break-points", Statistics in Medicine
        2003, by profile over the knot; every fit is made of sums over clusters.

    Example:
        >>> x = np.linspace(0, 4, 81)
        >>> fit = hinge(x, 1 + 2 * np.minimum(x - 1.5, 0), rng=np.random.default_rng(0), resamples=20)
        >>> [abs(round(fit[name], 3)) for name in fit.names]
        [1.5, 1.0, 2.0, 0.0]
    """
    x, y, codes = checked(x, y, clusters, 4)
    middle, half, centre = 0.5 * (x.min() + x.max()), 0.5 * np.ptp(x), y.mean()
    u, v = (x - middle) / half, y - centre
    first, last = np.quantile(u, [TRIMMED, 1 - TRIMMED])
    knots = np.linspace(first, last, KNOTS)
    g = int(codes.max()) + 1
    products = np.stack([_products(u, v, codes, knot, g) for knot in knots], axis=1)  # (g, knots, 4, 4)
    weights = np.vstack([np.ones(g), cluster_weights(g, resamples, rng)])
    found = np.concatenate([_profile(weights[at : at + CHUNK], products, knots) for at in range(0, len(weights), CHUNK)])
    found[0] = _refined(u, v, float(found[0, 0]), knots)
    values = found * [half, 1, 1 / half, 1 / half] + [middle, centre, 0, 0]
    residuals = y - _curve(x, tuple(values[0]))
    at_end = (found[:, 0] <= knots[0]) | (found[:, 0] >= knots[-1])
    return LinkFit(
        kind="hinge",
        names=("knot", "level", "below", "above"),
        values=tuple(map(float, values[0])),
        residual_variance=float(residuals @ residuals / (len(y) - 4)),
        status="bound hit" if at_end[0] else "converged",
        n_clusters=g,
        span=(float(x.min()), float(x.max())),
        resamples=values[1:],
        unsettled=float(at_end[1:].mean()) if resamples else 0.0,
        curve=_curve,
    )


def _curve(x: np.ndarray, parameters: tuple[np.ndarray, ...]) -> np.ndarray:
    knot, level, below, above = parameters
    return level + np.where(x < knot, below, above) * (x - knot)


def _products(u: np.ndarray, v: np.ndarray, codes: np.ndarray, knot: float, g: int) -> np.ndarray:
    """(g, 4, 4) cross-products of 1, both sides of the knot and y."""
    columns = np.stack([np.ones_like(u), np.minimum(u - knot, 0), np.maximum(u - knot, 0), v], axis=1)
    total = np.zeros((g, 4, 4))
    for i in range(4):
        for j in range(i, 4):
            total[:, i, j] = total[:, j, i] = np.bincount(codes, columns[:, i] * columns[:, j], g)
    return total


def _refined(u: np.ndarray, v: np.ndarray, knot: float, knots: np.ndarray) -> np.ndarray:
    """(4,) knot, level and slopes at the optimum within a grid step of `knot`."""

    def solved(at: float) -> tuple[float, np.ndarray]:
        design = np.stack([np.ones_like(u), np.minimum(u - at, 0), np.maximum(u - at, 0)], axis=1)
        coefficients = np.linalg.lstsq(design, v, rcond=None)[0]
        return float(((v - design @ coefficients) ** 2).sum()), coefficients

    width = knots[1] - knots[0]
    bounds = max(knots[0], knot - width), min(knots[-1], knot + width)
    best = optimize.minimize_scalar(lambda at: solved(at)[0], bounds=bounds, method="bounded", options={"xatol": 1e-9}).x
    best = min((knot, float(best)), key=lambda at: solved(at)[0])
    return np.r_[best, solved(best)[1]]


def _profile(weights: np.ndarray, products: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """(b, 4) knot, level and slopes that fit best in each resample."""
    moments = np.tensordot(weights, products, axes=1)  # (b, knots, 4, 4)
    ridge = 1e-12 * np.trace(moments[..., :3, :3], axis1=-2, axis2=-1)[..., None, None] * np.eye(3)  # a side may be empty
    coefficients = np.linalg.solve(moments[..., :3, :3] + ridge, moments[..., :3, 3:])[..., 0]
    explained = (coefficients * moments[..., :3, 3]).sum(-1)
    best, rows = explained.argmax(1), np.arange(len(weights))
    inner = np.clip(best, 1, len(knots) - 2)
    left, here, right = (explained[rows, inner + o] for o in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=(bend < 0) & (inner == best))
    knot = knots[best] + np.clip(shift, -0.5, 0.5) * (knots[1] - knots[0])
    level, below, above = coefficients[rows, best].T
    moved = knot - knots[best]
    return np.stack([knot, level + moved * np.where(moved < 0, below, above), below, above], axis=1)
