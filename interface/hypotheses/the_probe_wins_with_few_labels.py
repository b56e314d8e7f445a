"""Claim 6: the frozen probe wins with very few labels, fine-tuning with moderately many."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._base import Claim, ClaimResult, Hypothesis, over_instances, untestable
from interface.hypotheses._planted import planted_adaptations
from interface.hypotheses._rows import FINE_TUNING, PROBE, differences, last_self_supervised

CLAIM = Claim(
    number=6,
    name="the_probe_wins_with_few_labels",
    statement="The frozen probe wins with very few labels, fine-tuning with moderately many.",
    theta="fine-tuning minus linear probing, > 0 at the fewest labels and < 0 at the most",
    direction="conjunction",
    needs="fine_tuning rows over n_labels",
    smallest_effect=0.0,
)


def test(frame: pd.DataFrame) -> ClaimResult:
    """theta: fine-tuning minus probing at equal labels, in the losses' unit: the weaker of its two ends, over instances.

    Last checkpoints, in-domain, self-supervised pretexts; mean over everything else inside an instance. The claim needs both
    ends, so that its p is the larger one (intersection-union); it is refuted by one end that is significantly the wrong way round,
    at twice that end's p.

    Args:
        frame: wide frame of one population with adaptations "LinearProbe" and "FineTuning" over n_labels.

    Raises:
        ValueError: if the frame holds several units.

    Source: Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 1982 (intersection-union).
    """
    rows = last_self_supervised(frame)
    rows = rows[(rows["strength"].fillna(0) == 0) & rows["n_labels"].notna()] if "n_labels" in rows.columns else rows.iloc[:0]
    gaps = differences(rows, FINE_TUNING, PROBE)
    if gaps.empty or gaps["n_labels"].nunique() < 2:
        return untestable(CLAIM.needs)
    fewest, most = gaps["n_labels"].min(), gaps["n_labels"].max()
    ends = [gaps[gaps["n_labels"] == n].groupby("instance")["difference"].mean() for n in (fewest, most)]
    unit = str(rows["unit"].iloc[0]) if "unit" in rows.columns else ""
    results = [
        over_instances(values, CLAIM, target=f"{n:g} labels", unit=unit) for values, n in zip(ends, (fewest, most), strict=True)
    ]
    p = [result.theta.p_value(0.0) for result in results]
    right = [results[0].theta.estimate > 0, results[1].theta.estimate < 0]
    detail = ", ".join(
        f"{r.theta.estimate:.3g} [{r.theta.interval()[0]:.3g}, {r.theta.interval()[1]:.3g}] at {r.target}" for r in results
    )
    weaker = results[int(np.argmax(p))] if all(right) else results[min((i for i in (0, 1) if not right[i]), key=lambda i: p[i])]
    joint = max(p) if all(right) else min(1.0, 2 * min(value for value, good in zip(p, right, strict=True) if not good))
    needs = next((r.needs for r in results if r.needs), None)
    return ClaimResult(weaker.theta, "", needs, weaker.raw, unit, detail=detail, p=joint, favours=all(right))


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame in which fine-tuning loses by `effect` at the fewest labels and wins by `effect` at the most."""
    return planted_adaptations(rng, few=effect, many=-effect, instances=instances, between=between)


HYPOTHESIS = Hypothesis(CLAIM, test, plant, reads="frame", listed_if_untestable=False)
