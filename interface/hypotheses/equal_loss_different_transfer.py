"""Claim 4: a treatment moves transfer at equal pretraining loss."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import IN_DOMAIN, Panel, Panels
from interface.analysis.branch import at, ends
from interface.analysis.sufficiency import HIGHEST
from interface.hypotheses._base import Claim, ClaimResult, Hypothesis, average, self_supervised, single_population, untestable
from interface.hypotheses._planted import planted_pair

CLAIM = Claim(
    number=4,
    name="equal_loss_different_transfer",
    statement="A treatment moves the minimal adaptation loss at equal pretraining loss.",
    theta="y of the second minus y of the first encoder at equal L_pre, in in-domain ranges of the first, mean over pretexts",
    direction="either",
    needs="rows of two encoders of one pretext at equal n_unlabelled, whose runs share a pretraining loss",
)


def test(frame: pd.DataFrame | Panels) -> ClaimResult:
    """theta: L* of the second encoder minus L* of the first at equal L_pre, in ranges of the first, over instances.

    The two treatments are the first and the last encoder of a pretext in the order of their names. Runs are compared at the largest
    n_unlabelled and equal learning rate, on the descending branches, at the larger of the two lowest L_pre; a pair is missing, and
    counted, if that lies above .9 of the first encoder's drop or a branch does not pass it. L_pre is head-profiled and in its own
    unit, which the encoders of a pretext share.

    Args:
        frame: wide frame, or its panels.

    Raises:
        ValueError: as `single_population`.
    """
    found = single_population(frame)
    cells = self_supervised(found, IN_DOMAIN, 0.0)
    effects, units, pairs, missing = {}, {}, 0, 0
    for pretext in dict.fromkeys(cell.pretext for cell in cells):
        encoders = sorted((cell for cell in cells if cell.pretext == pretext), key=lambda cell: cell.encoder)
        if len(encoders) < 2:
            continue
        contrast, used, lost = _contrast(cells[encoders[0]], cells[encoders[-1]])
        effects[encoders[0]], units[encoders[0]] = contrast, cells[encoders[0]].range("in_domain")
        pairs, missing = pairs + used, missing + lost
    if not effects:
        return untestable(CLAIM.needs)
    return average(
        effects, found, CLAIM, scale="in_domain", units=units, detail=f"{pairs} pairs of runs, {missing} without a common loss"
    )


def _contrast(first: Panel, second: Panel) -> tuple[np.ndarray, int, int]:
    """(i,) mean over learning rates of the difference at equal loss, and how many pairs entered and did not."""
    losses = [panel.loss[:, :, -1].mean(axis=-1, keepdims=True) for panel in (first, second)]
    pre = [
        np.where(np.isnan(loss[..., 0]), np.nan, panel.pre[:, :, -1]) for loss, panel in zip(losses, (first, second), strict=True)
    ]
    equal = np.maximum(ends(pre[0])[1], ends(pre[1])[1])
    read = [at(p, loss, equal)[..., 0] for p, loss in zip(pre, losses, strict=True)]
    contrast = (read[1] - read[0]) / first.range("in_domain")[:, None]
    lowest = np.nanmin(np.where(np.isfinite(pre[0]), pre[0], np.inf), axis=(1, 2))
    contrast[~((equal - lowest[:, None]) / first.drop[:, None] <= HIGHEST)] = np.nan
    used = np.isfinite(contrast)
    measured = np.isfinite(pre[0]).any(-1) & np.isfinite(pre[1]).any(-1)
    mean = np.divide(np.where(used, contrast, 0).sum(1), used.sum(1), out=np.full(len(used), np.nan), where=used.any(1))
    return mean, int(used.sum()), int((measured & ~used).sum())


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame in which the second encoder's L* lies `effect` ranges above the first's at equal L_pre once trained."""
    return planted_pair(effect, rng, instances=instances, between=between)


HYPOTHESIS = Hypothesis(CLAIM, test, plant, listed_if_untestable=False)
