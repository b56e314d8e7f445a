"""The house style of every figure: print size, fonts, colours that survive colour blindness, and how a figure becomes files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

TEXT_WIDTH = 6.5  # inches: the text block of the paper, so that a figure is printed at the size it is drawn
FONT, SMALL = 8.0, 7.0  # points at print size; nothing is smaller than SMALL
DPI = 200
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")  # colour is never the only sign
MANY_POINTS = 1_500  # beyond this many marks a panel's points are stored as an image, its text and axes are not

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "figure.titlesize": FONT,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "pdf.fonttype": 42,  # TrueType: text in the PDF stays text
    "ps.fonttype": 42,
    "svg.fonttype": "path",
}

P = ParamSpec("P")


def house() -> AbstractContextManager[None]:
    """Within this context everything drawn has the house style; outside nothing changes."""
    return mpl.rc_context(sns.axes_style("ticks") | RC)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A drawing function that works in the house style wherever it is called, and lays its figure out once for all formats."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with house():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            return figure

    return inside


def new_figure(height: float, width: float = TEXT_WIDTH) -> Figure:
    """An empty figure of print size in inches, outside pyplot: no window, no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def palette(n: int) -> list[tuple[float, float, float]]:
    """n colours that can be told apart with any colour vision; more than ten repeat."""
    colours = [to_rgb(colour) for colour in sns.color_palette("colorblind")]
    return [colours[i % len(colours)] for i in range(n)]


def ordered_colours(n: int) -> list[tuple[float, float, float]]:
    """n colours from light to dark for an amount, such as n_unlabelled."""
    return [to_rgb(colour) for colour in sns.color_palette("flare", max(n, 2))][:n]


def tint(colour: Sequence[float], strength: float) -> tuple[float, float, float]:
    """The colour mixed with white: 1 leaves it, 0.5 is a lighter version."""
    red, green, blue = 1 - (1 - np.asarray(colour[:3])) * np.clip(strength, 0.25, 1.0)
    return float(red), float(green), float(blue)


def shift_looks(names: pd.DataFrame) -> dict[str, tuple[tuple[float, float, float], str]]:
    """Colour and marker per shift name; a weaker strength of the same shift is lighter.

    Args:
        names: distinct shifts: columns shift, strength, name.
    """
    shifts = list(dict.fromkeys(names["shift"]))
    colours = dict(zip(shifts, palette(len(shifts)), strict=True))
    markers = {shift: MARKERS[index % len(MARKERS)] for index, shift in enumerate(shifts)}
    strongest = names.groupby("shift")["strength"].transform("max").replace(0.0, 1.0)
    share = (names["strength"] / strongest).where(names["shift"] != "none", 1.0)
    return {
        name: (tint(colours[shift], part), markers[shift])
        for name, shift, part in zip(names["name"], names["shift"], share, strict=True)
    }


def trim(axes: Axes) -> None:
    """Removes the frame's upper and right sides."""
    sns.despine(ax=axes)


def name_row(axes: Axes, text: str) -> None:
    """Writes a row's name at the right of its last panel."""
    axes.annotate(text, (1.03, 0.5), xycoords="axes fraction", rotation=270, ha="left", va="center", fontsize=FONT)


def save(figure: Figure, folder: str | Path, name: str, formats: Sequence[str] = ("pdf", "png")) -> list[Path]:
    """Writes the figure at print size in each format; the same figure gives the same bytes, as no date is stored.

    Returns:
        The paths written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in formats]
    with house():
        for path in paths:
            figure.savefig(path, metadata={"CreationDate": None} if path.suffix == ".pdf" else {})
    return paths
