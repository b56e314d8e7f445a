"""Where encoder and head are split: L*_adapt after each layer, in-domain and under shift."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import _base, last_checkpoints, over_instances

SWEEP = "split"
VARIANTS = {"split_glyphs": {"source": "Glyphs"}, "split_gaussian": {"source": "GaussianFactor"}}


def draw(table: pd.DataFrame, *, source: str = "Glyphs") -> Figure:
    """L*_adapt of the last checkpoints by depth, one line a target; below, minus that of the encoder's output."""
    here = last_checkpoints(table[table["source"] == source])
    if "depth" not in here or here["depth"].isna().all():
        raise ValueError("split: the table has no depths")
    output = float(here["depth"].max()) + 1
    here = here.assign(depth=here["depth"].fillna(output)).merge(_base.shift_names(here), on=["shift", "strength"])
    return over_instances(
        here, x="depth", by="name", levels=list(_base.shift_names(here)["name"]), against=output,
        names={f"{output:g}": "output", f"{output}": "the output's"}, xlabel="layer that the probe reads",
    )  # fmt: skip
