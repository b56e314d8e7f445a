"""L*_adapt against L_pre by shift, one instance of each world; in the Gaussian world with the exact range that theory allows."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import adapt_against_pre, band_of

VARIANTS = {"adapt_against_pre_gaussian": {"source": "GaussianFactor"}, "adapt_against_pre_glyphs": {"source": "Glyphs"}}


def draw(
    table: pd.DataFrame, *, source: str = "GaussianFactor", instance: str | None = None, band: pd.DataFrame | None = None
) -> Figure:
    """One instance (the first by name, unless told), because raw losses of different instances share no scale."""
    here = table[table["source"] == source]
    instance = min(here["instance"], default=None) if instance is None else instance
    here = here[here["instance"] == instance]
    x = "l_pre_excess" if "l_pre_excess" in here and here["l_pre_excess"].notna().any() else "l_pre_profiled"
    return adapt_against_pre(here, x=x, band=band_of(here, x=x) if band is None else band, paths=True)
