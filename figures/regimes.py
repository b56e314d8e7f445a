"""How many labels: probe, fine-tuning and training from scratch over label counts, and what each gains over scratch."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import last_checkpoints, over_instances

SWEEP = "regimes"
VARIANTS: dict[str, dict[str, str]] = {"regimes": {}}
LEVELS = ("LinearProbe", "FineTuning", "ProbeThenFineTuning", "FromScratch")
NAMES = {
    "LinearProbe": "linear probe",
    "FineTuning": "fine-tuning",
    "ProbeThenFineTuning": "probe, then fine-tuning",
    "FromScratch": "from scratch",
}


def draw(table: pd.DataFrame) -> Figure:
    """Held-out loss in-domain after adapting the last checkpoint to n labels; below, minus that of training from scratch."""
    here = last_checkpoints(table)
    here = here[here["n_labels"].notna() & (here["shift"] == "none")]
    return over_instances(
        here, x="n_labels", by="adaptation", against="FromScratch", levels=LEVELS, names=NAMES, log=True,
        xlabel="number of labels", ylabel="loss after n labels (nats)",
    )  # fmt: skip
