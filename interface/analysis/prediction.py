"""Prediction of what was left out: a family that was never seen, or the largest models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from interface.analysis.ttest import ClusterMean, cluster_mean

Predictor = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Predictor]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was predicted about rows that the fit did not see.

    Args:
        error: mean over groups of the root-mean-square error of a group, in units of y; compare it with `baseline`.
        bias: mean over groups of predicted minus observed.
        baseline: the error of predicting the mean of the rows that were seen.
        groups: names of what was left out, in the order of the arrays below.
        errors: (g,) root-mean-square error of each group.
        distances: (g,) how far the group's x lies outside the x that were seen, at most, in units of their range; 0 inside.
        failed: groups for which the fit refused, with its reason.
    """

    error: ClusterMean
    bias: ClusterMean
    baseline: ClusterMean
    groups: tuple[str, ...]
    errors: np.ndarray
    distances: np.ndarray
    failed: tuple[tuple[str, str], ...]

    def interval_of_one_new(self, level: float = 0.95) -> tuple[float, float]:
        """Limits for the bias of one group that is still to come, wider than the interval of the mean."""
        return interval_of_one_new(self.bias, level)


def straight_line(x: np.ndarray, y: np.ndarray) -> Predictor:
    """The linear link, as a fit to be tried on what was left out."""
    slope, intercept = np.polyfit(x, y, 1)
    return lambda at: intercept + slope * at


def leave_family_out(x: ArrayLike, y: ArrayLike, families: ArrayLike, fit: Fit = straight_line) -> HeldOut:
    """Each family in turn is predicted from all the others.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        families: (n,) labels of what is independent.
        fit: (x, y) -> predictor; a link is passed as `lambda x, y: exponential_link(x, y, rng=rng, resamples=0).predict`.

    Raises:
        ValueError: if there are fewer than 3 families, or shapes differ.

    Example:
        >>> x = np.arange(12.0)
        >>> found = leave_family_out(x, 2 * x + 1, np.repeat(list("abc"), 4))
        >>> bool(found.error.estimate < 1e-9 < found.baseline.estimate), found.distances.round(2).tolist()
        (True, [0.57, 0.0, 0.57])
    """
    x, y, labels = _checked(x, y, families)
    names = np.unique(labels)
    if len(names) < 3:
        raise ValueError(f"leave_family_out: {len(names)} families; at least 3 are needed, so that two are left to fit")
    return _held_out(x, y, [(str(name), labels != name, labels == name) for name in names], fit)


def leave_largest_out(
    x: ArrayLike, y: ArrayLike, sizes: ArrayLike, families: ArrayLike | None = None, fit: Fit = straight_line
) -> HeldOut:
    """The largest models are predicted from all the smaller ones, inside each family where families are given.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        sizes: (n,) parameters, or compute; the rows of the largest value are left out.
        families: (n,) labels; each is fitted by itself, and is the unit of the intervals.
        fit: as in `leave_family_out`.

    Raises:
        ValueError: if all rows have one size, or shapes differ.

    Example:
        >>> x = np.array([4.0, 3, 2, 1])
        >>> found = leave_largest_out(x, x**2, [1, 2, 3, 4])  # a line predicts too little curvature
        >>> found.distances.tolist(), found.bias.estimate < 0
        ([0.5], True)
    """
    x, y, labels = _checked(x, y, np.zeros(len(np.asarray(x))) if families is None else families)
    size = np.asarray(sizes, dtype=np.float64)
    if size.shape != x.shape or not np.ptp(size) > 0:
        raise ValueError("leave_largest_out: sizes must give one value a row, and not all the same")
    splits = []
    for name in np.unique(labels):
        here = labels == name
        largest = here & (size == size[here].max())
        splits.append((str(name), here & ~largest, largest))
    return _held_out(x, y, splits, fit)


def extrapolation_distance(seen: ArrayLike, new: ArrayLike) -> np.ndarray:
    """How far each new x lies outside the range of the x that were seen, in units of that range; 0 inside.

    Example:
        >>> extrapolation_distance([1.0, 2.0, 3.0], [2.5, 4.0, 0.0]).tolist()
        [0.0, 0.5, 0.5]
    """
    seen, new = np.asarray(seen, dtype=np.float64), np.asarray(new, dtype=np.float64)
    outside = np.maximum(np.maximum(seen.min() - new, new - seen.max()), 0)
    span = np.ptp(seen)
    return outside / span if span > 0 else np.where(outside > 0, np.inf, 0.0)


def interval_of_one_new(mean: ClusterMean, level: float = 0.95) -> tuple[float, float]:
    """t limits for the value of one cluster still to come, not for the mean; (nan, nan) below two clusters.

    Example:
        >>> mean = cluster_mean([1.0, 2.0, 3.0, 4.0], "abcd")
        >>> interval_of_one_new(mean)[0] < mean.interval()[0]
        True
    """
    n = mean.n_clusters
    if n < 2:
        return float("nan"), float("nan")
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * mean.stderr * float(np.sqrt(n + 1))
    return mean.estimate - half, mean.estimate + half


def _checked(x: ArrayLike, y: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, names = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), np.asarray(labels)
    if not (x.shape == y.shape == names.shape and x.ndim == 1):
        raise ValueError(f"prediction: x, y and labels have shapes {x.shape}, {y.shape}, {names.shape}; give one value a row")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("prediction: x or y holds a value that is not finite; drop or impute it first")
    return x, y, names


def _held_out(x: np.ndarray, y: np.ndarray, splits: list[tuple[str, np.ndarray, np.ndarray]], fit: Fit) -> HeldOut:
    rows, failed = [], []
    for name, seen, left in splits:
        if not seen.any():
            failed.append((name, "nothing is left to fit"))
            continue
        try:
            error = fit(x[seen], y[seen])(x[left]) - y[left]
        except (ValueError, np.linalg.LinAlgError) as reason:
            failed.append((name, str(reason)))
            continue
        plain = y[seen].mean() - y[left]
        distance = float(extrapolation_distance(x[seen], x[left]).max())
        rows.append((name, float(np.sqrt(np.mean(error**2))), float(error.mean()), float(np.sqrt(np.mean(plain**2))), distance))
    names = tuple(row[0] for row in rows)
    columns = np.array([row[1:] for row in rows]).reshape(-1, 4)
    error, bias, baseline = (cluster_mean(columns[:, i], names) for i in range(3))
    return HeldOut(error, bias, baseline, names, columns[:, 0], columns[:, 3], tuple(failed))
