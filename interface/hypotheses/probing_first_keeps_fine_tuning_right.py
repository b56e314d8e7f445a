"""Claim 7: probing first keeps fine-tuning right out of domain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._base import Claim, ClaimResult, Hypothesis, over_instances, untestable
from interface.hypotheses._planted import planted_adaptations
from interface.hypotheses._rows import FINE_TUNING, PROBE_FIRST, differences, last_self_supervised

CLAIM = Claim(
    number=7,
    name="probing_first_keeps_fine_tuning_right",
    statement="Fine-tuning from a probed head loses less out of domain than fine-tuning from a random head.",
    theta="out-of-domain loss of fine-tuning minus that of probing, then fine-tuning",
    direction="above",
    needs="fine_tuning rows out of domain",
    smallest_effect=0.0,
)


def test(frame: pd.DataFrame) -> ClaimResult:
    """theta: out-of-domain loss of fine-tuning minus that of probing first, in the losses' unit, over instances.

    Both are adapted in-domain and read off under the strongest shift of each kind; last checkpoints, self-supervised pretexts, mean
    over everything else inside an instance.

    Args:
        frame: wide frame of one population with adaptations "FineTuning" and "ProbeThenFineTuning" on shifted targets.

    Raises:
        ValueError: if the frame holds several units.

    Source: Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022,
        arXiv:2202.10054.
    """
    rows = last_self_supervised(frame)
    rows = rows[rows["strength"].fillna(0) > 0]
    rows = rows[rows["strength"] == rows.groupby("shift")["strength"].transform("max")]
    gaps = differences(rows, FINE_TUNING, PROBE_FIRST)
    if gaps.empty:
        return untestable(CLAIM.needs)
    unit = str(rows["unit"].iloc[0]) if "unit" in rows.columns else ""
    detail = f"{gaps['shift'].nunique()} shifts, {len(gaps)} pairs"
    return over_instances(gaps.groupby("instance")["difference"].mean(), CLAIM, unit=unit, detail=detail)


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame in which fine-tuning from a random head loses `effect` more under shift than after probing."""
    return planted_adaptations(rng, out_of_domain=effect, instances=instances, between=between)


HYPOTHESIS = Hypothesis(CLAIM, test, plant, reads="frame", listed_if_untestable=False)
