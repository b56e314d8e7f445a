"""Placebo regressions: what a slope would be where there is no link, and where there is only the common course of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interface.analysis._contrast import Contrast
from interface.analysis._panels import Panel, Scale
from interface.analysis._within import slopes_along
from interface.analysis.cr2 import cr2
from interface.analysis.data_slope import NEEDS, data_slope, late_steps
from interface.analysis.equivalence import Equivalence, equivalence
from interface.analysis.ttest import ClusterMean, cluster_mean

SMALLEST_EFFECT = 0.05  # adaptation ranges per D


@dataclass(frozen=True)
class Placebos:
    """The data slope beside what it is when L_pre is not the run's own, in adaptation ranges per D.

    Args:
        own: the data slope.
        borrowed: the same with the L_pre of *another instance's* run of the same design cell. It is no null: it shows how much of
            the slope is the common effect of n_unlabelled, which L_pre and L* share in every instance.
        beyond: slope with instance and design cell both held equal, CR2 over instances: what an instance's own deviation of L_pre
            says about its own deviation of L*; the secondary estimator.
    """

    own: ClusterMean
    borrowed: ClusterMean
    beyond: Contrast


def placebos(panel: Panel, *, scale: Scale = "own") -> Placebos:
    """Data slope with the run's own, with borrowed L_pre, and beyond what all instances share.

    Args:
        panel: one cell.
        scale: as in `data_slope`.

    Raises:
        ValueError: if there are fewer than 3 instances.

    Source: instance and cell effects, Wooldridge, "Econometric Analysis of Cross Section and Panel Data", 2nd ed., section 10.5.
    """
    n = len(panel.instances)
    if n < 3:
        raise ValueError(f"placebos: the panel has {n} instance(s); at least 3 are needed to borrow from another one")
    index = [panel.steps.index(step) for step in late_steps(panel.steps)]
    x, y = panel.x[..., index], panel.y(scale)[..., index, :].mean(axis=-1)
    borrowed = np.nanmean([slopes_along(np.roll(x, shift, axis=0), y, axis=2) for shift in range(1, n)], axis=0)
    mean = cluster_mean(borrowed, panel.instances, reason=f"needs {NEEDS}")
    return Placebos(data_slope(panel, scale=scale).mean, mean, _beyond(x, y))


def random_label(panel: Panel, *, smallest_effect: float = SMALLEST_EFFECT, level: float = 0.05) -> tuple[ClusterMean, Equivalence]:
    """Data slope where the label is drawn at random for each draw, on the in-domain scale, and whether it is negligible.

    Labels attached to base images can be memorised, and a label that is a function of x is no null: the label must be drawn anew
    for every draw. It is judged against the smallest effect, because common draws leave slopes of some thousandths.

    Args:
        panel: the cell of the random label; its own range is noise, so that the in-domain range is its unit.
        smallest_effect: margin of the equivalence test.
        level: of the equivalence test.
    """
    mean = data_slope(panel, scale="in_domain").mean
    return mean, equivalence(mean, smallest_effect, level=level)


def _beyond(x: np.ndarray, y: np.ndarray) -> Contrast:
    """Slope after removing instance x lr x step means and lr x n x step means, by alternating until neither is left."""
    full = np.isfinite(x) & np.isfinite(y)
    full &= full.sum(axis=2, keepdims=True) > 1
    dx, dy = (np.where(full, v, 0.0) for v in (x, y))
    for _ in range(200):
        before = dx.copy()
        for axis in (2, 0):
            count = np.maximum(full.sum(axis=axis, keepdims=True), 1)
            dx, dy = (np.where(full, v - v.sum(axis=axis, keepdims=True) / count, 0.0) for v in (dx, dy))
        if np.abs(dx - before).max() <= 1e-13:
            break
    instance = np.broadcast_to(np.arange(len(x))[:, None, None, None], x.shape)
    keep = full & (np.abs(dx) > 0)
    if not (dx[keep] @ dx[keep] > 1e-18) or len(np.unique(instance[keep])) < 2:
        nan = float("nan")
        return Contrast(nan, nan, nan, 0, "CR2", "x does not vary beyond what all instances share")
    return cr2(dx[full][:, None], dy[full], instance[full], [1.0])
