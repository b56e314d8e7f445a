"""The floor of the pretraining loss, profiled: how far the exponent of a power link depends on what nobody knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from interface.analysis._link import checked
from interface.analysis.exponential_link import power_link


@dataclass(frozen=True)
class FloorProfile:
    """The power link with its floor profiled, because floor and exponent trade against each other.

    Args:
        exponent, asymptote: at the best floor.
        floor: best floor.
        floor_range: floors whose squared error is within the F limit of the best (95%, rows taken as independent: a lower side of
            the uncertainty, never an error bar over runs).
        exponent_range: smallest and largest exponent over those floors.
    """

    exponent: float
    asymptote: float
    floor: float
    floor_range: tuple[float, float]
    exponent_range: tuple[float, float]


def floor_profile(x: ArrayLike, y: ArrayLike, *, lowest: float | None = None, grid: int = 40) -> FloorProfile:
    """y = m + K (x - floor)^b over all floors between `lowest` and just below the lowest x; descriptive.

    Args:
        x, y: (n,) pretraining loss, adaptation loss.
        lowest: a known lower bound of the floor; by default two ranges of x below the lowest x.
        grid: number of floors tried.

    Raises:
        ValueError: as `power_link`, or if `lowest` is not below every x.

    Source: profile likelihood of the floor, Bates and Watts, "Nonlinear Regression Analysis", 1988, section 6.1.

    Example:
        >>> x = np.linspace(0.05, 1, 40)
        >>> found = floor_profile(x, 0.1 + x**0.5)
        >>> bool(abs(found.floor) < 0.02), bool(abs(found.exponent - 0.5) < 0.05)
        (True, True)
    """
    x, y, _ = checked(x, y, None, 4)
    span = float(np.ptp(x))
    bottom = float(x.min()) - 2 * span if lowest is None else lowest
    if not bottom < x.min():
        raise ValueError(f"floor_profile: lowest is {bottom:g} and the lowest x is {x.min():g}; allowed: a bound below every x")
    gaps = np.geomspace(1e-3 * span, float(x.min()) - bottom, grid)
    rng = np.random.default_rng(0)  # without resamples nothing is drawn from it
    fits = [power_link(x, y, rng=rng, floor=float(x.min() - gap), resamples=0) for gap in gaps]
    errors = np.array([fit.residual_variance for fit in fits])
    best = int(np.argmin(errors))
    df = len(x) - 4
    allowed = np.flatnonzero(errors <= errors[best] * (1 + float(stats.f.ppf(0.95, 1, df)) / df))
    exponents = [fits[i]["exponent"] for i in allowed]
    floors = x.min() - gaps
    return FloorProfile(
        exponent=fits[best]["exponent"],
        asymptote=fits[best]["asymptote"],
        floor=float(floors[best]),
        floor_range=(float(floors[allowed].min()), float(floors[allowed].max())),
        exponent_range=(float(min(exponents)), float(max(exponents))),
    )
