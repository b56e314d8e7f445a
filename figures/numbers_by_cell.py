"""The three numbers, the data slope and the contrast of every pretext, encoder and shift, with intervals over instances."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import numbers_by_cell

VARIANTS = {"numbers_gaussian": {"source": "GaussianFactor"}, "numbers_glyphs": {"source": "Glyphs"}}


def draw(table: pd.DataFrame, *, source: str = "GaussianFactor", summary: pd.DataFrame | None = None) -> Figure:
    """From `summary`, or from the table's own, which takes a few seconds."""
    if summary is None:
        from interface.analysis import summarize

        summary = summarize(table[table["source"] == source])
    return numbers_by_cell(summary, source=source)
