"""The three numbers of a user's table with one row a model: a line, its errors by family, within apart from between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from interface.analysis._least_squares import ClusteredFit, clustered_fit
from interface.analysis._notes import Note, note
from interface.analysis._number import NAN, Number
from interface.analysis._trajectories import CEILING, SHARE, Numbers, spread_about
from interface.analysis._user_table import UserTable

NO_SCATTER = "the models lie on the line exactly; was one column computed from the other?"
NEAR = 0.1  # of the observed range of the pretraining loss: a family that ends within it counts as having come as low


def cross_section_numbers(table: UserTable) -> Numbers:
    """A linear link over models: slope, value at the lowest observed loss, residual variance.

    With a family the regressor is split into its deviation from the family mean and the family mean; the slope within families
    is the headline, because the one between families compares recipes, not losses. With sizes, log size is held equal. Errors
    are clustered (by `cluster`, else by family, else each model is its own), CR1 with t(g - 1): at eight families its nominal 95%
    covers .92 (within) and .88 (between) by simulation.

    Args:
        table: a checked table with one row a run.

    Raises:
        ValueError: if there are too few models or families for the line.

    Source: Mundlak, "On the Pooling of Time Series and Cross Section Data", Econometrica 1978; Cameron and Miller 2015.
    """
    n, x, y = len(table.x), table.x, table.y
    family = table.family
    clusters = family if family is not None and not table.own_cluster else table.cluster
    g = len(np.unique(clusters))
    unit = f"{table.names[1]} ({table.adapt_is})"
    per_unit = f"{unit} per unit of {table.names[0]}"
    notes: list[Note] = [note(9), note(10), note(16)]
    ranges = [np.ptp(x), np.ptp(y)]
    within = mean = None
    if family is None:
        notes.append(note(14))
    else:
        groups = pd.Series(family)
        mean = pd.Series(x).groupby(groups).transform("mean").to_numpy()
        within = x - mean
        several = (groups.map(groups.value_counts()) > 1).to_numpy()
        inside = [_range_inside(v[several], family[several]) for v in (x, y)]
        if np.ptp(within) <= 1e-12 * np.abs(x).max():
            notes.append(note(15))
            within = None
        elif inside[1] > 0:
            ranges = inside
    effect, smallest = SHARE * ranges[1], SHARE * ranges[1] / ranges[0]
    if g < 2:
        raise ValueError("the models lie in one cluster; at least 2 are needed (give no family, and each model is its own)")

    logs = None if table.size is None else np.log(table.size)
    one_size = logs is None or np.ptp(logs) <= 1e-12 * max(1.0, np.abs(logs).max())  # held equal as it is
    control: list[np.ndarray] = [] if logs is None or one_size else [logs]
    held = "" if table.size is None else ", at equal size"
    at_lowest = int(np.argmin(x))
    pooled_design = np.column_stack([np.ones(n), x, *control])
    pooled = _fit(pooled_design, y, clusters, n)
    weights = np.eye(pooled_design.shape[1])
    pooled_slope = _number("slope", pooled, weights[1], per_unit, f"over all models{held}", smallest)
    others: list[Number] = []
    slope, fit, design = pooled_slope, pooled, pooled_design
    if family is not None and within is not None and mean is not None:
        between_varies = len(np.unique(family)) > 2
        design = np.column_stack([np.ones(n), within, *([mean] if between_varies else []), *control])
        fit = _fit(design, y, clusters, n)
        weights = np.eye(design.shape[1])
        slope = _number("slope", fit, weights[1], per_unit, f"within families{held}", smallest)
        if between_varies:
            others.append(_number("between", fit, weights[2], per_unit, f"between families{held}", smallest))
        others.append(replace(pooled_slope, name="pooled"))
    intercept = _number("intercept", fit, design[at_lowest], unit, f"on the line at {table.names[0]} {x[at_lowest]:.4g}", None)
    spread = spread_about(design, y, clusters, f"squared {unit}", "about the line")
    if within is not None and family is not None:
        notes += _extrapolated(x, family, f"{table.names[0]} {x[at_lowest]:.4g}")
    worst = int((y >= y.max() - effect).sum())
    if worst >= CEILING * n:
        notes.append(note(5, n=worst, of=n, start="the worst model"))
    notes += [] if table.size is not None else [note(17)]
    return Numbers(slope, intercept, spread, tuple(others), effect, smallest, float(x[at_lowest]), tuple(notes))


def _range_inside(values: np.ndarray, family: np.ndarray) -> float:
    """Mean over families of largest minus smallest."""
    groups = pd.Series(values).groupby(family)
    return float((groups.max() - groups.min()).mean())


def _extrapolated(x: np.ndarray, family: np.ndarray, where: str) -> list[Note]:
    """Note 20, if the median family ends more than a tenth of the observed range above the lowest loss."""
    distance = (pd.Series(x).groupby(family).min() - x.min()) / np.ptp(x)
    if not distance.median() > NEAR:
        return []
    median = f"{distance.median():.2f}"
    return [note(20, n=int((distance > NEAR).sum()), of=len(distance), where=where, distance=median)]


def _fit(design: np.ndarray, y: np.ndarray, clusters: np.ndarray, n: int) -> ClusteredFit:
    if n < design.shape[1] + 2:
        raise ValueError(f"the table has {n} models; the line has {design.shape[1]} coefficients and needs {design.shape[1] + 2}")
    return clustered_fit(design, y, clusters)


def _number(name: str, fit: ClusteredFit, weights: np.ndarray, unit: str, where: str, against: float | None) -> Number:
    estimate, error = fit.contrast(weights)
    half = fit.quantile() * error
    flat = error <= 1e-12 * abs(estimate)
    p = NAN if against is None or flat else float(2 * stats.t.sf(abs(estimate - against) / error, fit.n_clusters - 1))
    status = NO_SCATTER if flat else "ok"
    return Number(name, estimate, error, estimate - half, estimate + half, fit.n_clusters, unit, where, p, status)
