"""Errors in variables: a noisy L_pre flattens the slope; known noise gives it back, if the two losses' draws are independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._contrast import Contrast, contrast

WANTED = 0.99  # reliability from which the correction hardly matters
NEARLY_NONE = 0.1  # reliability below which the denominator is noise


@dataclass(frozen=True)
class CorrectedSlope:
    """A slope freed from the noise of its regressor.

    Args:
        slope: corrected, with the delete-one-cluster jackknife error and t(g - 1).
        plain: the least-squares slope, flattened by the noise.
        reliability: share of the variance of x, on the scale used, that is not measurement noise.
        status: "ok", or "reliability below .99": more draws of L_pre would serve better than a correction.
    """

    slope: Contrast
    plain: float
    reliability: float
    status: str


def errors_in_variables(
    x: ArrayLike,
    y: ArrayLike,
    x_stderr: ArrayLike,
    clusters: ArrayLike,
    *,
    draws: Literal["independent", "shared"],
    groups: ArrayLike | None = None,
) -> CorrectedSlope:
    """Moment-corrected slope of y on x: S_xy over S_xx less the measurement variance of x; units of y per unit of x.

    Args:
        x: (n,) measured regressor.
        y: (n,) outcome.
        x_stderr: (n,) or scalar standard error of each x, the errors of different rows being independent.
        clusters: (n,) labels of what is independent.
        draws: whether x and y were measured on independent draws. "shared" is refused: the errors of x and y are then
            correlated, and the correction goes wrong by an unknown amount (.34 or .66 for .50).
        groups: (n,) labels whose means are removed first (runs, for the within-run scale); by default only the grand mean.

    Raises:
        ValueError: if draws is "shared" or neither word, x_stderr is negative or not finite, there are fewer than 3 clusters,
            or the reliability is at most .1.

    Source: Fuller, "Measurement Error Models", 1987, section 1.2; with group means removed the noise that is left in a group of
        m rows is (1 - 1/m) of it.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> true = rng.normal(size=4_000)
        >>> measured = true + 0.5 * rng.normal(size=4_000)
        >>> fit = errors_in_variables(measured, true / 2, 0.5, np.arange(4_000) % 40, draws="independent")
        >>> f"{fit.plain:.1f} {fit.slope.estimate:.1f} {fit.reliability:.1f}"
        '0.4 0.5 0.8'
    """
    if draws != "independent":
        what = "x and y share draws" if draws == "shared" else f"draws is {draws!r}"
        raise ValueError(
            f"errors_in_variables: {what}; only 'independent' can be corrected: measure the two losses on draws of their own"
        )
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    error = np.broadcast_to(np.asarray(x_stderr, dtype=np.float64), x.shape)
    if not (np.isfinite(error).all() and (error >= 0).all()):
        raise ValueError("errors_in_variables: x_stderr holds a value that is negative or not finite; every x needs its error")
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    g = int(codes.max()) + 1
    if g < 3:
        raise ValueError(f"errors_in_variables: {g} cluster(s); at least 3 are needed for the jackknife")
    block = np.zeros(len(x), int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]

    def moments(keep: np.ndarray) -> tuple[float, float, float]:
        b = np.unique(block[keep], return_inverse=True)[1]
        count = np.bincount(b)
        dx, dy = (v[keep] - (np.bincount(b, v[keep]) / count)[b] for v in (x, y))
        return float(dx @ dx), float(dx @ dy), float(error[keep] ** 2 @ (1 - 1 / count)[b])

    sxx, sxy, noise = moments(np.ones(len(x), bool))
    reliability = 1 - noise / sxx if sxx > 0 else 0.0
    if not reliability > NEARLY_NONE:
        raise ValueError(
            f"errors_in_variables: the reliability of x is {reliability:.2g}; it is noise: measure L_pre on more draws"
        )
    left_out = []
    for cluster in range(g):
        xx, xy, n = moments(codes != cluster)
        left_out.append(xy / (xx - n) if xx - n > 0 else np.nan)
    variance = (g - 1) * float(np.var(left_out))
    slope = contrast(sxy / (sxx - noise), variance, g - 1, g, "moment correction, jackknife over clusters")
    return CorrectedSlope(slope, sxy / sxx, reliability, "ok" if reliability >= WANTED else "reliability below .99")
