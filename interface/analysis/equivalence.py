"""Equivalence: showing that a number is negligible, which a large p does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scipy import stats


class WithError(Protocol):
    """A number with its standard error, as of a mean over clusters or a contrast."""

    @property
    def estimate(self) -> float: ...

    @property
    def stderr(self) -> float: ...

    @property
    def status(self) -> str: ...

    @property
    def n_clusters(self) -> int: ...


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests.

    Args:
        p: the larger of the two; small shows that the number lies inside the margins. 1 where no test can be made.
        p_low, p_high: against the lower and the upper margin.
        low, high: the margins, in the number's unit.
        interval: the 1 - 2 level interval; the number is equivalent at `level` if and only if it lies inside the margins.
        equivalent: whether p <= level.
    """

    p: float
    p_low: float
    p_high: float
    low: float
    high: float
    interval: tuple[float, float]
    equivalent: bool


def equivalence(number: WithError, margin: float | tuple[float, float], *, level: float = 0.05) -> Equivalence:
    """Whether a number over clusters is shown to lie within margins, by two one-sided t tests at `level`.

    Args:
        number: mean over clusters (t with n - 1 degrees of freedom) or a contrast (with its own).
        margin: m for (-m, m), or (low, high).
        level: of each one-sided test, and so of the whole.

    Raises:
        ValueError: if the margins are not in order.

    Source: Schuirmann, "A comparison of the two one-sided tests procedure", J. Pharmacokinetics and Biopharmaceutics 1987.

    Example:
        >>> from interface.analysis.ttest import cluster_mean
        >>> near_zero = cluster_mean([0.01, -0.02, 0.00, 0.015], "abcd")
        >>> equivalence(near_zero, 0.1).equivalent, equivalence(near_zero, 0.001).equivalent
        (True, False)
    """
    low, high = (-margin, margin) if isinstance(margin, int | float) else margin
    if not low < high:
        raise ValueError(f"equivalence: margin is {margin!r}; allowed: a number > 0, or (low, high) with low < high")
    if number.status != "ok":
        return Equivalence(1.0, 1.0, 1.0, low, high, (float("nan"), float("nan")), False)
    df = getattr(number, "df", number.n_clusters - 1)
    p_low = float(stats.t.sf((number.estimate - low) / number.stderr, df))
    p_high = float(stats.t.sf((high - number.estimate) / number.stderr, df))
    half = float(stats.t.ppf(1 - level, df)) * number.stderr
    limits = (number.estimate - half, number.estimate + half)
    return Equivalence(max(p_low, p_high), p_low, p_high, low, high, limits, max(p_low, p_high) <= level)
