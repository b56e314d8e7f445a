"""Claim 1: lower pretraining loss gives lower adaptation loss, in-domain, when only the amount of data changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import IN_DOMAIN, Panels, data_slope
from interface.hypotheses._base import (
    Claim,
    ClaimResult,
    Hypothesis,
    average,
    raw_slope,
    self_supervised,
    single_population,
    untestable,
    values_of,
)
from interface.hypotheses._planted import Target, planted

CLAIM = Claim(
    number=1,
    name="lower_loss_gives_better_transfer",
    statement="Lower pretraining loss gives lower minimal adaptation loss in-domain, at equal learning rate and step.",
    theta="mean data slope over self-supervised pretext x encoder cells of an instance, in-domain ranges per D",
    direction="above",
    needs="runs that differ in n_unlabelled at equal learning rate and step",
)


def test(frame: pd.DataFrame | Panels) -> ClaimResult:
    """theta: the mean in-domain data slope, in adaptation ranges per D, over instances of one population.

    Supervised pretraining on its own labels is left out: there the claim is a tautology. In the Gaussian world in-domain means
    labels that the pretext sees (overlap 1).

    Args:
        frame: wide frame, or its panels.

    Raises:
        ValueError: as `single_population`.
    """
    found = single_population(frame)
    cells = self_supervised(found, IN_DOMAIN, 0.0)
    if not cells:
        return untestable("in-domain rows of a self-supervised pretext")
    effects = {cell: values_of(data_slope(panel).mean, panel.instances) for cell, panel in cells.items()}
    units = {cell: raw_slope(panel, "own") for cell, panel in cells.items()}
    steps = data_slope(next(iter(cells.values()))).steps
    return average(
        effects, found, CLAIM, scale="own", units=units, detail=f"{len(cells)} cells, steps {', '.join(map(str, steps))}"
    )


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame whose in-domain data slope is `effect`, while time alone would show a slope of 1 (the trap)."""
    return planted(rng, [Target(slope=effect, between=between)], instances=instances)


HYPOTHESIS = Hypothesis(CLAIM, test, plant)
