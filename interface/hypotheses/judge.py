"""From a wide frame to verdicts: one Holm family of eight on the Gaussian instances, replications elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from interface.analysis import ClusterMean, Panels, holm, holm_divisors, panels
from interface.hypotheses._base import CellEffect, Claim, ClaimResult, Hypothesis, Outcome, at_the_output, untestable
from interface.hypotheses.concept_shift_raises_the_intercept import HYPOTHESIS as _INTERCEPT
from interface.hypotheses.equal_loss_different_transfer import HYPOTHESIS as _EQUAL_LOSS
from interface.hypotheses.lower_loss_gives_better_transfer import HYPOTHESIS as _LINK
from interface.hypotheses.probing_first_keeps_fine_tuning_right import HYPOTHESIS as _PROBING_FIRST
from interface.hypotheses.stopping_at_the_best_loss_is_not_best import HYPOTHESIS as _STOPPING
from interface.hypotheses.the_earlier_split_transfers_better import HYPOTHESIS as _SPLIT
from interface.hypotheses.the_link_needs_overlap import HYPOTHESIS as _OVERLAP
from interface.hypotheses.the_probe_wins_with_few_labels import HYPOTHESIS as _FEW_LABELS

LEVEL = 0.05
CONFIRMATION = "GaussianFactor"
ALL: tuple[Hypothesis, ...] = (
    _LINK, _INTERCEPT, _OVERLAP, _EQUAL_LOSS, _STOPPING, _FEW_LABELS, _PROBING_FIRST, _SPLIT,
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What a table says about a claim in one population.

    Args:
        number, name: of the claim.
        population: family, such as "GaussianFactor"; the conclusion is about its instances.
        target: the shift looked at, where the claim is repeated over several.
        role: "confirmation" (Holm over the family of eight) or "replication" (at .05, by itself).
        outcome: "supported", "refuted", "undecided", or "untestable" (needs says what is missing).
        estimate, stderr, interval: theta, its standard error and 95% interval over instances (not adjusted for the family).
        n_clusters: instances.
        p: two-sided p of theta at the smallest effect of interest; 1 if untestable.
        p_holm: p adjusted in the family; of a replication, p itself.
        level: what p was held against: .05 over Holm's divisor of this claim; .05 in a replication.
        null: whether two one-sided tests at `level` show |theta| to be below the smallest effect.
        minimal_detectable_effect: distance from the smallest effect that a test at `level` finds with 80% power.
        raw, unit: theta in the losses' own units (a slope: per unit of the pretraining loss).
        needs: what an untestable claim lacks, such as "needs fine_tuning rows" or "1 instance, needs 6"; None otherwise.
        cells: the claim's number in each cell, with Benjamini-Hochberg over the cells.
        detail: counts and places that belong beside the number.
        hash: of the claim's fields.
    """

    number: int
    name: str
    population: str
    target: str
    role: Literal["confirmation", "replication"]
    outcome: Outcome
    estimate: float
    stderr: float
    interval: tuple[float, float]
    n_clusters: int
    p: float
    p_holm: float
    level: float
    null: bool
    minimal_detectable_effect: float
    raw: float
    unit: str
    needs: str | None
    cells: tuple[CellEffect, ...]
    detail: str
    hash: str

    def __str__(self) -> str:
        where = f"{self.population}{f', {self.target}' if self.target else ''}"
        head = f"{self.number} {self.name} [{where}; {self.role}]: {self.outcome}{' (null)' if self.null else ''}"
        if self.outcome == "untestable":
            return f"{head}: {self.needs}. claim {self.hash}"
        low, high = self.interval
        body = f"{self.estimate:.3g} [{low:.3g}, {high:.3g}] over {self.n_clusters} instances, adjusted p {self.p_holm:.2g}"
        power = f", detectable at 80% power: {self.minimal_detectable_effect:.2g}" if self.outcome == "undecided" else ""
        return f"{head}: {body}{power}. claim {self.hash}"


