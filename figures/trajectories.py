"""L_pre and L*_adapt along training in one instance of each world, in-domain and where the link breaks."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from interface.report import trajectories

VARIANTS = {
    "trajectories_gaussian": {"source": "GaussianFactor", "shifts": ("none", "misalignment", "concept")},
    "trajectories_glyphs": {"source": "Glyphs", "shifts": ("none", "inversion", "rotation")},
}


def draw(
    table: pd.DataFrame, *, source: str = "GaussianFactor", shifts: Sequence[str] = ("none",), instance: str | None = None
) -> Figure:
    """The first instance and encoder by name, unless told otherwise."""
    here = table[table["source"] == source]
    return trajectories(here, shifts=shifts, instance=instance)
