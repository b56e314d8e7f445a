"""The data slope: does L*_adapt follow L_pre when only the amount of unlabelled data changes?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interface.analysis._panels import Panel, Scale
from interface.analysis._within import slopes_along
from interface.analysis.ttest import ClusterMean, cluster_mean

THIRDS = (1.0, 1 / 3, 1 / 9)  # of the longest training: late enough that levels of n_unlabelled have come apart
WITHIN = 0.2  # a checkpoint stands for a wanted step if it lies within 20% of it
NEEDS = "runs that differ in n_unlabelled at equal learning rate and step"


@dataclass(frozen=True)
class DataSlope:
    """Slope of y on x across levels of n_unlabelled at equal learning rate and step, in adaptation ranges per D.

    Positive: less pretraining loss goes with less adaptation loss; 0: the pretraining loss gained by more data buys nothing.
    Compare slopes of targets on one scale only.

    Args:
        mean: over instances, the unit of inference; instances in which x does not vary are its `missing`.
        steps: the checkpoints used.
        scale: whose floor and range y has.
    """

    mean: ClusterMean
    steps: tuple[int, ...]
    scale: Scale


def data_slope(panel: Panel, *, scale: Scale = "own") -> DataSlope:
    """Per instance, least squares of y on x after removing lr x step means; then t over instances.

    A learning rate is only a change of time, and along one run time explains everything: comparing at equal learning rate
    and step leaves the effect of the data. y is averaged over replicates first.

    Args:
        panel: one cell.
        scale: "own" range, or the "in_domain" one, on which slopes of different targets can be subtracted.

    Returns:
        DataSlope; its mean's status says why, where no slope is identified.

    Source: fixed-effects (within) estimator, Wooldridge, "Econometric Analysis of Cross Section and Panel Data", 2nd ed.,
        section 10.5, in each instance by itself (within-cluster), then the mean over instances as in Fama and MacBeth 1973.

    Example:
        >>> from interface.analysis._panels import panel
        >>> import pandas as pd
        >>> rows = [dict(instance=b, lr=0.1, step=9, n_unlabelled=n, x=1 / n, y=b / n) for b in (0.5, 0.7) for n in (1, 2)]
        >>> round(data_slope(panel(pd.DataFrame(rows))).mean.estimate, 6)
        0.6
    """
    chosen = late_steps(panel.steps)
    index = [panel.steps.index(step) for step in chosen]
    x, y = panel.x[..., index], panel.y(scale)[..., index, :].mean(axis=-1)
    obstacle = panel.obstacle(scale)
    slopes = np.full(len(panel.instances), np.nan) if obstacle else slopes_along(x, y, axis=2)
    return DataSlope(cluster_mean(slopes, panel.instances, reason=obstacle or f"needs {NEEDS}"), chosen, scale)


def late_steps(steps: tuple[int, ...]) -> tuple[int, ...]:
    """The checkpoints nearest to the last step, a third and a ninth of it, each within 20%; the last is always there.

    Example:
        >>> late_steps((0, 36, 100, 300, 1000, 2700))
        (300, 1000, 2700)
    """
    nearest = [(min(steps, key=lambda step: abs(step - share * steps[-1])), share * steps[-1]) for share in THIRDS]
    return tuple(sorted({step for step, wanted in nearest if abs(step - wanted) <= WITHIN * wanted}))
