"""Claim 2: concept shift raises what low pretraining loss cannot remove."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import IN_DOMAIN, Panels, three_numbers
from interface.hypotheses._base import (
    Claim,
    ClaimResult,
    Hypothesis,
    average,
    self_supervised,
    single_population,
    untestable,
    values_of,
)
from interface.hypotheses._planted import Target, planted

FULL = 1.0  # strength
CLAIM = Claim(
    number=2,
    name="concept_shift_raises_the_intercept",
    statement="Full concept shift raises the adaptation loss that is left when the pretraining loss is as low as it gets.",
    theta="I(full shift) - I(0), both with floor and range of the in-domain target, mean over self-supervised pretext x encoder",
    direction="above",
    needs="in-domain and fully shifted rows of runs that reach x <= .05",
)


def test(frame: pd.DataFrame | Panels, *, shift: str = "concept") -> ClaimResult:  # noqa: PT028 (no test of pytest's)
    """theta: rise of the intercept under the full shift, in in-domain adaptation ranges, over instances of one population.

    Floor and range of the in-domain target serve both terms: a target's own floor would absorb what all pretexts lack there.

    Args:
        frame: wide frame, or its panels.
        shift: which shift at strength 1. Only "concept" tests the claim; a shift that also moves p(x) is a replication.

    Raises:
        ValueError: as `single_population`.
    """
    found = single_population(frame)
    shifted = self_supervised(found, shift, FULL)
    pairs = {cell: (found[cell.to(IN_DOMAIN, 0.0)], panel) for cell, panel in shifted.items() if cell.to(IN_DOMAIN, 0.0) in found}
    if not pairs:
        return untestable(f"in-domain rows and rows under {shift} shift of strength {FULL:g}", target=shift)
    effects, x0 = {}, []
    for cell, (home, away) in pairs.items():
        low, high = three_numbers(home, scale="in_domain"), three_numbers(away, scale="in_domain")
        effects[cell] = values_of(high.intercept, away.instances) - values_of(low.intercept, home.instances)
        x0.append(low.x0)
    units = {cell: home.range("in_domain") for cell, (home, _) in pairs.items()}
    detail = f"{len(pairs)} cells, intercepts at x0 {np.mean(x0):.3f}"
    return average(effects, found, CLAIM, scale="in_domain", units=units, target=shift, detail=detail)


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame in which full concept shift raises the intercept by `effect` (half of it at half strength)."""
    targets = [Target(between=between)]
    targets += [Target("concept", s, intercept=s * effect, between=between) for s in (0.5, FULL)]
    return planted(rng, targets, instances=instances)


HYPOTHESIS = Hypothesis(CLAIM, test, plant, replication_shifts=("inversion", "rotation", "script"))
