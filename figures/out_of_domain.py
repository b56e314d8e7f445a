"""Fine-tuning from a random head and from a probed one, adapted in-domain and read off under shift."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import last_checkpoints, over_instances

SWEEP = "regimes"
VARIANTS: dict[str, dict[str, str]] = {"out_of_domain": {}}
LEVELS = ("FineTuning", "ProbeThenFineTuning", "LinearProbe")
SHIFTS = ("typeface", "noise", "occlusion", "rotation")
NAMES = {"LinearProbe": "linear probe", "FineTuning": "fine-tuning", "ProbeThenFineTuning": "probe, then fine-tuning"}


def draw(table: pd.DataFrame) -> Figure:
    """Loss under each shift at full strength after 512 labels in-domain; below, minus that of fine-tuning from a random head."""
    here = last_checkpoints(table)
    here = here[here["n_labels"].notna() & here["shift"].isin(SHIFTS)]
    here = here.sort_values("shift", key=lambda column: column.map(SHIFTS.index), kind="stable")
    return over_instances(
        here, x="shift", by="adaptation", against="FineTuning", levels=LEVELS, names=NAMES,
        xlabel="target, adapted in-domain", ylabel="loss under shift (nats)",
    )  # fmt: skip
