"""A user's table on one self-contained page: the verdict in words, the numbers, a figure, and what is doubtful."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from interface import report as parts
from interface.analysis import Analysis
from interface.report import _style

MOST_POINTS = 4_000  # marks in a figure; beyond about so many every k-th run or model is drawn, and the title says so
BOX = "\u25a1"
MOST_SLOPES = 14  # lines of the right panel


@_style.styled
def analysis_figure(analysis: Analysis) -> Figure:
    """Left: adaptation against pretraining loss, one mark a row, runs joined, with the fitted line and the intercept's interval.

    Right: every slope with its 95% interval over clusters; the grey band is smaller than the smallest effect of interest.

    Args:
        analysis: what `analyze` returned.
    """
    figure = _style.new_figure(height=2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1.0))
    _draw_rows(left, analysis)
    _draw_slopes(right, analysis)
    for axes in (left, right):
        _style.trim(axes)
    return figure


def analysis_page(analysis: Analysis, *, title: str) -> str:
    """The page as HTML text; nothing is fetched, every text is escaped.

    Args:
        analysis: what `analyze` returned.
        title: heading, such as the name of the table.
    """
    counts = f"{analysis.n_rows} rows, {analysis.n_runs} runs, {analysis.n_clusters} clusters of {analysis.cluster!r}"
    detail = f" ({analysis.verdict.detail})" if analysis.verdict.word != "undecided" else ""
    basis = "by the progress slope" if analysis.kind == "trajectories" else "by the line over models"
    rows = [
        (number.name, _value(number.estimate), _limits(number.low, number.high), str(number.n_clusters), number.unit,
         number.where, "" if number.p != number.p else f"{number.p:.2g}", "" if number.status == "ok" else number.status)
        for number in (analysis.slope, analysis.intercept, analysis.spread, *analysis.others)
    ]  # fmt: skip
    head = ["number", "estimate", "95% interval", "clusters", "unit", "where", "p at the smallest effect", "remark"]
    return parts.page(
        title=title,
        answer=[
            f"In words, {basis}: {analysis.verdict}{detail}.",
            f"{analysis.kind.capitalize()}: {counts}; the unit of inference is the cluster, never the row.",
            f"Lower loss gives better transfer: {analysis.claim_1}.",
            f"Smallest effect of interest: {analysis.smallest_effect:.3g} of the adaptation result.",
        ],
        table=pd.DataFrame(rows, columns=head),
        figures={"Left: the rows of the table. Right: slopes with 95% intervals over clusters.": analysis_figure(analysis)},
        notes=[f"{entry}. To settle it: {entry.advice}." for entry in analysis.notes],
    )


def write_analysis_page(path: str | Path, analysis: Analysis, *, title: str) -> Path:
    """Writes `analysis_page` and returns the path.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(path)
    text = analysis_page(analysis, title=title)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _draw_rows(axes: Axes, analysis: Analysis) -> None:
    table = analysis.table
    per_run = np.bincount(table.run)
    used = np.flatnonzero(per_run > 1 if analysis.kind == "trajectories" else per_run > 0)
    every = -(-int(per_run[used].sum()) // MOST_POINTS)
    rows = np.flatnonzero(np.isin(table.run, used[::every]))
    rows = rows[:: -(-len(rows) // (2 * MOST_POINTS))]  # few, but very long runs
    x, y, run = table.x[rows], table.y[rows], table.run[rows]
    family = np.zeros_like(run) if table.family is None else table.family[rows]
    paint = np.array(_style.palette(10))[family % 10]
    many = len(x) > _style.MANY_POINTS
    if analysis.kind == "trajectories":
        paths = [part for part in np.split(np.column_stack([x, y]), np.flatnonzero(np.diff(run)) + 1) if len(part) > 1]
        axes.add_collection(LineCollection(paths, colors="0.6", linewidths=0.4, alpha=0.6, rasterized=many), autolim=False)
    axes.scatter(x, y, s=7 if many else 12, c=paint, alpha=0.6, linewidth=0, rasterized=many)
    _draw_line(axes, analysis, x)
    axes.set(xlabel=_plain(table.names[0]), ylabel=_plain(f"{table.names[1]} ({table.adapt_is})"))
    if len(x) < len(table.x):
        axes.set_title(f"{len(x)} of {len(table.x)} rows drawn")


def _draw_line(axes: Axes, analysis: Analysis, x: np.ndarray) -> None:
    """The fitted line through the intercept, which is read at the lowest common (or observed) loss."""
    slope, intercept = analysis.slope, analysis.intercept
    where = analysis.intercept_at
    if not np.isfinite([slope.estimate, intercept.estimate, where]).all():
        return
    ends = np.array([where, x.max()])
    axes.plot(ends, intercept.estimate + slope.estimate * (ends - where), color="black", linewidth=1.0)
    if np.isfinite([intercept.low, intercept.high]).all():
        axes.vlines(where, intercept.low, intercept.high, color="black", linewidth=1.6)
    axes.plot([where], [intercept.estimate], marker="D", color="black", markersize=4)


def _draw_slopes(axes: Axes, analysis: Analysis) -> None:
    known = [analysis.slope, *(n for n in analysis.others if n.name in ("B", "between", "pooled") or n.name.startswith("slope"))]
    shown = [number for number in known if np.isfinite(number.estimate)][:MOST_SLOPES]
    places = np.arange(len(shown))[::-1]
    axes.axvspan(-analysis.smallest_slope, analysis.smallest_slope, color="0.9", linewidth=0)
    for place, number in zip(places, shown, strict=True):
        if np.isfinite([number.low, number.high]).all():
            axes.hlines(place, number.low, number.high, color="black", linewidth=1.2)
        axes.plot([number.estimate], [place], marker="o", color="black", markersize=4)
    axes.set_yticks(places, [_plain(number.name) for number in shown])
    axes.set(xlabel="slope, 95% interval over clusters", ylim=(-0.6, max(len(shown), 1) - 0.4))


def _plain(text: str) -> str:
    """Text that matplotlib sets as it is: a dollar sign starts no formula, and what the font lacks is a box."""
    font = get_font(findfont("DejaVu Sans"))
    return "".join(character if font.get_char_index(ord(character)) else BOX for character in text).replace("$", r"\$")


def _value(value: float) -> str:
    return "none" if value != value else f"{value:.4g}"


def _limits(low: float, high: float) -> str:
    return "none" if low != low else f"[{low:.4g}, {high:.4g}]"
