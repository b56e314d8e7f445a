"""The three numbers of a user's table with several checkpoints a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from interface.analysis._least_squares import SMALLEST_VARIANCE, jackknife_log_variance
from interface.analysis._notes import Note, note
from interface.analysis._number import NAN, Number, absent, from_mean
from interface.analysis._user_table import UserTable, listed
from interface.analysis._within import within_slopes
from interface.analysis.branch import at, ends
from interface.analysis.ttest import cluster_mean

MOST_SIZES = 12  # beyond it slopes are not listed size by size
SHARE = 0.05  # of the mean within-run range of y: the smallest effect of interest where a table brings no scale of its own
ROUND_OFF = 1e-12  # relative: values that differ by less do not differ
LARGEST_LOG = 300.0  # exp of it is still a number; an interval that wide says nothing anyway
CEILING = 1 / 3  # share of rows near a run's start from which a note is due


@dataclass(frozen=True)
class Numbers:
    """What a table without design can say.

    Args:
        slope, intercept, spread: the three numbers.
        others: further coefficients.
        smallest_effect: of y, in its unit; of the slope: per unit of x.
        smallest_slope: the same for the slope.
        intercept_at: pretraining loss at which the intercept is read; nan where there is none.
        notes: doubts.
    """

    slope: Number
    intercept: Number
    spread: Number
    others: tuple[Number, ...]
    smallest_effect: float
    smallest_slope: float
    intercept_at: float
    notes: tuple[Note, ...]


def trajectory_numbers(table: UserTable) -> Numbers:
    """Progress slope, intercept, slope between two losses and spread, each over clusters.

    * slope: least squares of y on x along the runs of a cluster (run means removed), mean over clusters: a progress slope.
    * intercept: y at x0, the lowest x that each run of the group reaches on its descending branch; the group is the cluster
      where every cluster has two runs, else the whole table.
    * spread: variance of y between runs at x0; between clusters by t, in one group by the jackknife over runs on the log scale.

    Args:
        table: a checked table; runs of one row are left out.

    Raises:
        ValueError: if fewer than two runs have two rows, or y is constant inside every run.
    """
    table, notes = _with_time(table)
    runs = pd.Series(table.run)
    ranges = [float(_ranges(values, table.run).mean()) for values in (table.x, table.y)]
    for losses, range_inside, column in zip((table.x, table.y), ranges, table.names, strict=True):
        if range_inside <= ROUND_OFF * np.abs(losses).max():
            raise ValueError(f"column {column!r} is constant inside every run; a trajectory needs a loss that changes")
    effect = SHARE * ranges[1]
    smallest_slope = effect / ranges[0]
    pre, unit = table.names[0], f"{table.names[1]} ({table.adapt_is})"

    slopes = within_slopes(table.x, table.y, table.run, table.cluster, len(table.cluster_names))
    still = [name for name, slope in zip(table.cluster_names, slopes, strict=True) if not np.isfinite(slope)]
    if still:
        notes.append(note(12, n=len(still), names=listed(still)))
    per_unit = f"{unit} per unit of {pre}"
    mean = cluster_mean(slopes, table.cluster_names)
    slope = from_mean("slope", mean, per_unit, where="along runs (progress slope)", against=smallest_slope)
    others = _by_size(table, per_unit)
    if table.size is not None and (sizes := len(np.unique(table.size))) > MOST_SIZES:
        notes.append(note(22, n=sizes, most=MOST_SIZES))

    per_cluster = pd.Series(table.run).groupby(table.cluster).nunique()
    grouped = table.cluster if (per_cluster >= 2).all() and len(per_cluster) > 1 else np.zeros_like(table.cluster)
    levels, missing = _levels(table, grouped)
    if missing:
        notes.append(note(8, where=listed(missing)))
    if grouped.any():
        shared = levels.groupby("group")
        names = table.cluster_names
        where = f"at the lowest {pre} that all runs of one {table.cluster_kind!r} reach"
        spread_mean = cluster_mean(shared["y0"].var(ddof=1).reindex(range(len(names))), names, reason="no common loss")
        spread = from_mean("spread", spread_mean, f"squared {unit}", where=where)
        values = {key: shared[key].mean().reindex(range(len(names))) for key in ("y0", "b")}
    else:
        names = table.run_names
        where = f"at {pre} {levels['x0'].iloc[0]:.4g}" if not missing else ""
        spread = absent("spread", f"squared {unit}", "no common loss") if missing else _one_group(levels, unit, where)
        values = {key: levels[key] for key in ("y0", "b")}
    intercept = from_mean("intercept", cluster_mean(values["y0"], names, reason="no common loss"), unit, where=where)
    chord = cluster_mean(values["b"], names, reason="no common loss")
    between = from_mean("B", chord, per_unit, where="between two common losses")

    first = pd.Series(table.y).groupby(runs).transform("first").to_numpy()
    later = pd.Series(table.run).duplicated().to_numpy()
    flat = int((np.abs(table.y - first)[later] <= effect).sum())
    if flat >= CEILING * later.sum():
        notes.append(note(5, n=flat, of=int(later.sum()), start="their run's start"))
    notes += [note(2), note(9), note(10)]
    notes += [] if table.size is not None else [note(17)]
    return Numbers(slope, intercept, spread, (between, *others), effect, smallest_slope, float(levels["x0"].mean()), tuple(notes))


def _with_time(table: UserTable) -> tuple[UserTable, list[Note]]:
    rows = np.bincount(table.run)
    notes: list[Note] = [] if table.has_step else [note(7)]
    alone = rows == 1
    if alone.any():
        notes.append(note(11, n=int(alone.sum())))
        table = table.subset(~alone[table.run])
    if len(table.run_names) < 2 or len(table.cluster_names) < 2:
        raise ValueError(
            f"only {len(table.run_names)} run(s) in {len(table.cluster_names)} cluster(s) have two rows; 2 of each are needed, "
            "and a cross-section has one row for every model"
        )
    return table, notes


def _levels(table: UserTable, grouped: np.ndarray) -> tuple[pd.DataFrame, list[str]]:
    """Per run: its group, y0 = y(x0), the slope b between the group's two losses; and which groups share no loss."""
    rows = np.bincount(table.run)
    first = np.cumsum(rows) - rows
    group = grouped[first]
    members = [(np.flatnonzero(rows == length), length) for length in np.unique(rows)]  # runs of equal length are one array
    high, low = np.empty(len(rows)), np.empty(len(rows))
    for which, length in members:
        high[which], low[which] = ends(table.x[first[which, None] + np.arange(length)])
    x0, x1 = np.full(group.max() + 1, -np.inf), np.full(group.max() + 1, np.inf)
    np.maximum.at(x0, group, low)
    np.minimum.at(x1, group, high)
    shared = x0 < x1
    x0, x1 = (np.where(shared, ends_of_group, NAN)[group] for ends_of_group in (x0, x1))
    y0, y1 = np.empty(len(rows)), np.empty(len(rows))
    for which, length in members:
        index = first[which, None] + np.arange(length)
        x, y = table.x[index], table.y[index][..., None]
        y0[which], y1[which] = (at(x, y, where[which])[:, 0] for where in (x0, x1))
    size = np.full(len(rows), NAN) if table.size is None else table.size[first]
    columns = {"run": np.arange(len(rows)), "group": group, "x0": x0, "y0": y0, "b": (y1 - y0) / (x1 - x0), "size": size}
    levels = pd.DataFrame(columns)
    names = table.cluster_names if grouped.any() else ("the table",)
    return levels, [names[index] for index in np.flatnonzero(~shared)]


