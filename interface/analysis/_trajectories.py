"""The three numbers of a user's table with several checkpoints a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from interface.analysis._least_squares import jackknife_log_variance
from interface.analysis._notes import Note, note
from interface.analysis._number import NAN, Number, absent, from_mean
from interface.analysis._user_table import UserTable
from interface.analysis._within import within_slopes
from interface.analysis.branch import at, ends
from interface.analysis.ttest import cluster_mean

SHARE = 0.05  # of the mean within-run range of y: the smallest effect of interest where a table brings no scale of its own
CEILING = 1 / 3  # share of rows near a run's start from which a note is due


@dataclass(frozen=True)
class Numbers:
    """What a table without design can say.

    Args:
        slope, intercept, spread: the three numbers.
        others: further coefficients.
        smallest_effect: of y, in its unit; of the slope: per unit of x.
        smallest_slope: the same for the slope.
        notes: doubts.
    """

    slope: Number
    intercept: Number
    spread: Number
    others: tuple[Number, ...]
    smallest_effect: float
    smallest_slope: float
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
    ranges = [float(pd.Series(v).groupby(runs).agg(np.ptp).mean()) for v in (table.x, table.y)]
    if not ranges[1] > 0 or not ranges[0] > 0:
        column = table.names[0] if not ranges[0] > 0 else table.names[1]
        raise ValueError(f"column {column!r} is constant inside every run; a trajectory needs a loss that changes")
    effect = SHARE * ranges[1]
    smallest_slope = effect / ranges[0]
    pre, unit = table.names[0], f"{table.names[1]} ({table.adapt_is})"

    slopes = within_slopes(table.x, table.y, table.run, table.cluster, len(table.cluster_names))
    still = [name for name, slope in zip(table.cluster_names, slopes, strict=True) if not np.isfinite(slope)]
    if still:
        notes.append(note(12, n=len(still), names=", ".join(still[:5])))
    per_unit = f"{unit} per unit of {pre}"
    mean = cluster_mean(slopes, table.cluster_names)
    slope = from_mean("slope", mean, per_unit, where="along runs (progress slope)", against=smallest_slope)
    others = _by_size(table, per_unit)

    per_cluster = pd.Series(table.run).groupby(table.cluster).nunique()
    grouped = table.cluster if (per_cluster >= 2).all() and len(per_cluster) > 1 else np.zeros_like(table.cluster)
    levels, missing = _levels(table, grouped)
    if missing:
        notes.append(note(8, where=missing))
    if grouped.any():
        shared = levels.groupby("group")
        names = table.cluster_names
        where = f"at the lowest {pre} that all runs of a {table.cluster_kind} reach"
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
    notes += [note(2), note(3), note(9), note(10)]
    notes += [] if table.size is not None else [note(17)]
    return Numbers(slope, intercept, spread, (between, *others), effect, smallest_slope, tuple(notes))


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


def _levels(table: UserTable, grouped: np.ndarray) -> tuple[pd.DataFrame, str]:
    """Per run: its group, y0 = y(x0), the slope b between the group's two losses; and which groups share no loss."""
    runs, missing = [], []
    for group in np.unique(grouped):
        members = [np.flatnonzero(table.run == r) for r in np.unique(table.run[grouped == group])]
        limits = np.array([ends(table.x[rows]) for rows in members])
        x1, x0 = limits[:, 0].min(), limits[:, 1].max()
        if not x0 < x1:
            missing.append(table.cluster_names[group] if grouped.any() else "the table")
        for rows in members:
            y0, y1 = (at(table.x[rows], table.y[rows, None], x).item() if x0 < x1 else NAN for x in (x0, x1))
            b = (y1 - y0) / (x1 - x0) if x0 < x1 else NAN
            size = NAN if table.size is None else float(table.size[rows[0]])
            runs.append({"run": int(table.run[rows[0]]), "group": int(group), "x0": x0, "y0": y0, "b": b, "size": size})
    return pd.DataFrame(runs).sort_values("run", ignore_index=True), ", ".join(missing)


def _one_group(levels: pd.DataFrame, unit: str, where: str) -> Number:
    """Variance of y0 between runs, inside strata of size where there are any."""
    strata = levels["size"].fillna(0.0)
    design = (strata.to_numpy()[:, None] == np.unique(strata)).astype(float)
    if len(levels) < design.shape[1] + 2:
        return absent("spread", f"squared {unit}", f"needs {design.shape[1] + 2} runs for {design.shape[1]} size(s)")
    value, error = jackknife_log_variance(design, levels["y0"].to_numpy(), levels["run"].to_numpy())
    low, high = jackknife_limits(value, error, len(levels))
    inside = f"{where}, inside sizes" if design.shape[1] > 1 else where
    return Number("spread", value, value * error, low, high, len(levels), f"squared {unit}", inside)


def jackknife_limits(value: float, error: float, n_clusters: int) -> tuple[float, float]:
    """95% limits of a variance from the jackknife error of its logarithm, t with n_clusters - 1 degrees of freedom."""
    width = float(stats.t.ppf(0.975, n_clusters - 1)) * error
    return value * float(np.exp(-width)), value * float(np.exp(width))


def _by_size(table: UserTable, per_unit: str) -> list[Number]:
    if table.size is None:
        return []
    found = []
    for size in np.unique(table.size):
        part = table.subset(table.size == size)
        slopes = within_slopes(part.x, part.y, part.run, part.cluster, len(part.cluster_names))
        mean = cluster_mean(slopes, part.cluster_names)
        found.append(from_mean(f"slope[{size:g}]", mean, per_unit, where=f"size {size:g}"))
    return found
