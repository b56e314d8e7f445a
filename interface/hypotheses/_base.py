"""What a claim is, what testing it gives, and how a verdict is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from interface.analysis import (
    SMALLEST_EFFECT,
    SUPERVISED,
    Cell,
    ClusterMean,
    Panel,
    Panels,
    Scale,
    benjamini_hochberg,
    cluster_mean,
    panels,
)
from interface.core import fingerprint

Direction = Literal["above", "below", "either", "conjunction"]
Outcome = Literal["supported", "refuted", "undecided", "untestable"]
MIN_INSTANCES = 6  # below it a t test over instances cannot bear a claim: at .05/8 it would detect only > 2.3 standard deviations


@dataclass(frozen=True)
class Claim:
    """A statement fixed before the table is seen; its hash is printed with every output.

    Args:
        number: place in the confirmatory family.
        name: file-name form of the statement.
        statement: one sentence.
        theta: the number that the claim is about, and over what it is averaged.
        direction: "above": theta > smallest_effect; "below": theta < -smallest_effect; "either": one of the two;
            "conjunction": several at once, each by its own test.
        smallest_effect: smallest effect of interest, in units of theta (adaptation ranges, or ranges per D).
        needs: what a table must hold.
    """

    number: int
    name: str
    statement: str
    theta: str
    direction: Direction
    needs: str
    smallest_effect: float = SMALLEST_EFFECT

    @property
    def hash(self) -> str:
        """Fingerprint of all fields that are not at their default."""
        return fingerprint(self)


@dataclass(frozen=True)
class CellEffect:
    """The claim's number in one cell, listed beside the verdict; p_bh is Benjamini-Hochberg over the cells listed."""

    cell: str
    mean: ClusterMean
    p: float
    p_bh: float


@dataclass(frozen=True)
class ClaimResult:
    """theta of a claim in one population.

    Args:
        theta: mean over instances, in the units of the claim; its status says why, where there is none.
        target: which shift was looked at, "" where the claim needs no name for it.
        needs: what is missing, such as "needs fine_tuning rows" or "1 instance, needs 6"; None where the claim can be tested.
        raw: theta in the losses' own units (nats or squared units; a slope: per unit of the pretraining loss).
        unit: that unit.
        cells: the cells that were averaged inside each instance.
        detail: counts and places that belong beside the number.
        p: of the claim, where it is not that of theta at the smallest effect (conjunctions).
        favours: whether the evidence points to the claim, where the side of theta does not say it.
    """

    theta: ClusterMean
    target: str = ""
    needs: str | None = None
    raw: float = float("nan")
    unit: str = ""
    cells: tuple[CellEffect, ...] = ()
    detail: str = ""
    p: float | None = None
    favours: bool | None = None


Test = Callable[..., ClaimResult]
Plant = Callable[..., pd.DataFrame]


@dataclass(frozen=True)
class Hypothesis:
    """A claim with its test and a generator of tables in which it is true or false; either may not be built yet.

    Args:
        claim: the statement.
        test: wide frame or panels of one population -> ClaimResult.
        plant: (effect, rng) -> wide frame with theta = effect.
        replication_shifts: shifts on which `test` is repeated where a population has them; empty: once, without a shift.
        reads: "panels", or "frame" where it needs rows that are no minimal adaptation loss, such as learning curves.
        listed_if_untestable: whether a replication that cannot be made is listed.
        every_depth: whether it compares depths or readouts; the other claims see the encoder's own output alone.
    """

    claim: Claim
    test: Test | None = None
    plant: Plant | None = None
    replication_shifts: tuple[str, ...] = ()
    reads: Literal["panels", "frame"] = "panels"
    listed_if_untestable: bool = True
    every_depth: bool = False


def untestable(needs: str, instances: Iterable[str] = (), target: str = "") -> ClaimResult:
    """The result of a claim that a table cannot answer."""
    names = tuple(instances)
    return ClaimResult(cluster_mean(np.full(len(names), np.nan), names, reason="untestable"), target=target, needs=f"needs {needs}")


ALONE = ("source", "unit", "adaptation", "depth", "readout")


def single_population(frame: pd.DataFrame | Panels, alone: tuple[str, ...] = ALONE) -> Panels:
    """Panels of a frame that holds one population only.

    Args:
        frame: wide frame, or its panels.
        alone: what there may be only one kind of.

    Raises:
        ValueError: if it holds several populations, or one population in several units, adaptations, depths or readouts.
    """
    found = panels(frame)
    for field in alone:
        kinds = sorted({str(getattr(cell, field)) for cell in found})
        if len(kinds) > 1:
            raise ValueError(
                f"test: frame holds {len(kinds)} kinds of {field} ({', '.join(kinds)}), which are never pooled; pass one at a time"
            )
    return found


