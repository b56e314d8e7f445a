"""The verdict in words: what slope, spread, contrast and intercept say together, by fixed rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from interface.analysis.sufficiency import MARGIN, Sufficiency

SMALLEST_EFFECT = 0.05  # adaptation ranges per D
SMALL = 0.10  # adaptation ranges: the limit between a small and a large intercept, and of the spread's square root
LEVEL = 0.95


class WithInterval(Protocol):
    """A number with a two-sided interval over clusters."""

    @property
    def estimate(self) -> float: ...

    def interval(self, level: float = ...) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Words:
    """A verdict on one cell.

    Args:
        word: "no range", "inverse", "no link", "insufficient", "sufficient", "sufficient up to an intercept", "undecided".
        detail: what decided it, or what is undecided.
    """

    word: str
    detail: str

    def __str__(self) -> str:
        return f"undecided ({self.detail})" if self.word == "undecided" else self.word


def verdict_words(
    slope: WithInterval,
    spread: WithInterval,
    intercept: WithInterval,
    contrast: Sufficiency | None = None,
    *,
    no_range: bool = False,
    smallest_effect: float = SMALLEST_EFFECT,
    small: float = SMALL,
) -> Words:
    """The first rule that holds decides; "is" means that the whole 95% interval is.

    In this order: `no range`; the slope is below -smallest_effect: `inverse`; below smallest_effect: `no link`; the spread (its
    square root) is above `small`, or the contrast is beyond its margin: `insufficient`; the slope is above smallest_effect and
    the spread below `small`: `sufficient` if the intercept is below `small`, `sufficient up to an intercept` if it is above;
    otherwise `undecided`, naming what is.

    Args:
        slope: data slope (a progress slope only where nothing else is to be had, and then that must be said beside it).
        spread: V at x0, in squared units of y.
        intercept: I, in units of y.
        contrast: the sufficiency contrast; None where none can be made.
        no_range: whether the adaptation range is noise.
        smallest_effect: smallest slope of interest.
        small: limit for intercept and root spread.

    Example:
        >>> from interface.analysis.ttest import cluster_mean
        >>> near = lambda value: cluster_mean([value - 1e-4, value, value + 1e-4], "abc")
        >>> cases = ((1, 0, 0), (1, 0, 0.4), (1, 0.1, 0), (0, 0, 0), (-1, 0, 0))  # slope, spread, intercept
        >>> [verdict_words(near(b), near(v), near(i)).word for b, v, i in cases]
        ['sufficient', 'sufficient up to an intercept', 'insufficient', 'no link', 'inverse']
    """
    if no_range:
        return Words("no range", "the adaptation range is within the noise of one L*")
    low, high = slope.interval(LEVEL)
    shown = f"slope {slope.estimate:.3g} [{low:.3g}, {high:.3g}]"
    if high < -smallest_effect:
        return Words("inverse", shown)
    if high < smallest_effect:
        return Words("no link", shown)
    spread_low, spread_high = spread.interval(LEVEL)
    if spread_low > small**2:
        return Words("insufficient", f"spread {spread.estimate:.3g} is above {small**2:.3g} at equal L_pre")
    if contrast is not None and contrast.beyond:
        return Words("insufficient", f"contrast {contrast.mean.estimate:.3g} is beyond {MARGIN:g} at equal L_pre")
    intercept_low, intercept_high = intercept.interval(LEVEL)
    open_questions = [
        name
        for name, settled in (
            ("slope", low > smallest_effect),
            ("spread", spread_high <= small**2),
            ("intercept", intercept_high <= small or intercept_low > small),
        )
        if not settled
    ]
    if open_questions:
        return Words("undecided", ", ".join(open_questions))
    left = f"intercept {intercept.estimate:.3g} [{intercept_low:.3g}, {intercept_high:.3g}]"
    if contrast is not None and not contrast.equivalent:
        left += "; contrast not shown to be within its margin"
    return Words("sufficient" if intercept_high <= small else "sufficient up to an intercept", f"{shown}, {left}")
