"""Exact counterparts of intercept and slope: what theory allows them to be, where a world gives the band of L*_adapt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from interface.analysis._panels import Panel
from interface.analysis.branch import ends
from interface.analysis.three_numbers import REACHED

BAND = ("l_pre_excess", "l_adapt_band_low", "l_adapt_band_high")


@dataclass(frozen=True)
class ExactRange:
    """Ranges of I and B of one cell over its instances; all (i,), nan where there is none.

    Args:
        instances: names, in the order of the arrays.
        intercept_low, intercept_high: I lies in [E_min(e0), E_max(e0)], in adaptation ranges.
        slope_low, slope_high: B lies in [E_min(e1) - E_max(e0), E_max(e1) - E_min(e0)] / (x1 - x0), in ranges per D.
    """

    instances: tuple[str, ...]
    intercept_low: np.ndarray
    intercept_high: np.ndarray
    slope_low: np.ndarray
    slope_high: np.ndarray

    def means(self) -> dict[str, float]:
        """Mean of each end over instances: the range of the mean over instances."""
        ends_of = ("intercept_low", "intercept_high", "slope_low", "slope_high")
        return {name: float(np.mean(getattr(self, name))) for name in ends_of}


def exact_range(panel: Panel, frame: pd.DataFrame) -> ExactRange | None:
    """The ranges that the exact band allows the numbers of this cell; None where the frame records no band for it.

    The band depends on the excess pretraining loss only, so it is read between the checkpoints that bracket an excess. Its low
    edge is convex and its high edge concave in the excess, hence reading along chords narrows the range by less than the edges
    bend between neighbouring checkpoints.

    Args:
        panel: an in-domain cell.
        frame: the wide frame of that panel, with l_pre_excess and the band of each checkpoint.

    Source: ends of the joint numerical range of the pretext's and the target's operator (see `interface.theory.band`).
    """
    cell = panel.cell
    if not cell.in_domain or not set(BAND) <= set(frame.columns):
        return None
    mine = frame[
        (frame["source"] == cell.source)
        & (frame["pretext"] == cell.pretext)
        & (frame["encoder"] == cell.encoder)
        & frame["l_adapt_band_low"].notna()
    ]
    if mine.empty:
        return None
    found = [_of_instance(panel, i, mine[mine["instance"] == name]) for i, name in enumerate(panel.instances)]
    return ExactRange(panel.instances, *(np.array(values) for values in zip(*found, strict=True)))


def _of_instance(panel: Panel, i: int, rows: pd.DataFrame) -> tuple[float, float, float, float]:
    """Ends of I and B of one instance, in its own ranges."""
    nothing = (float("nan"),) * 4
    measured = ~np.isnan(panel.x[i]).all(axis=(0, 2))
    if rows.empty or not measured.any():
        return nothing
    high, low = ends(panel.x[i][:, np.flatnonzero(measured)[-1]])
    trained: np.ndarray = np.less_equal(low, REACHED)
    if not trained.any():
        return nothing
    x0, x1 = float(low[trained].max()), float(high[trained].min())
    size = rows["n_unlabelled"].max()
    best = rows.loc[rows["n_unlabelled"] == size, "l_pre_excess"].min()  # the excess at x = 0
    at = best + panel.drop[i] * np.array([x0, x1])
    edges = {side: np.zeros(2) for side in ("low", "high")}
    directions = [group.sort_values("l_pre_excess") for _, group in rows.groupby("replicate", dropna=False)]
    for group in directions:
        for side in edges:
            edges[side] += np.interp(at, group["l_pre_excess"], group[f"l_adapt_band_{side}"]) / len(directions)
    bottom, top = ((edges[side] - panel.floor[i]) / panel.span[i] for side in ("low", "high"))
    run = x1 - x0
    slope = ((bottom[1] - top[0]) / run, (top[1] - bottom[0]) / run) if run > 0 else nothing[:2]
    return float(bottom[0]), float(top[0]), float(slope[0]), float(slope[1])
