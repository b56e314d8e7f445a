"""The counterexample: an overcomplete autoencoder drives L_pre to 0 while L*_adapt rises."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import over_instances

SWEEP = "overcomplete"
VARIANTS: dict[str, dict[str, str]] = {"overcomplete": {}}
PANELS = {"l_pre_profiled": "L_pre (squared units)", "l_adapt": "L*_adapt (nats)"}


def draw(table: pd.DataFrame) -> Figure:
    """Both losses along training, one line a number of features; below, minus that of the untrained encoder; over runs."""
    long = table.melt(id_vars=["run", "step", "encoder"], value_vars=list(PANELS), var_name="loss", value_name="value")
    long = long.assign(step=long["step"].clip(lower=1))  # the untrained encoder, on a logarithmic axis
    widths = sorted(long["encoder"].unique(), key=lambda name: int(name.split(",")[1].rstrip(")")))
    features = {name: f"{name.split(',')[1].rstrip(')')} features" for name in long["encoder"].unique()}
    return over_instances(
        long, x="step", by="encoder", y="value", facet="loss", against=1.0, unit="run", levels=widths, share=False, log=True,
        names={**PANELS, **features, "1.0": "the untrained encoder's", "1": "0"}, xlabel="pretraining step", ylabel="loss",
    )  # fmt: skip
