"""Pretraining in the target's domain against pretraining in another one, the target fixed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import last_checkpoints, over_instances

SWEEP = "shifts"
VARIANTS: dict[str, dict[str, str]] = {"shifts": {}}
PLAIN = "Glyphs"
DOMAINS = ("typeface", "script", "noise", "occlusion", "rotation", "inversion")


def draw(table: pd.DataFrame) -> Figure:
    """L*_adapt on the plain glyphs by pretraining domain; below, minus that of pretraining on the plain glyphs themselves."""
    here = last_checkpoints(table)
    home = here.loc[here["source"] == PLAIN, "target"].unique()
    here = here[here["target"].isin(list(home))]
    names = {PLAIN: "in-domain", **{f"{PLAIN}+{name}": name for name in DOMAINS}}
    here = here[here["source"].isin(list(names))]
    here = here.sort_values("source", key=lambda column: column.map(list(names).index), kind="stable")
    return over_instances(here, x="source", by="pretext", facet="encoder", against=PLAIN, names=names, xlabel="pretraining domain")
