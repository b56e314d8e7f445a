"""What the loss after n labels consists of: representation, adaptation generalisation, optimisation."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import last_checkpoints, over_instances

SWEEP = "regimes"
VARIANTS: dict[str, dict[str, str]] = {f"decomposition_{pretext}": {"pretext": pretext} for pretext in ("InfoNCE", "Autoencoding")}
PARTS = {
    "adapt_representation": "representation",
    "adapt_generalisation": "generalisation",
    "adapt_optimisation": "optimisation",
    "adapt_excess": "their sum: the excess",
}
ADAPTATIONS = {"LinearProbe": "linear probe", "FineTuning": "fine-tuning", "FromScratch": "from scratch"}


def draw(table: pd.DataFrame, *, pretext: str = "InfoNCE") -> Figure:
    """The parts of the excess over label counts, one column an adaptation, of the last checkpoints of one pretext."""
    here = last_checkpoints(table)
    here = here[here["n_labels"].notna() & (here["shift"] == "none") & (here["pretext"] == pretext)]
    here = here[here["adaptation"].isin(list(ADAPTATIONS))]
    parts = [part for part in PARTS if part in here]
    if not parts:
        raise ValueError("decomposition: the table has no adapt_excess and its parts; measure cells with n_labels")
    long = here.melt(id_vars=["instance", "adaptation", "n_labels", "unit"], value_vars=parts, var_name="part", value_name="nats")
    return over_instances(
        long, x="n_labels", by="part", y="nats", facet="adaptation", levels=parts, names={**PARTS, **ADAPTATIONS}, log=True,
        xlabel=f"number of labels, {pretext}", ylabel="nats",
    )  # fmt: skip
