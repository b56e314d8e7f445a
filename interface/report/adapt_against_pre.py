"""L*_adapt against L_pre, one mark a checkpoint, by shift: the question of the project as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from interface.report import _base, _style

WHO = "adapt_against_pre"


@_style.styled
def adapt_against_pre(
    table: pd.DataFrame,
    *,
    x: str = "l_pre_profiled",
    y: str = "l_adapt",
    instances: Sequence[str] | None = None,
    shifts: Sequence[str] | None = None,
    band: pd.DataFrame | None = None,
    paths: bool = False,
    xscale: str = "linear",
) -> Figure:
    """Scatter of y on x, one mark a run and step, colour and marker by shift, one panel a pretext (columns) and encoder (rows).

    Label directions (replicates) of one shift are averaged within a checkpoint. Thin vertical lines are the brackets
    y_low to y_high; a vacuous bracket has no mark, because its midpoint says nothing. Raw losses of different instances have
    no common scale: look at one instance, or at normalised x and y.

    Args:
        table: wide frame of one source (or of sources in one unit; then sources are rows too).
        x, y: columns to draw; losses, or normalised coordinates. y_low and y_high are drawn where the table has them.
        instances: instances to keep; None keeps all.
        shifts: names of shifts to keep; None keeps all.
        band: exact range of y given x: columns pretext, shift, excess, low, high, and where it varies encoder, strength,
            source or instance (then it is drawn only where that is what the panel shows).
        paths: join the checkpoints of each run by thin lines.
        xscale: "linear" or "log"; on a log axis marks at x <= 0 cannot be drawn.

    Raises:
        ValueError: if columns are missing, nothing is left to draw, units are mixed, or the band lacks a column.
    """
    points = _points(table, x, y, instances, shifts)
    unit = _base.one_unit(points, WHO)
    if band is not None:
        _base.require(band, ("pretext", "shift", "excess", "low", "high"), f"{WHO}: band")
    names = _base.shift_names(points)
    looks = _style.shift_looks(names)
    columns = sorted(set(points["pretext"]))
    rows = sorted(set(points[["source", "encoder"]].itertuples(index=False, name=None)))
    folded = len(rows) == 1 and len(columns) == 4  # two by two is easier to read than four in a row
    grid = (2, 2) if folded else (len(rows), len(columns))
    figure = _style.new_figure(height=0.6 + 1.9 * grid[0])
    axes = figure.subplots(*grid, squeeze=False, sharex=False if folded else "col", sharey=True if len(rows) == 1 else "row")
    for panel, ((source, encoder), pretext) in zip(axes.ravel(), product(rows, columns), strict=True):
        here = points[(points["source"] == source) & (points["encoder"] == encoder) & (points["pretext"] == pretext)]
        if band is not None:
            _draw_band(panel, band, names, looks, here, pretext, encoder)
        _draw_points(panel, here, names, looks, x, y, paths)
        if here.empty:
            panel.text(
                0.5, 0.5, "not measured", transform=panel.transAxes, ha="center", va="center", color="0.4", fontsize=_style.SMALL
            )
        panel.set_xscale(xscale)
        _style.trim(panel)
        if folded or (source, encoder) == rows[0]:
            panel.set_title(pretext)
        if len(rows) > 1 and pretext == columns[-1]:
            _style.name_row(panel, encoder if len({row[0] for row in rows}) == 1 else f"{source}, {encoder}")
    figure.supxlabel(_base.label(x), fontsize=_style.FONT)
    figure.supylabel(_base.label(y, unit if y.startswith("l_") else None), fontsize=_style.FONT)
    marks: list[Artist] = [
        Line2D([], [], color=looks[name][0], marker=looks[name][1], linestyle="", markersize=4, label=name)
        for name in names["name"]
    ]
    if band is not None:
        marks.append(Patch(facecolor="0.9", edgecolor="0.4", linewidth=0.7, label="exact range"))
    figure.legend(handles=marks, loc="outside upper center", ncols=min(len(marks), 7), handletextpad=0.3, columnspacing=1.2)
    return figure


def band_of(table: pd.DataFrame, *, x: str = "l_pre_excess") -> pd.DataFrame | None:
    """The exact range that the table itself holds (l_adapt_band_low, l_adapt_band_high at each excess), for `band`.

    Replicates are averaged, as the marks are. None where the table holds no range.
    """
    ends = {"l_adapt_band_low": "low", "l_adapt_band_high": "high"}
    if not {x, *ends} <= set(table.columns):
        return None
    known = table[table[x].notna() & table["l_adapt_band_low"].notna() & table["l_adapt_band_high"].notna()]
    if known.empty:
        return None
    groups = known.groupby(["source", "instance", "pretext", "encoder", "shift", "strength", "run", "step"], sort=False)
    band = groups[[x, *ends]].mean().reset_index().rename(columns={x: "excess", **ends})
    return band.drop(columns=["run", "step"]).sort_values("excess", kind="stable").reset_index(drop=True)


def _points(table: pd.DataFrame, x: str, y: str, instances: Sequence[str] | None, shifts: Sequence[str] | None) -> pd.DataFrame:
    identity = ["source", "instance", "run", "step", "pretext", "encoder", "shift", "strength"]
    _base.require(table, [*identity, x, y], WHO)
    table = _base.without_vacuous(table, x, y)
    keep = table[x].notna() & table[[name for name in (y, f"{y}_high") if name in table]].notna().any(axis=1)
    for column, chosen in (("instance", instances), ("shift", shifts)):
        if chosen is not None:
            keep &= table[column].isin(list(chosen))
    table = table[keep]
    _base.require(table, (), WHO)
    values = [x, y, *(name for name in (f"{y}_low", f"{y}_high") if name in table)]
    extra = ["unit"] if "unit" in table else []
    return table.groupby([*identity, *extra], sort=False)[values].mean().reset_index()


def _draw_points(panel: Axes, here: pd.DataFrame, names: pd.DataFrame, looks: dict, x: str, y: str, paths: bool) -> None:
    many = len(here) > _style.MANY_POINTS
    for shift, strength, name in names.itertuples(index=False, name=None):
        mine = here[(here["shift"] == shift) & (here["strength"] == strength)].sort_values(["run", "step"])
        if mine.empty:
            continue
        colour, marker = looks[name]
        if f"{y}_low" in mine and (mine[f"{y}_high"] - mine[f"{y}_low"]).abs().max() > 0:
            ends = np.stack([mine[[x, f"{y}_low"]].to_numpy(), mine[[x, f"{y}_high"]].to_numpy()], axis=1)
            panel.add_collection(
                LineCollection(list(ends), colors=[colour], linewidths=0.5, alpha=0.5, rasterized=many), autolim=False
            )
        if paths:
            lines = [run[[x, y]].to_numpy() for _, run in mine.groupby("run", sort=False)]
            panel.add_collection(LineCollection(lines, colors=[colour], linewidths=0.4, alpha=0.5, rasterized=many), autolim=False)
        sns.scatterplot(
            data=mine, x=x, y=y, ax=panel, color=colour, marker=marker, s=7 if many else 12, alpha=0.6, linewidth=0,
            legend=False, rasterized=many,
        )  # fmt: skip
    panel.set(xlabel="", ylabel="")


def _draw_band(
    panel: Axes, band: pd.DataFrame, names: pd.DataFrame, looks: dict, here: pd.DataFrame, pretext: str, encoder: str
) -> None:
    mine = band[band["pretext"] == pretext]
    for column, shown in (("encoder", {encoder}), ("instance", set(here["instance"])), ("source", set(here["source"]))):
        if column in mine:
            mine = mine[mine[column].isin(shown)]
    for shift, strength, name in names.itertuples(index=False, name=None):
        edge = mine[(mine["shift"] == shift) & ((mine["strength"] == strength) if "strength" in mine else True)].sort_values(
            "excess"
        )
        if len(edge):
            colour = looks[name][0]
            panel.fill_between(edge["excess"], edge["low"], edge["high"], color=colour, alpha=0.12, linewidth=0)
            for side in ("low", "high"):
                panel.plot(edge["excess"], edge[side], color=colour, linewidth=0.7)
