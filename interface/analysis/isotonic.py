"""Isotonic against unrestricted: is lower L_pre never worse, whatever the shape?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from interface.analysis._link import LinkFit, checked

LEVELS = 8
RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Monotonicity:
    """Group means of y over levels of x, free and forced to rise, and a test of whether forcing costs more than chance.

    Args:
        x: (l,) mean x of each level.
        free: (l,) mean y.
        rising: (l,) the closest non-decreasing values.
        statistic: weighted squared distance between the two, as a share of the variance of y between rows.
        p: chance of as large a distance where y does not depend on x: small refutes "more loss is never better".
        n_clusters: clusters whose signs were turned for p.
    """

    x: np.ndarray
    free: np.ndarray
    rising: np.ndarray
    statistic: float
    p: float
    n_clusters: int


def monotonicity(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    levels: int = LEVELS,
    resamples: int = RESAMPLES,
) -> Monotonicity:
    """Test of "y does not fall anywhere as x rises" against anything, by isotonic regression of level means.

    p is taken where the null is hardest to keep (no dependence at all), with the residuals of whole clusters turned in sign, so
    that it is conservative where y does rise.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        clusters: (n,) labels of what is independent; by default each row.
        rng: randomness of the signs.
        levels: number of levels of x, with equally many rows each.
        resamples: number of sign vectors.

    Raises:
        ValueError: if shapes or values are not as said, or x has fewer than 3 distinct values.

    Source: Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, section 2.3 (test of the order, least
        favourable at equality), with wild cluster signs in place of normal errors.

    Example:
        >>> x = np.linspace(0, 1, 80)
        >>> rises, falls = (monotonicity(x, y, np.arange(80) % 10, rng=np.random.default_rng(0)).p for y in (x, (x - 0.5) ** 2))
        >>> rises, falls < 0.05
        (1.0, True)
    """
    x, y, codes = checked(x, y, clusters, 2)
    unique = np.unique(x)
    edges = np.unique(np.quantile(x, np.linspace(0, 1, levels + 1)))
    level = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2) if len(unique) > levels else None
    level = np.unique(np.searchsorted(unique, x) if level is None else level, return_inverse=True)[1]
    count = np.bincount(level)
    free = np.bincount(level, y) / count
    g = int(codes.max()) + 1
    residual = np.zeros((g, len(count)))
    np.add.at(residual, (codes, level), y - free[level])
    variance = float(np.var(y)) * len(y) or 1.0

    def distance(means: np.ndarray) -> float:
        return float(count @ (means - isotonic_regression(means, weights=count).x) ** 2)

    statistic = distance(free)
    signs = rng.choice([-1.0, 1.0], size=(resamples, g))
    # residuals about level means shrink by the rows' share of the level: put back by n / (n - levels)
    factor = np.sqrt(len(y) / max(len(y) - len(count), 1) * g / max(g - 1, 1))
    drawn = [distance(factor * total / count) for total in signs @ residual]
    p = (1 + sum(value >= statistic * (1 - 1e-9) for value in drawn)) / (resamples + 1)
    centre = np.bincount(level, x) / count
    rising = isotonic_regression(free, weights=count).x
    return Monotonicity(centre, free, rising, statistic / variance, 1.0 if statistic <= 1e-12 * variance else p, g)


def isotonic_link(x: ArrayLike, y: ArrayLike) -> LinkFit:
    """The closest non-decreasing function, linear between its steps and constant beyond them; no parameters, no interval.

    Args:
        x, y: (n,).

    Raises:
        ValueError: if shapes or values are not as said.

    Source: pool adjacent violators, Barlow et al. 1972, as in `scipy.optimize.isotonic_regression`.

    Example:
        >>> isotonic_link([1.0, 2, 3, 4], [0.0, 2, 1, 3]).predict([2.5]).tolist()
        [1.5]
    """
    x, y, codes = checked(x, y, None, 1)
    at, inverse, count = np.unique(x, return_inverse=True, return_counts=True)
    rising = isotonic_regression(np.bincount(inverse, y) / count, weights=count).x
    residuals = y - rising[inverse]
    steps = len(np.unique(rising))

    def curve(where: np.ndarray, parameters: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.interp(where, at, rising)

    variance = float(residuals @ residuals / max(len(y) - steps, 1))
    span = (float(at[0]), float(at[-1]))
    return LinkFit("isotonic", (), (), variance, "converged", int(codes.max()) + 1, span, np.empty((0, 0)), 0.0, curve)
