"""Claim 8: the larger the mismatch, the more an earlier split between encoder and head helps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import IN_DOMAIN, Cell, Panel, Panels
from interface.analysis.branch import at, ends
from interface.hypotheses._base import (
    ALONE,
    Claim,
    ClaimResult,
    Hypothesis,
    average,
    self_supervised,
    single_population,
    untestable,
)
from interface.hypotheses._planted import planted_depths

CLAIM = Claim(
    number=8,
    name="the_earlier_split_transfers_better",
    statement="The larger the mismatch, the more an earlier split between encoder and head helps.",
    theta="[early - late](largest shift) - [early - late](0) of L*, on the in-domain scale",
    direction="below",
    needs="rows at several depths",
)
SHIFT = "concept"


def test(frame: pd.DataFrame | Panels, *, shift: str = SHIFT) -> ClaimResult:  # noqa: PT028 (no test of pytest's)
    """theta: how much more of L* the earliest split saves under the largest shift than in-domain, in-domain ranges, over instances.

    L* is read off at the lowest L_pre that each run with the largest n_unlabelled reaches, mean over learning rates; early is the
    smallest depth of a cell, late the largest (the encoder's output where it was read too), and all four terms are divided by the
    in-domain range of the latest split.

    Args:
        frame: wide frame of one population with several depths, or its panels.
        shift: which shift; its largest strength is used.

    Raises:
        ValueError: if the frame holds several populations, units, adaptations or readouts.
    """
    found = single_population(frame, tuple(field for field in ALONE if field != "depth"))
    strengths = [cell.strength for cell in found if cell.shift == shift]
    if not strengths:
        return untestable(f"{CLAIM.needs} under {shift} shift", target=shift)
    effects, units = {}, {}
    largest = max(strengths)
    for (pretext, encoder), away in _by_depth(self_supervised(found, shift, largest)).items():
        home = _by_depth(self_supervised(found, IN_DOMAIN, 0.0)).get((pretext, encoder), {})
        depths = sorted(set(home) & set(away))
        if len(depths) < 2:
            continue
        terms = [_final(by[depth][1]) for by in (away, home) for depth in (depths[0], depths[-1])]
        late, panel = home[depths[-1]]
        effects[late] = ((terms[0] - terms[1]) - (terms[2] - terms[3])) / panel.range("in_domain")
        units[late] = panel.range("in_domain")
    if not effects:
        return untestable(CLAIM.needs, target=shift)
    return average(effects, found, CLAIM, scale="in_domain", units=units, target=shift, detail=f"{len(effects)} cells")


def _by_depth(cells: dict[Cell, Panel]) -> dict[tuple[str, str], dict[float, tuple[Cell, Panel]]]:
    found: dict[tuple[str, str], dict[float, tuple[Cell, Panel]]] = {}
    for cell, panel in cells.items():
        depth = float("inf") if cell.depth is None else float(cell.depth)
        found.setdefault((cell.pretext, cell.encoder), {})[depth] = (cell, panel)
    return found


def _final(panel: Panel) -> np.ndarray:
    """(i,) L* at the end of the descending branch of runs with the largest n_unlabelled, mean over learning rates."""
    loss = panel.loss[:, :, -1].mean(axis=-1, keepdims=True)
    x = np.where(np.isnan(loss[..., 0]), np.nan, panel.x[:, :, -1])
    read = at(x, loss, ends(x)[1])[..., 0]
    known = np.isfinite(read)
    return np.divide(np.where(known, read, 0).sum(1), known.sum(1), out=np.full(len(read), np.nan), where=known.any(1))


def plant(effect: float, rng: np.random.Generator, *, instances: int = 12, between: float = 0.1) -> pd.DataFrame:
    """A wide frame in which the earlier split's L* moves by `effect` ranges under full concept shift, relative to the later one."""
    return planted_depths(effect, rng, shift=SHIFT, instances=instances, between=between)


HYPOTHESIS = Hypothesis(
    CLAIM, test, plant, replication_shifts=("script", "rotation", "inversion"), listed_if_untestable=False, every_depth=True
)