def _ranges(values: np.ndarray, run: np.ndarray) -> np.ndarray:
    """(r,) largest minus smallest value of each run; rows lie in the order of runs."""
    first = np.flatnonzero(np.diff(run, prepend=-1))
    return np.asarray(np.maximum.reduceat(values, first) - np.minimum.reduceat(values, first))


def _one_group(levels: pd.DataFrame, unit: str, where: str) -> Number:
    """Variance of y0 between runs, inside strata of size where there are any; a run alone in its size says nothing about it.

    The jackknife over runs is `jackknife_log_variance` on one column a size, in closed form: without a run of a stratum of m the
    residual sum of squares is less by e² m / (m - 1).
    """
    size = np.unique(levels["size"].fillna(0.0), return_inverse=True)[1]
    runs = np.bincount(size)
    several = runs[size] > 1
    strata, size, y = int((runs > 1).sum()), size[several], levels["y0"].to_numpy()[several]
    n, left = len(y), len(y) - strata
    if left < 2:
        reason = f"needs {strata + 2} runs for {strata} size(s)" if strata else "needs 2 runs of a size"
        return absent("spread", f"squared {unit}", reason)
    e = y - (np.bincount(size, y, len(runs)) / np.maximum(runs, 1))[size]
    rss = float(e @ e)
    logs = np.log(np.maximum((rss - e**2 * runs[size] / (runs[size] - 1)) / (left - 1), SMALLEST_VARIANCE))
    error = float(np.sqrt((n - 1) * np.var(logs)))
    low, high = jackknife_limits(rss / left, error, n)
    inside = f"{where}, inside sizes" if strata > 1 else where
    return Number("spread", rss / left, rss / left * error, low, high, n, f"squared {unit}", inside)


def spread_about(design: np.ndarray, y: np.ndarray, clusters: np.ndarray, unit: str, where: str) -> Number:
    """The variance of y about its fit on `design`, with jackknife limits over clusters."""
    value, error = jackknife_log_variance(design, y, clusters)
    n = len(np.unique(clusters))
    low, high = jackknife_limits(value, error, n)
    status = "ok" if error == error else "no interval: without one of the clusters the fit is not identified"
    return Number("spread", value, value * error, low, high, n, unit, where, status=status)


def jackknife_limits(value: float, error: float, n_clusters: int) -> tuple[float, float]:
    """95% limits of a variance from the jackknife error of its logarithm, t with n_clusters - 1 degrees of freedom."""
    width = float(np.fmin(stats.t.ppf(0.975, n_clusters - 1) * error, LARGEST_LOG)) if error == error else NAN
    return value * float(np.exp(-width)), value * float(np.exp(width))


def _by_size(table: UserTable, per_unit: str) -> list[Number]:
    if table.size is None or len(np.unique(table.size)) > MOST_SIZES:
        return []
    found = []
    for size in np.unique(table.size):
        part = table.subset(table.size == size)
        slopes = within_slopes(part.x, part.y, part.run, part.cluster, len(part.cluster_names))
        mean = cluster_mean(slopes, part.cluster_names)
        found.append(from_mean(f"slope[{size:g}]", mean, per_unit, where=f"size {size:g}"))
    return found
