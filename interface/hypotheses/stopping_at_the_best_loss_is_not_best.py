"""Claim 5: the checkpoint of the lowest pretraining loss is not the best for transfer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import IN_DOMAIN, Panel, Panels, skewed_mean
from interface.hypotheses._base import Claim, ClaimResult, Hypothesis, average, self_supervised, single_population, untestable
from interface.hypotheses._planted import planted_turn

CLAIM = Claim(
    number=5,
    name="stopping_at_the_best_loss_is_not_best",
    statement="The checkpoint of the lowest validation pretraining loss is not the best for transfer.",
    theta="regret y(argmin_t x) - min_t y, argmin and value on independent draws; t over instances corrected for skewness",
    direction="above",
    needs="L* of each checkpoint on two independent draws: one to choose it, one to value it",
)


def test(frame: pd.DataFrame | Panels, *, shift: str = IN_DOMAIN) -> ClaimResult:  # noqa: PT028 (no test of pytest's)
    """theta: regret of stopping each run at its lowest L_pre, in adaptation ranges, mean over runs and cells, over instances.

    The best checkpoint is chosen by the side of L* that comes from the draws a probe was fitted on, and both checkpoints are valued
    by the side that comes from draws of their own: a minimum over noisy values would show a regret where there is none. The regret
    so found is at most the true one on average. Where L* is exact the two sides are equal and the regret is exact.

    A regret is skewed over instances, which makes plain t too ready to refute: test and interval are those of `skewed_mean`.

    Args:
        frame: wide frame, or its panels.
        shift: target at strength 1 instead of the in-domain one, in a replication.

    Raises:
        ValueError: as `single_population`.
    """
    found = single_population(frame)
    strength = 0.0 if shift == IN_DOMAIN else 1.0
    target = "" if shift == IN_DOMAIN else shift
    cells = {
        cell: panel
        for cell, panel in self_supervised(found, shift, strength).items()
        if (np.isfinite(panel.low) & np.isfinite(panel.high)).any()
    }
    if not cells:
        return untestable(CLAIM.needs, target=target)
    effects = {cell: _regret(panel) for cell, panel in cells.items()}
    units = {cell: panel.range() for cell, panel in cells.items()}
    runs = sum(int(np.isfinite(panel.x).any(-1).sum()) for panel in cells.values())
    detail = f"{runs} runs in {len(cells)} cells"
    return average(effects, found, CLAIM, scale="own", units=units, target=target, detail=detail, mean=skewed_mean)


def _regret(panel: Panel) -> np.ndarray:
    """(i,) mean over the runs of an instance."""
    chosen, valued = panel.low.mean(axis=-1), panel.high.mean(axis=-1)
    here = np.isfinite(panel.x) & np.isfinite(chosen) & np.isfinite(valued)
    stop, best = (np.argmin(np.where(here, v, np.inf), axis=-1)[..., None] for v in (panel.x, chosen))
    regret = np.take_along_axis(valued, stop, -1)[..., 0] - np.take_along_axis(valued, best, -1)[..., 0]
    measured = here.any(axis=-1)
    total = np.where(measured, regret, 0).sum(axis=(1, 2))
    count = measured.sum(axis=(1, 2))
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0) / panel.range()


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame in which the regret is `effect` >= 0: L* turns up again by that much while L_pre still falls."""
    return planted_turn(effect, rng, instances=instances, between=between)


HYPOTHESIS = Hypothesis(CLAIM, test, plant, listed_if_untestable=False)
