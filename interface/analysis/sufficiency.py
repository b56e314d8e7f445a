"""The sufficiency contrast: at equal L_pre, does it matter how much data it was reached with?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interface.analysis._panels import Panel, Scale
from interface.analysis.branch import at, ends
from interface.analysis.ttest import ClusterMean, cluster_mean

MARGIN = 0.10  # ranges: standard deviations over instances are .04-.09, so .05 would have no power
HIGHEST = 0.9  # in shares of D: above it the smaller run has hardly trained


@dataclass(frozen=True)
class Sufficiency:
    """y of the smallest minus y of the largest n_unlabelled at equal x, in adaptation ranges.

    0: L_pre says all. Positive: at equal loss the run on little data transfers worse; negative: better.

    Args:
        mean: over instances (mean over learning rates inside).
        x: mean x at which the two were compared.
        pairs: number of pairs of runs that entered.
        missing: pairs that did not, because x would exceed .9 or a branch does not pass it.
        scale: whose floor and range y has.
    """

    mean: ClusterMean
    x: float
    pairs: int
    missing: int
    scale: Scale

    @property
    def equivalent(self) -> bool:
        """Whether the 95% interval lies inside the margin of .10."""
        low, high = self.mean.interval()
        return bool(low >= -MARGIN and high <= MARGIN)

    @property
    def beyond(self) -> bool:
        """Whether the 95% interval lies outside the margin of .10."""
        low, high = self.mean.interval()
        return bool(low > MARGIN or high < -MARGIN)


def sufficiency(panel: Panel, *, scale: Scale = "own") -> Sufficiency:
    """Contrast on the descending branches, at the larger of the two branch minima; mean over lr, t over instances.

    Args:
        panel: one cell.
        scale: as in `data_slope`.
    """
    n = len(panel.instances)
    reason = panel.obstacle(scale) or ("needs 2 levels of n_unlabelled" if len(panel.sizes) < 2 else None)
    if reason:
        return Sufficiency(cluster_mean(np.full(n, np.nan), panel.instances, reason=reason), float("nan"), 0, 0, scale)
    y = panel.y(scale)
    x = np.where(np.isnan(y).all(axis=-1), np.nan, panel.x)  # checkpoints without this target are no points of the branch
    small, large = x[:, :, 0], x[:, :, -1]
    equal = np.maximum(ends(small)[1], ends(large)[1])
    contrast = (at(small, y[:, :, 0], equal) - at(large, y[:, :, -1], equal)).mean(axis=-1)
    contrast[~(equal <= HIGHEST)] = np.nan
    measured = ~np.isnan(small).all(axis=-1) & ~np.isnan(large).all(axis=-1)
    used = np.isfinite(contrast)
    per_instance = np.divide(np.where(used, contrast, 0).sum(1), used.sum(1), out=np.full(n, np.nan), where=used.any(1))
    return Sufficiency(
        mean=cluster_mean(per_instance, panel.instances, reason="no pair of runs shares an x below .9"),
        x=float(equal[used].mean()) if used.any() else float("nan"),
        pairs=int(used.sum()),
        missing=int((measured & ~used).sum()),
        scale=scale,
    )
