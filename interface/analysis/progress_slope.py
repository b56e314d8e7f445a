"""The progress slope: how y falls while x falls in training. Descriptive, because along a run time explains everything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interface.analysis._panels import Panel, Scale
from interface.analysis._within import slopes_along
from interface.analysis.ttest import ClusterMean, cluster_mean

FIRST_STEP = 36  # before it, checkpoints of different learning rates have hardly come apart


@dataclass(frozen=True)
class ProgressSlope:
    """Two slopes of y on x, in adaptation ranges per D, neither of which separates pretraining loss from time.

    Args:
        across_lr: at equal n_unlabelled and step, across learning rates, from step 36 on.
        within_run: along each run, all checkpoints, pooled over the runs of an instance.
        scale: whose floor and range y has.
    """

    across_lr: ClusterMean
    within_run: ClusterMean
    scale: Scale


def progress_slope(panel: Panel, *, scale: Scale = "own") -> ProgressSlope:
    """Slopes across learning rates and within runs, per instance, then t over instances; descriptive.

    Pairing a run's L* with another run's L_pre at the same step gives the same within-run slope: it shows that both fall with
    time, not that one follows the other. Pooling over runs weights a run by how far its x moves.

    Args:
        panel: one cell.
        scale: as in `data_slope`.
    """
    y = panel.y(scale).mean(axis=-1)
    late = np.asarray(panel.steps) >= FIRST_STEP
    obstacle = panel.obstacle(scale)
    across = within = np.full(len(panel.instances), np.nan)
    if not obstacle:
        across, within = slopes_along(panel.x[..., late], y[..., late], axis=1), slopes_along(panel.x, y, axis=3)
    return ProgressSlope(
        across_lr=cluster_mean(across, panel.instances, reason=obstacle or f"needs 2 learning rates at equal step >= {FIRST_STEP}"),
        within_run=cluster_mean(within, panel.instances, reason=obstacle or "needs 2 checkpoints a run"),
        scale=scale,
    )