def judge(
    frame: pd.DataFrame | Panels,
    hypotheses: Sequence[Hypothesis] = ALL,
    *,
    adaptation: str = "LinearProbe",
    confirmation: str = CONFIRMATION,
) -> list[Verdict]:
    """One verdict a claim on the confirmation population, then those of the built claims on every other population.

    p is that of theta at the smallest effect of interest; Holm runs over the confirmatory family, in which every claim that
    cannot be tested, or is not passed, counts as p = 1, so that it always has eight members. Supported or refuted by the side on
    which the estimate lies, otherwise undecided.

    Args:
        frame: wide frame, or its panels.
        hypotheses: claims to judge.
        adaptation: of a frame, which adaptation's L* the claims are about.
        confirmation: the population family whose instances confirm; others replicate.

    Raises:
        ValueError: as `panels`; also if no row has this adaptation, or a population comes in several units or depths.
    """
    found = panels(_of(frame, adaptation) if isinstance(frame, pd.DataFrame) else frame)
    sources = dict.fromkeys(cell.source for cell in found)
    here = {cell: panel for cell, panel in found.items() if cell.source == confirmation}
    rows = frame if isinstance(frame, pd.DataFrame) else None
    results = [_tested(hypothesis, here, rows, confirmation) for hypothesis in hypotheses]
    p = [_p(hypothesis.claim, result) for hypothesis, result in zip(hypotheses, results, strict=True)]
    family = p + [1.0] * max(0, len(ALL) - len(p))
    verdicts = [
        _verdict(hypothesis.claim, result, confirmation, "confirmation", p_value, adjusted, LEVEL / divisor)
        for hypothesis, result, p_value, adjusted, divisor in zip(
            hypotheses, results, p, holm(family)[: len(p)], holm_divisors(family)[: len(p)], strict=True
        )
    ]
    for source in sources:
        if source == confirmation:
            continue
        there = {cell: panel for cell, panel in found.items() if cell.source == source}
        for hypothesis in hypotheses:
            for result in _replications(hypothesis, there, rows, source):
                p_value = _p(hypothesis.claim, result)
                verdicts.append(_verdict(hypothesis.claim, result, source, "replication", p_value, p_value, LEVEL))
    return verdicts


def _of(frame: pd.DataFrame, adaptation: str) -> pd.DataFrame:
    if "adaptation" not in frame.columns:
        return frame
    chosen = frame["adaptation"].isna() | (frame["adaptation"] == adaptation)
    if not chosen.any():
        kinds = ", ".join(sorted(map(str, frame["adaptation"].dropna().unique())))
        raise ValueError(f"judge: no row has the adaptation {adaptation!r}; the frame holds {kinds}")
    return frame if chosen.all() else frame[chosen.to_numpy()]


def _tested(hypothesis: Hypothesis, found: Panels, rows: pd.DataFrame | None, population: str) -> ClaimResult:
    if hypothesis.test is None:
        return untestable(hypothesis.claim.needs)
    if not found:
        return untestable(f"rows of {population}")
    if hypothesis.reads == "panels":
        return hypothesis.test(_read(hypothesis, found))
    return untestable("the frame, not its panels") if rows is None else hypothesis.test(rows[rows["source"] == population])


def _read(hypothesis: Hypothesis, found: Panels) -> Panels:
    """What of the panels a claim is about."""
    if not hypothesis.every_depth:
        return at_the_output(found)
    return {cell: panel for cell, panel in found.items() if cell.readout is None} or found


def _replications(hypothesis: Hypothesis, found: Panels, rows: pd.DataFrame | None, population: str) -> list[ClaimResult]:
    """The built claims only; on each of its shifts that the population has, or once."""
    if hypothesis.test is None:
        return []
    present = [shift for shift in hypothesis.replication_shifts if any(cell.shift == shift for cell in found)]
    read = _read(hypothesis, found)
    tested = [hypothesis.test(read, shift=shift) for shift in present] or [_tested(hypothesis, found, rows, population)]
    return [result for result in tested if hypothesis.listed_if_untestable or result.needs is None]


def _against(claim: Claim) -> float:
    return -claim.smallest_effect if claim.direction == "below" else claim.smallest_effect


def _p(claim: Claim, result: ClaimResult) -> float:
    if result.needs is not None:
        return 1.0
    if result.p is not None:
        return result.p
    return result.theta.p_value(_nearest(claim, result.theta))


def _nearest(claim: Claim, theta: ClusterMean) -> float:
    """The value at which theta is tested; of a two-sided claim the one on its own side of zero."""
    return math.copysign(claim.smallest_effect, theta.estimate) if claim.direction == "either" else _against(claim)


def _favours(claim: Claim, result: ClaimResult) -> bool:
    if result.favours is not None:
        return result.favours
    estimate = result.theta.estimate
    if claim.direction == "either":
        return abs(estimate) > claim.smallest_effect
    return (estimate > _against(claim)) == (claim.direction == "above")


def _verdict(
    claim: Claim,
    result: ClaimResult,
    population: str,
    role: Literal["confirmation", "replication"],
    p: float,
    adjusted: float,
    level: float,
) -> Verdict:
    theta: ClusterMean = result.theta
    testable = result.needs is None
    outcome: Outcome = "undecided" if testable else "untestable"
    if testable and adjusted <= LEVEL:
        outcome = "supported" if _favours(claim, result) else "refuted"
    return Verdict(
        number=claim.number,
        name=claim.name,
        population=population,
        target=result.target,
        role=role,
        outcome=outcome,
        estimate=theta.estimate,
        stderr=theta.stderr,
        interval=theta.interval(),
        n_clusters=theta.n_clusters,
        p=p,
        p_holm=float(adjusted),
        level=level,
        null=testable and theta.p_null(claim.smallest_effect) <= level,
        minimal_detectable_effect=theta.minimal_detectable_effect(level=level) if testable else float("nan"),
        raw=result.raw,
        unit=result.unit,
        needs=result.needs,
        cells=result.cells,
        detail=result.detail,
        hash=claim.hash,
    )
