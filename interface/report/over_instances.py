"""A quantity against a choice (label count, depth, size, domain), compared within instances, with intervals over instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from interface.analysis import cluster_mean
from interface.report import _base, _style

WHO = "over_instances"


@_style.styled
def over_instances(
    table: pd.DataFrame,
    *,
    x: str,
    by: str,
    y: str = "l_adapt",
    facet: str = "pretext",
    against: str | float | None = None,
    unit: str = "instance",
    levels: Sequence[str | float] | None = None,
    names: dict[str, str] | None = None,
    log: bool = False,
    share: bool = True,
    xlabel: str | None = None,
    ylabel: str | None = None,
) -> Figure:
    """Mean of y at each x, one line a level of `by`, one column a level of `facet`; below, differences from `against`.

    Everything else is averaged within a unit first; the interval is Student's over units (95%), so that checkpoints, replicates
    and learning rates add no evidence. The second row subtracts the reference inside each unit: what all units share drops out.
    Where a unit lacks a level, its pair is left out. The number of units stands in the axis title.

    Args:
        table: wide frame of one unit of loss.
        x, by, facet: columns; x is numeric or names.
        y: column to draw.
        against: the level of `by` that the others are compared with; None draws no second row. If x is a name and `against` is
            one of its levels, the comparison is with that x instead.
        unit: column of the unit of inference.
        levels: levels of `by`, in this order; None takes all.
        names: what a reader sees instead of a level; columns come in its order, then by name.
        log: whether x is logarithmic.
        share: whether the columns share their y axis; not where they show different quantities.
        xlabel, ylabel: titles of the axes; by default the columns' own.

    Raises:
        ValueError: if columns are missing, nothing is left to draw, or units of loss are mixed.
    """
    _base.require(table, [x, by, y, facet, unit], WHO)
    loss_unit = _base.one_unit(table, WHO)
    table = _base.without_vacuous(table, y)
    table = table[np.isfinite(table[y])]
    levels = list(dict.fromkeys(table[by])) if levels is None else [level for level in levels if (table[by] == level).any()]
    table = table[table[by].isin(levels)]
    _base.require(table, (), WHO)
    names = names or {}
    means = table.groupby([facet, unit, by, x], observed=True)[y].mean().reset_index()
    panels = sorted(set(table[facet]), key=lambda panel: (list(names).index(panel) if panel in names else len(names), panel))
    places = _places(table[x])
    colours = dict(zip(levels, _style.palette(len(levels)), strict=True))
    markers = dict(zip(levels, _style.MARKERS, strict=False))
    rows = 1 if against is None else 2
    figure = _style.new_figure(height=1.2 + 1.7 * rows)
    axes = figure.subplots(rows, len(panels), squeeze=False, sharex=True, sharey="row" if share else False)
    for column, panel in enumerate(panels):
        mine = means[means[facet] == panel]
        for row in range(rows):
            shown = mine if row == 0 else _differences(mine, against, x, by, y, unit)
            _draw(axes[row, column], shown, places, x, by, y, levels, colours, markers, log)
            _style.trim(axes[row, column])
        axes[0, column].set_title(names.get(str(panel), str(panel)))
    title = ylabel or _base.label(y, loss_unit)
    axes[0, 0].set_ylabel(title)
    if rows == 2:
        axes[1, 0].set_ylabel(f"minus {names.get(str(against), str(against))}")
        for panel in axes[1]:
            panel.axhline(0, color="0.4", linewidth=0.6, zorder=0)
    for panel in axes[-1]:
        _ticks(panel, places, names, log)
    figure.align_ylabels(axes[:, 0])
    count = means.groupby([facet, by], observed=True)[unit].nunique()
    counted = f"{count.min()}" if count.min() == count.max() else f"{count.min()} to {count.max()}"
    of = {"instance": "instances", "run": "runs"}.get(unit, f"{unit}s")
    figure.supxlabel(f"{xlabel or x.replace('_', ' ')} (mean and 95% interval over {counted} {of})", fontsize=_style.FONT)
    marks = [
        Line2D([], [], color=colours[level], marker=markers[level], markersize=4, label=names.get(str(level), str(level)))
        for level in levels
    ]
    figure.legend(handles=marks, loc="outside upper center", ncols=min(len(marks), 5))
    return figure


def mean_and_interval(values: pd.Series) -> tuple[float, float, float]:
    """Mean of one value a unit with its 95% Student interval; both ends nan for fewer than two units."""
    mean = cluster_mean(values.to_numpy(), range(len(values)))
    return mean.estimate, *mean.interval()


def _places(values: pd.Series) -> dict[str | float, float]:
    """x -> where it is drawn: itself, or the order of appearance of a name."""
    if pd.api.types.is_numeric_dtype(values):
        return {float(value): float(value) for value in sorted(values.dropna().unique())}
    return {value: float(index) for index, value in enumerate(dict.fromkeys(values))}


def _differences(means: pd.DataFrame, against: str | float | None, x: str, by: str, y: str, unit: str) -> pd.DataFrame:
    """Each unit's value minus its own value at the reference: a level of `by` at equal x, or else a level of x at equal `by`."""
    fixed, moved = (x, by) if (means[by] == against).any() else (by, x)
    reference = means[means[moved] == against][[unit, fixed, y]]
    both = means[means[moved] != against].merge(reference, on=[unit, fixed], suffixes=("", "_reference"))
    return both.assign(**{y: both[y] - both[f"{y}_reference"]})


def _draw(
    panel: Axes,
    means: pd.DataFrame,
    places: dict,
    x: str,
    by: str,
    y: str,
    levels: Sequence,
    colours: dict,
    markers: dict,
    log: bool,
) -> None:
    step = min(np.diff(sorted(places.values())), default=1.0)
    numeric = pd.api.types.is_numeric_dtype(means[x])
    for index, level in enumerate(levels):
        line = [
            (places[float(at) if numeric else at], *mean_and_interval(group[y]))
            for at, group in means[means[by] == level].groupby(x, sort=True, observed=True)
        ]
        if not line:
            continue
        at, mean, low, high = np.array(sorted(line)).T
        apart = (index - (len(levels) - 1) / 2) / max(len(levels), 1)  # beside each other, not on top
        at = at * 1.08**apart if log else at + 0.12 * step * apart
        panel.plot(at, mean, color=colours[level], linestyle="-" if numeric else "none", marker=markers[level], markersize=3)
        panel.errorbar(at, mean, [mean - low, high - mean], color=colours[level], linestyle="none", linewidth=0.9, capsize=1.5)


def _ticks(panel: Axes, places: dict, names: dict[str, str], log: bool) -> None:
    if log:
        panel.set_xscale("log")
    panel.xaxis.set_major_locator(FixedLocator(list(places.values())))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_minor_formatter(NullFormatter())
    plain = [f"{value:g}" if isinstance(value, float) else str(value) for value in places]
    texts = [names.get(text, text) for text in plain]
    rotated = any(len(text) > 6 for text in texts)
    panel.set_xticks(list(places.values()), texts, rotation=30 if rotated else 0, ha="right" if rotated else "center")
