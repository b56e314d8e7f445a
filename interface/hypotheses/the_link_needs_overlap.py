"""Claim 3: the link needs the pretext to see what the label needs."""

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

SHIFT, NONE_LEFT = "misalignment", 1.0  # strength 1 is overlap 0 between what the pretext sees and what the label needs
CLAIM = Claim(
    number=3,
    name="the_link_needs_overlap",
    statement="Lower pretraining loss buys more where the label lies in what the pretext sees than where it lies outside.",
    theta="data slope at overlap 1 minus at overlap 0, both in in-domain ranges per D, mean over self-supervised pretext x encoder",
    direction="above",
    needs="labels of overlap 1 and 0, and runs that differ in n_unlabelled at equal learning rate and step",
)


def test(frame: pd.DataFrame | Panels) -> ClaimResult:
    """theta: data slope at overlap 1 minus at overlap 0, in in-domain adaptation ranges per D, over instances.

    Args:
        frame: wide frame, or its panels; overlap 1 is the in-domain target, overlap 0 the shift "misalignment" at strength 1.

    Raises:
        ValueError: as `single_population`.
    """
    found = single_population(frame)
    outside = self_supervised(found, SHIFT, NONE_LEFT)
    pairs = {cell: (found[cell.to(IN_DOMAIN, 0.0)], panel) for cell, panel in outside.items() if cell.to(IN_DOMAIN, 0.0) in found}
    if not pairs:
        return untestable("labels whose overlap with the pretext is set to 1 and to 0")
    effects = {}
    for cell, (seen, unseen) in pairs.items():
        slopes = [values_of(data_slope(panel, scale="in_domain").mean, panel.instances) for panel in (seen, unseen)]
        effects[cell] = slopes[0] - slopes[1]
    units = {cell: raw_slope(seen, "in_domain") for cell, (seen, _) in pairs.items()}
    return average(effects, found, CLAIM, scale="in_domain", units=units, detail=f"{len(pairs)} cells")


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame whose data slope is 1 at overlap 1 and 1 - `effect` at overlap 0."""
    targets = [Target(between=between), Target(SHIFT, NONE_LEFT, slope=1.0 - effect, between=between)]
    return planted(rng, targets, instances=instances)


HYPOTHESIS = Hypothesis(CLAIM, test, plant)
