"""Supervised against self-supervised pretraining, by the angle between source and target label."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import last_checkpoints, over_instances

SWEEP = "supervised_vs_ssl"
VARIANTS: dict[str, dict[str, str]] = {"supervised_vs_ssl": {}}
NAMES = {"MultiTask": "supervised", "Autoencoding": "autoencoding", "SpectralContrastive": "spectral contrastive"}


def draw(table: pd.DataFrame) -> Figure:
    """L*_adapt of the last checkpoints by angle; below, minus that of supervised pretraining on the source's label."""
    here = last_checkpoints(table)
    here = here.assign(angle=90 * here["strength"])
    return over_instances(
        here, x="angle", by="pretext", facet="encoder", against="MultiTask", levels=list(NAMES), names=NAMES,
        xlabel="angle between source and target label, degrees",
    )  # fmt: skip
