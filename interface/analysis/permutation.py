"""One data set: whole trajectories are exchanged among levels of n_unlabelled, and the interval is what that cannot reject."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike

ENUMERATED = 200_000  # rearrangements up to which all are tried; 3 lr x 3 n x 2 seeds has 46,656
CONDITIONAL = "conditional on this data set"


@dataclass(frozen=True, eq=False)
class PermutedSlope:
    """Data slope of one data set with a permutation test, in units of y per unit of x.

    Args:
        slope: least squares of y on x after removing means of lr x seed x step.
        rearrangements: how many were tried, the one observed among them.
        enumerated: whether these are all.
        smallest_p: 1 / rearrangements: no table of this design can fall below.
        blocks: learning rates x seeds, inside which levels were exchanged.
        note: to be said beside every conclusion.
    """

    slope: float
    rearrangements: int
    enumerated: bool
    smallest_p: float
    blocks: int
    note: str
    _low: np.ndarray
    _high: np.ndarray

    def p_value(self, against: float = 0.0) -> float:
        """Two-sided p of slope = against: share of rearrangements of y - against x with as large a slope."""
        return float(np.mean((self._low <= against) & (against <= self._high)))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """All slopes that are not rejected at 1 - level, in closed form; infinite if the design is too small to reject."""
        allowed = int(np.floor((1 - level) * self.rearrangements + 1e-9))  # so many rearrangements may be left
        low, high = np.sort(self._low), np.sort(self._high)[::-1]
        return float(low[allowed]), float(high[allowed])


def permuted_slope(x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator | None = None, draws: int = 20_000) -> PermutedSlope:
    """Data slope of a single data set, tested by permuting whole trajectories among levels within learning rate and seed.

    If L*_adapt follows x with slope theta and nothing else tells levels apart, the trajectories of y - theta x are exchangeable
    among levels. Runs of one data set share it, so that errors clustered by run would be several times too small; this test makes
    no claim about other data sets.

    Args:
        x, y: (l, n, s, t) by learning rate, level of n_unlabelled, seed and step; no value may be missing.
        rng: randomness, needed above 200,000 rearrangements.
        draws: number of random ones there.

    Raises:
        ValueError: if shapes differ or are not four-dimensional, a value is not finite, there are fewer than 2 levels, x does not
            vary between levels, or rearrangements are too many to try all and rng is missing.

    Source: Fisher's randomisation test within blocks; the interval by inversion as in Rosenbaum, "Observational Studies", 2002,
        section 2.6.2. Each rearrangement keeps an interval of slopes, so that the set is found without a search.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = np.array([0.5, 0.2, 0.0])[:, None, None] + 0.02 * rng.normal(size=(3, 3, 2, 4))
        >>> found = permuted_slope(x, 0.8 * x + 0.01 * rng.normal(size=x.shape))
        >>> found.rearrangements, found.p_value(0.0) < 1e-4, found.interval()[0] < 0.8 < found.interval()[1]
        (46656, True, True)
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 4 or x.shape != y.shape:
        raise ValueError(f"permuted_slope: x and y have shapes {x.shape} and {y.shape}; both must be (lr, level, seed, step)")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("permuted_slope: a value is not finite; every run of the design is needed at every step")
    levels = x.shape[1]
    if levels < 2:
        raise ValueError("permuted_slope: 1 level of n_unlabelled; runs that differ in it are needed")
    dx, dy = (_blocks(v) for v in (x, y))
    xx = float((dx * dx).sum())
    if not xx > 0:
        raise ValueError("permuted_slope: x does not vary between levels of n_unlabelled; no slope is identified")
    orders = np.array(list(itertools.permutations(range(levels))))
    against_y = np.stack([(dx * dy[:, order]).sum(axis=(1, 2)) for order in orders], axis=1)  # (blocks, orders)
    against_x = np.stack([(dx * dx[:, order]).sum(axis=(1, 2)) for order in orders], axis=1)
    total = factorial(levels) ** len(dx)
    if total <= ENUMERATED:
        a, c = np.zeros(1), np.zeros(1)
        for block_y, block_x in zip(against_y, against_x, strict=True):
            a, c = (a[:, None] + block_y).ravel(), (c[:, None] + block_x).ravel()
    else:
        if rng is None:
            raise ValueError(f"permuted_slope: {total:.2g} rearrangements are too many to try all; give rng")
        picks = rng.integers(0, len(orders), size=(draws, len(dx)))
        picks[0] = 0
        rows = np.arange(len(dx))
        a, c = against_y[rows, picks].sum(axis=1), against_x[rows, picks].sum(axis=1)
    # |a - theta c| >= |A - theta C| holds between the two slopes at which both sides are equal, because |c| <= C
    own, whole = a[0], c[0]
    first = _ratio(own - a, whole - c, whole)
    second = _ratio(own + a, whole + c, whole)
    slope = float(own / whole)
    low, high = np.minimum(first, second), np.maximum(first, second)
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    low, high = np.minimum(low, slope), np.maximum(high, slope)  # round-off
    return PermutedSlope(slope, len(a), total <= ENUMERATED, 1 / len(a), len(dx), CONDITIONAL, low, high)


def _blocks(values: np.ndarray) -> np.ndarray:
    """(l, n, s, t) -> (blocks, levels, steps), less the mean over levels of each step."""
    blocks = np.moveaxis(values, 1, 2).reshape(-1, values.shape[1], values.shape[3])
    return np.asarray(blocks - blocks.mean(axis=1, keepdims=True))


def _ratio(numerator: np.ndarray, denominator: np.ndarray, scale: float) -> np.ndarray:
    """nan where the rearrangement moves nothing, so that it keeps every slope."""
    moves = np.abs(denominator) > 1e-12 * scale
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=moves)
