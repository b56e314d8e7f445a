"""Many tests at once: Holm for findings, Benjamini-Hochberg for lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm-adjusted p-values, in [0, 1]: rejecting those <= alpha bounds the chance of any false rejection by alpha.

    Args:
        p_values: (m,) p-values of the whole family; what could not be tested counts as 1 and must be in it.

    Returns:
        (m,) adjusted p-values, in the order given.

    Raises:
        ValueError: if a p-value is outside [0, 1] or not a number.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 1979.

    Example:
        >>> holm([0.01, 0.04, 1.0]).tolist()
        [0.03, 0.08, 1.0]
    """
    p = _checked(p_values, "holm")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * holm_divisors(p)[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def holm_divisors(p_values: ArrayLike) -> np.ndarray:
    """By how much Holm divides the level for each test: m for the smallest p, 1 for the largest.

    Returns:
        (m,) divisors; alpha over a divisor is the level at which intervals and null tests of that claim are adjusted.
    """
    p = _checked(p_values, "holm_divisors")
    divisors = np.empty_like(p)
    divisors[np.argsort(p, kind="stable")] = np.arange(len(p), 0, -1)
    return divisors


def benjamini_hochberg(p_values: ArrayLike) -> np.ndarray:
    """Benjamini-Hochberg-adjusted p-values, in [0, 1]: those <= q have an expected share of false ones of at most q.

    Args:
        p_values: (m,) p-values of the whole list.

    Returns:
        (m,) adjusted p-values, in the order given.

    Raises:
        ValueError: if a p-value is outside [0, 1] or not a number.

    Source: Benjamini and Hochberg, "Controlling the false discovery rate", J. R. Statist. Soc. B 1995; valid under
        independence or positive dependence.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 1.0]).tolist()
        [0.03, 0.06, 1.0]
    """
    p = _checked(p_values, "benjamini_hochberg")
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def _checked(p_values: ArrayLike, name: str) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"{name}: p_values are {p.tolist()!r}; allowed: a list of numbers in [0, 1]")
    return p
