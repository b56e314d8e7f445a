"""Model size: L*_adapt and L_pre of encoders that differ in width alone."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import _base, last_checkpoints, over_instances

SWEEP = "size"
VARIANTS = {
    "size_gaussian": {"source": "GaussianFactor"},
    "size_glyphs": {"source": "Glyphs"},
    "size_loss_gaussian": {"source": "GaussianFactor", "y": "l_pre_profiled"},
    "size_loss_glyphs": {"source": "Glyphs", "y": "l_pre_profiled"},
}


def draw(table: pd.DataFrame, *, source: str = "Glyphs", y: str = "l_adapt") -> Figure:
    """y of the last checkpoints against the number of parameters, one line a target, or a data size for L_pre."""
    here = last_checkpoints(table[table["source"] == source])
    if y == "l_adapt":
        names = _base.shift_names(here)
        here, by, levels = here.merge(names, on=["shift", "strength"]), "name", list(names["name"])
    else:
        here = here[here["shift"] == "none"]
        here = here.assign(examples=[f"{n:,.0f} unlabelled examples" for n in here["n_unlabelled"]])
        by, levels = "examples", list(here.sort_values("n_unlabelled")["examples"].unique())
    title = None if y == "l_adapt" else _base.label(y)  # its unit is the pretext's
    return over_instances(
        here, x="n_params", by=by, y=y, levels=levels, log=True, share=y == "l_adapt", xlabel="parameters", ylabel=title
    )
