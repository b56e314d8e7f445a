"""Forest plots: every number with its interval over instances, and the verdict in words beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from interface.report import _base, _style

SMALLEST_EFFECT = 0.05  # adaptation ranges per drop of L_pre: what the claims are tested against
OUTCOMES = ("supported", "refuted", "undecided", "untestable")
LINE = 0.125  # inches: a line of the smallest text with its leading
ROW = 0.145  # inches: a row of one line


@_style.styled
def verdicts(records: Sequence[Any] | pd.DataFrame, *, smallest_effect: float = SMALLEST_EFFECT) -> Figure:
    """One row a claim and source: the estimate, its interval over instances, and the outcome in words.

    The dotted line is the smallest effect of interest, the solid one zero. Colour and marker are the outcome.

    Args:
        records: verdict records, or a frame of their fields.
        smallest_effect: where to draw the dotted line.

    Raises:
        ValueError: if there is no record.
    """
    frame = _base.verdict_frame(records)
    _base.require(frame, ("number", "name", "outcome"), "verdicts")
    frame = frame.sort_values(["role", "number"], kind="stable").reset_index(drop=True)
    names = [f"{number:g}  {wrap(name, 34)}" for number, name in zip(frame["number"], frame["name"], strict=True)]
    texts = [_beside_claim(verdict) for _, verdict in frame.iterrows()]
    heights = np.array([1 + max(name.count("\n"), text.count("\n")) + 0.6 for name, text in zip(names, texts, strict=True)])
    places = heights[0] / 2 - np.cumsum(heights) + heights / 2  # the first row's top is at heights[0] / 2

    figure = _style.new_figure(height=0.75 + LINE * heights.sum())
    panel = figure.subplots()
    looks = dict(zip(OUTCOMES, zip(_style.palette(4), ("o", "s", "D", "x"), strict=True), strict=True))
    for place, (_, verdict) in zip(places, frame.iterrows(), strict=True):
        colour, marker = looks.get(str(verdict["outcome"]), ("0.4", "o"))
        _interval(panel, place, verdict["estimate"], verdict["low"], verdict["high"], colour, marker)
    _lines(panel, smallest_effect)
    panel.set_yticks(places, names)
    panel.set_ylim(heights[0] / 2 - heights.sum(), heights[0] / 2)
    _beside(panel, places, texts)
    roles = frame["role"].to_numpy()
    for index in np.flatnonzero(roles[1:] != roles[:-1]) + 1:
        panel.axhline(places[index] + heights[index] / 2, color="0.5", linewidth=0.6)
    panel.set_xlabel("estimate, adaptation ranges (interval over instances)")
    seen = [outcome for outcome in OUTCOMES if (frame["outcome"] == outcome).any()]
    marks = [Line2D([], [], color=looks[name][0], marker=looks[name][1], markersize=4, linestyle="", label=name) for name in seen]
    figure.legend(handles=marks, loc="outside upper center", ncols=4)
    return figure


@_style.styled
def numbers_by_cell(
    summary: pd.DataFrame,
    *,
    source: str,
    numbers: Sequence[str] = ("data_slope", "contrast", "intercept", "slope", "spread"),
    smallest_effect: float = SMALLEST_EFFECT,
) -> Figure:
    """One row a pretext, encoder and shift, one column a number with its interval over instances, the verdict at the right.

    Args:
        summary: one row per source, pretext, encoder, shift and strength, with n, n_low, n_high for each number n, and words.
        source: the source to draw.
        numbers: which numbers, in this order.
        smallest_effect: where to draw the dotted line of the slopes.

    Raises:
        ValueError: if columns are missing or the source has no row.
    """
    who = "numbers_by_cell"
    _base.require(summary, [*_base.CELL, *numbers], who)
    summary = _base.summary_frame(summary)
    summary = summary[summary["source"] == source]
    _base.require(summary, (), who)
    names = _base.shift_names(summary)
    rank = {(shift, strength): index for index, (shift, strength) in enumerate(zip(names["shift"], names["strength"], strict=True))}
    summary = summary.assign(rank=[rank[key] for key in zip(summary["shift"], summary["strength"], strict=True)])
    summary = summary.sort_values(["pretext", "encoder", "rank"], kind="stable").reset_index(drop=True)
    groups = summary.groupby(["pretext", "encoder"], sort=False).ngroup().to_numpy()
    places = -(np.arange(len(summary)) + 1.4 * groups).astype(float)  # a heading's room above each group
    figure = _style.new_figure(height=0.6 + ROW * (1 - places[-1] + 1.4))
    axes = figure.subplots(1, len(numbers), squeeze=False, sharey=True)[0]
    looks = _style.shift_looks(names)
    rows = [names["name"][index] for index in summary["rank"]]
    for panel, number in zip(axes, numbers, strict=True):
        blank = pd.Series(np.nan, index=summary.index)
        low, high = (summary.get(f"{number}_{side}", blank) for side in ("low", "high"))
        for place, name, values in zip(places, rows, zip(summary[number], low, high, strict=True), strict=True):
            _interval(panel, place, *values, *looks[name])
        _lines(panel, smallest_effect if number in ("data_slope", "progress_slope") else None)
        panel.set_xlabel(_base.label(number))
        panel.tick_params(axis="y", length=0)
        panel.locator_params(axis="x", nbins=3)
    axes[0].set_yticks(places, rows)
    axes[0].set_ylim(places[-1] - 0.8, 1.6)
    for _, group in summary.groupby(groups):
        first = group.iloc[0]
        heading = f"{first['pretext']}, {first['encoder']}" + (f" (G = {first['n_instances']:g})" if "n_instances" in group else "")
        across = blended_transform_factory(figure.transFigure, axes[0].transData)
        place = places[group.index[0]] + 1.0
        text = figure.text(0.01, place, heading, transform=across, va="center", fontsize=_style.SMALL, fontweight="bold")
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0})
        text.set_in_layout(False)  # it runs across the panels
    if "words" in summary:
        _beside(axes[-1], places, [textwrap.shorten(str(words), 38, placeholder=" …") for words in summary["words"].fillna("n/a")])
    return figure


def _beside_claim(verdict: pd.Series) -> str:
    clusters = f" (G = {verdict['n_clusters']:g})" if verdict["n_clusters"] > 0 else ""
    return f"{_base.where_in_words(verdict)}{clusters}\n{wrap(_base.outcome_in_words(verdict), 34, lines=3)}"


def wrap(text: str, width: int, lines: int = 2) -> str:
    """The text broken at spaces into at most so many lines of about `width` characters; a longer one ends in an ellipsis."""
    broken = textwrap.wrap(str(text), width)
    return "\n".join(broken if len(broken) <= lines else [*broken[: lines - 1], f"{broken[lines - 1]} …"])


def _interval(panel: Axes, place: float, value: float, low: float, high: float, colour: Any, marker: str) -> None:
    if not np.isfinite(value):
        return
    if np.isfinite(low) and np.isfinite(high):
        panel.plot([low, high], [place, place], color=colour, linewidth=1.0)
    panel.plot([value], [place], color=colour, marker=marker, markersize=3.5, linestyle="")


def _lines(panel: Axes, smallest_effect: float | None) -> None:
    panel.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    if smallest_effect is not None:
        panel.axvline(smallest_effect, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
    _style.trim(panel)


def _beside(panel: Axes, places: np.ndarray, texts: Sequence[str]) -> None:
    for place, text in zip(places, texts, strict=True):
        panel.annotate(text, (1.02, place), xycoords=("axes fraction", "data"), ha="left", va="center", fontsize=_style.SMALL)