def at_the_output(found: Panels) -> Panels:
    """The cells that read the encoder's own output, where there are any; else all."""
    kept = {cell: panel for cell, panel in found.items() if cell.depth is None and cell.readout is None}
    return kept or found


def self_supervised(found: Panels, shift: str, strength: float) -> dict[Cell, Panel]:
    """The cells of one target over all pretexts but supervised pretraining, whose loss is the adaptation loss itself."""
    return {
        cell: panel
        for cell, panel in found.items()
        if cell.pretext != SUPERVISED and (cell.shift, cell.strength) == (shift, strength)
    }


def average(
    effects: dict[Cell, np.ndarray],
    found: Panels,
    claim: Claim,
    *,
    scale: Scale,
    units: dict[Cell, np.ndarray],
    target: str = "",
    detail: str = "",
    mean: Callable[..., ClusterMean] = cluster_mean,
) -> ClaimResult:
    """Mean over the cells inside each instance, then t over instances; cells listed by themselves.

    Args:
        effects: theta of each cell, (i,) over the instances of the population, nan where there is none.
        found: panels of the population.
        claim: whose theta it is.
        scale: on which it was taken: whether there is a range at all depends on it.
        units: what turns a cell's theta into the losses' own units, (i,).
        target, detail: passed on.
        mean: the t test over instances, of theta and of the cells.
    """
    names = next(iter(found.values())).instances
    stacked = np.stack(list(effects.values()))
    present = np.isfinite(stacked).any(axis=0)
    if missing := int((~np.isfinite(stacked[:, present])).sum()):
        detail = f"{detail}; {missing} of {present.sum() * len(stacked)} cell x instance values missing".removeprefix("; ")
    theta = mean(_mean(stacked), names, reason=_reason(effects, found, claim, scale))
    raw = _mean(_mean(np.stack([effects[cell] * units[cell] for cell in effects])))
    means = {cell: mean(values, names) for cell, values in effects.items()}
    against = claim.smallest_effect if claim.direction == "above" else -claim.smallest_effect
    p = [of_cell.p_value(against) for of_cell in means.values()]
    listed = zip(means.items(), p, benjamini_hochberg(p), strict=True)
    return ClaimResult(
        theta=theta,
        target=target,
        needs=shortage(theta),
        raw=float(raw),
        unit=next(iter(effects)).unit or "",
        cells=tuple(CellEffect(str(cell), of_cell, float(q), float(q_bh)) for (cell, of_cell), q, q_bh in listed),
        detail=detail,
    )


def over_instances(values: pd.Series, claim: Claim, *, target: str = "", unit: str = "", detail: str = "") -> ClaimResult:
    """t over instances of one value each, indexed by instance; for claims that read rows and not panels."""
    theta = cluster_mean(values.to_numpy(dtype=np.float64), values.index.tolist(), reason=f"needs {claim.needs}")
    return ClaimResult(theta, target=target, needs=shortage(theta), raw=theta.estimate, unit=unit, detail=detail)


def shortage(theta: ClusterMean) -> str | None:
    """What keeps theta from being tested: too few instances, or its own status; None if nothing does."""
    if theta.n_clusters < MIN_INSTANCES:
        # a population without a single value lacks a design or a range, not instances
        few = f"{theta.n_clusters} instance{'s' * (theta.n_clusters != 1)}, needs {MIN_INSTANCES}"
        return few if theta.n_clusters else theta.status
    return theta.status if theta.status != "ok" else None


def _reason(effects: dict[Cell, np.ndarray], found: Panels, claim: Claim, scale: Scale) -> str:
    """What to say if no instance has a value: what stands in the way in every cell, else what the claim needs."""
    obstacles = [found[cell].obstacle(scale) for cell in effects]
    return obstacles[0] if obstacles[0] and all(obstacles) else f"needs {claim.needs}"


def values_of(mean: ClusterMean, names: tuple[str, ...]) -> np.ndarray:
    """(i,) the values of a cluster mean at their instances, nan elsewhere."""
    known = dict(zip(mean.clusters, mean.values, strict=True))
    return np.array([known.get(name, np.nan) for name in names])


def raw_slope(panel: Panel, scale: Scale) -> np.ndarray:
    """(i,) what turns ranges per D into units of L* per unit of L_pre."""
    drop = panel.drop
    return np.divide(panel.range(scale), drop, out=np.full(len(drop), np.nan), where=drop != 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is finite; nan where nothing is."""
    finite = np.isfinite(values)
    total, count = np.where(finite, values, 0).sum(0), finite.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
