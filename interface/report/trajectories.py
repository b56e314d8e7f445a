"""L_pre and L*_adapt along training, side by side in time: where the one still falls and the other no longer does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from interface.report import _base, _style

WHO = "trajectories"
LINES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")


@_style.styled
def trajectories(
    table: pd.DataFrame,
    *,
    x: str = "l_pre_profiled",
    y: str = "l_adapt",
    shifts: Sequence[str] = ("none",),
    pretexts: Sequence[str] | None = None,
    encoder: str | None = None,
    instance: str | None = None,
) -> Figure:
    """x (first row) and y (one row a shift, at its full strength) against the step, one column a pretext; one line a run.

    Colour is n_unlabelled, light to dark; the line style is the learning rate. The shade around y is its bracket, where the
    table has y_low and y_high; where that is vacuous the line has a gap. Steps are logarithmic above 1, with step 0 kept.
    Replicates are averaged.

    Args:
        table: wide frame of one source.
        x, y: columns to draw.
        shifts: names of shifts, one row each.
        pretexts: pretexts to draw, in this order; None draws all, by name.
        encoder: the encoder to draw; None takes the first by name.
        instance: the instance to draw; None takes the first by name, because runs of different instances share no scale.

    Raises:
        ValueError: if columns are missing, nothing is left to draw, or units are mixed.
    """
    _base.require(table, ["instance", "run", "step", "pretext", "encoder", "shift", "strength", "lr", "n_unlabelled", x, y], WHO)
    instance = min(table["instance"].dropna()) if instance is None else instance
    table = table[(table["instance"] == instance) & table["shift"].isin(list(shifts))]
    encoder = min(table["encoder"].dropna(), default=None) if encoder is None else encoder
    table = table[table["encoder"] == encoder]
    pretexts = sorted(set(table["pretext"])) if pretexts is None else pretexts
    table = table[table["pretext"].isin(list(pretexts))]
    _base.require(table, (), WHO)
    table = table[table["strength"] == table.groupby("shift")["strength"].transform("max")]
    unit = _base.one_unit(table, WHO)
    table = _base.without_vacuous(table, x, y)
    columns = [x, y, *(name for name in (f"{y}_low", f"{y}_high") if name in table)]
    means = table.groupby(["pretext", "shift", "lr", "n_unlabelled", "run", "step"])[columns].mean().reset_index()

    sizes, rates = sorted(set(means["n_unlabelled"])), sorted(set(means["lr"]), reverse=True)
    colours = dict(zip(sizes, _style.ordered_colours(len(sizes)), strict=True))
    dashes = {rate: LINES[index % len(LINES)] for index, rate in enumerate(rates)}
    shown = [shift for shift in shifts if (means["shift"] == shift).any()]
    figure = _style.new_figure(height=0.8 + 1.35 * (1 + len(shown)))
    axes = figure.subplots(1 + len(shown), len(pretexts), squeeze=False, sharex=True)
    for column, pretext in enumerate(pretexts):
        mine = means[means["pretext"] == pretext]
        first = mine[mine["shift"] == (mine["shift"].iloc[0] if len(mine) else "")]  # x is the same on every target
        _draw(axes[0, column], first, x, colours, dashes)
        axes[0, column].set_title(pretext)
        for row, shift in enumerate(shown, start=1):
            if column:
                axes[row, column].sharey(axes[row, 0])
                axes[row, column].tick_params(labelleft=False)
            _draw(axes[row, column], mine[mine["shift"] == shift], y, colours, dashes)
    for row, shift in enumerate(shown, start=1):
        _style.name_row(axes[row, -1], _base.shift_name(shift, 1.0, dial=False))
        axes[row, 0].set_ylabel(_base.label(y))
    axes[0, 0].set_ylabel(_base.label(x))
    _time_axis(axes, int(means["step"].max()))
    figure.align_ylabels(axes[:, 0])
    scale = {None: "", "squared": " in squared units"}.get(unit, f" in {unit}")
    figure.supxlabel(f"pretraining step ({instance}, {encoder}; {_base.LABELS['l_adapt']}{scale})", fontsize=_style.FONT)
    marks = [Line2D([], [], color=colours[size], linewidth=2, label=f"n = {size:,.0f}") for size in sizes]
    marks += [Line2D([], [], color="0.3", linestyle=dashes[rate], label=f"lr = {rate:g}") for rate in rates]
    figure.legend(handles=marks, loc="outside upper center", ncols=min(len(marks), 7))
    return figure


def _draw(panel: Axes, mine: pd.DataFrame, quantity: str, colours: dict, dashes: dict) -> None:
    for (rate, size), run in mine.groupby(["lr", "n_unlabelled"]):
        for _, line in run.groupby("run", sort=False):
            line = line.sort_values("step")
            panel.plot(line["step"], line[quantity], color=colours[size], linestyle=dashes[rate])
            if f"{quantity}_low" in line:
                panel.fill_between(
                    line["step"], line[f"{quantity}_low"], line[f"{quantity}_high"], color=colours[size], alpha=0.12, linewidth=0
                )
    _style.trim(panel)


def _time_axis(axes: np.ndarray, last: int) -> None:
    ticks = [0, *(10**power for power in range(len(str(last))) if 10**power <= max(last, 1))]
    for panel in axes.ravel():
        panel.set_xscale("symlog", linthresh=1, linscale=0.5)
        panel.set_xlim(0, max(last, 1) * 1.1)
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value < 1000 else f"{value / 1000:g}k")
