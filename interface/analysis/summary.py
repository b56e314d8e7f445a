"""The short table: for every cell the three numbers, the slopes, the contrast and the verdict in words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from interface.analysis._panels import Panel, Panels, panels
from interface.analysis.data_slope import data_slope
from interface.analysis.exact_range import exact_range
from interface.analysis.progress_slope import progress_slope
from interface.analysis.sufficiency import sufficiency
from interface.analysis.three_numbers import Spread, three_numbers
from interface.analysis.ttest import ClusterMean
from interface.analysis.verdict_words import verdict_words


def summarize(frame: pd.DataFrame | Panels) -> pd.DataFrame:
    """One row a cell (source x pretext x encoder x shift x strength x adaptation): numbers with 95% intervals over instances.

    Each of intercept, slope, spread, spread_all, data_slope, data_slope_in_domain (in ranges of the in-domain target: slopes of
    different targets compare on it only), progress_slope, run_slope and contrast comes as NAME, NAME_low, NAME_high, NAME_n
    (instances) and NAME_status ("ok" or why there is none); levels in adaptation ranges, slopes in ranges per D, spreads in
    squared ranges. x0, x1, x_all say where; range and drop (means over instances, in the units of the two losses) turn all of
    it into nats or squared units; intercept_raw is I so turned. intercept_exact_low ... slope_exact_high are the ranges that
    theory allows I and B where the table records its band. `word` and `detail` are the verdict in words.

    Args:
        frame: wide frame, or its panels.

    Raises:
        ValueError: as `panels`.
    """
    wide = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame()
    return pd.DataFrame([_row(panel) | _exact(panel, wide) for panel in panels(frame).values()])


def _exact(panel: Panel, wide: pd.DataFrame) -> dict[str, float]:
    """intercept_exact_low, ..., slope_exact_high: the exact counterparts, means over instances; nan without a band."""
    found = exact_range(panel, wide)
    ends = {} if found is None else found.means()
    return {
        f"{number}_exact_{end}": ends.get(f"{number}_{end}", float("nan"))
        for number in ("intercept", "slope")
        for end in ("low", "high")
    }


def _row(panel: Panel) -> dict[str, Any]:
    numbers, slope, progress, contrast = three_numbers(panel), data_slope(panel), progress_slope(panel), sufficiency(panel)
    words = verdict_words(slope.mean, numbers.spread, numbers.intercept, contrast, no_range=panel.no_range)
    spans = dict(zip(panel.instances, panel.span, strict=True))
    raw = [value * spans[name] for name, value in zip(numbers.intercept.clusters, numbers.intercept.values, strict=True)]
    row: dict[str, Any] = asdict(panel.cell) | {"word": words.word, "verdict": str(words), "detail": words.detail}
    for name, mean in (
        ("intercept", numbers.intercept),
        ("slope", numbers.slope),
        ("data_slope", slope.mean),
        ("data_slope_in_domain", data_slope(panel, scale="in_domain").mean),
        ("progress_slope", progress.across_lr),
        ("run_slope", progress.within_run),
        ("contrast", contrast.mean),
    ):
        row |= _columns(name, mean)
    row |= _spread("spread", numbers.spread) | _spread("spread_all", numbers.spread_all)
    row |= {"x0": numbers.x0, "x1": numbers.x1, "x_all": numbers.spread_all.x, "excess": numbers.excess}
    row |= {"runs": numbers.runs, "left_out": numbers.left_out, "pairs": contrast.pairs, "pairs_missing": contrast.missing}
    row |= {"contrast_x": contrast.x, "intercept_raw": float(np.mean(raw)) if raw else float("nan")}
    row |= {"range": _mean(panel.span), "drop": _mean(panel.drop), "range_status": _statuses(panel.status)}
    return row | {"n_instances": sum(status != "no rows" for status in panel.status)}


def _columns(name: str, mean: ClusterMean) -> dict[str, Any]:
    low, high = mean.interval()
    values = (mean.estimate, low, high, mean.n_clusters, mean.status)
    return dict(zip((name, *(f"{name}_{part}" for part in ("low", "high", "n", "status"))), values, strict=True))


def _spread(name: str, spread: Spread) -> dict[str, Any]:
    low, high = spread.interval()
    limits = {f"{name}_low": low, f"{name}_high": high}
    return _columns(name, spread.mean) | limits | {f"{name}_status": spread.status, f"{name}_noise": spread.noise}


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _statuses(statuses: tuple[str, ...]) -> str:
    """One word if all instances agree, else how many have which."""
    present = [status for status in statuses if status != "no rows"]
    kinds = sorted(set(present))
    return kinds[0] if len(kinds) == 1 else ", ".join(f"{kind} {present.count(kind)}" for kind in kinds)
