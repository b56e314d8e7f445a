"""The descending branch of a training run: where L_pre still sets new minima, transfer is a function of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def descending_branch(x: ArrayLike) -> np.ndarray:
    """Which checkpoints set a strict new minimum of x; the first finite one always does.

    Past the branch x rises again (in half of the runs on little data), and y as a function of x has two values.

    Args:
        x: (..., t) pretraining losses in the order of training; nan where a checkpoint was not measured.

    Returns:
        (..., t) bool.

    Example:
        >>> descending_branch([1.0, 0.4, 0.5, 0.2]).tolist()
        [True, True, False, True]
    """
    x = np.asarray(x, dtype=np.float64)
    before = np.full_like(x, np.inf)
    before[..., 1:] = np.fmin.accumulate(np.where(np.isnan(x), np.inf, x), axis=-1)[..., :-1]
    return x < before


def ends(x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """First and last x of the descending branch, each (...): the range over which y(x) is known; nan for an empty run."""
    x = np.asarray(x, dtype=np.float64)
    branch = descending_branch(x)
    low = np.where(branch, x, np.inf).min(axis=-1)
    high = np.where(branch, x, -np.inf).max(axis=-1)
    return np.where(np.isfinite(high), high, np.nan), np.where(np.isfinite(low), low, np.nan)


def at(x: ArrayLike, y: ArrayLike, where: ArrayLike) -> np.ndarray:
    """y on the descending branch at x = where, linear between checkpoints; nan where the branch does not pass it.

    Args:
        x: (..., t) pretraining losses in the order of training.
        y: (..., t, k) what to read off, in k versions.
        where: broadcasts to (...): at which x.

    Returns:
        (..., k).

    Example:
        >>> at([1.0, 0.5, 0.7], [[10.0], [20.0], [99.0]], 0.75).tolist()
        [15.0]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    branch = descending_branch(x)
    target = np.broadcast_to(np.asarray(where, dtype=np.float64), x.shape[:-1])[..., None]
    above, below = branch & (x >= target), branch & (x <= target)
    last = x.shape[-1] - 1 - np.argmax(above[..., ::-1], axis=-1)  # on the branch x falls, so these two are neighbours
    first = np.argmax(below, axis=-1)
    x_above, x_below = (np.take_along_axis(x, index[..., None], axis=-1) for index in (last, first))
    y_above, y_below = (np.take_along_axis(y, index[..., None, None], axis=-2)[..., 0, :] for index in (last, first))
    step = x_above - x_below
    share = np.divide(x_above - target, step, out=np.zeros_like(step), where=step > 0)
    value = np.where(share == 0, y_above, np.where(share == 1, y_below, (1 - share) * y_above + share * y_below))
    passed = np.asarray(above.any(axis=-1) & below.any(axis=-1))
    return np.where(passed[..., None], value, np.nan)
