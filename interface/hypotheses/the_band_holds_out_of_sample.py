"""Oracle: E* of an encoder lies in the band that theory draws at its excess, also for encoders that were not used to draw it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._check import Check, Oracle

ORACLE = Oracle(
    name="the_band_holds_out_of_sample",
    statement="E_min(e) <= E* <= E_max(e) at the encoder's excess e of L_pre.",
    source="band of the interface theorem: extremes of tr(PT) over projections of rank r with tr(PS) at least the value at e",
    columns=("excess", "band_low", "band_high"),
)


def violation(frame: pd.DataFrame) -> np.ndarray:
    """By how much E* lies outside the band."""
    return np.asarray(np.maximum(frame["excess"] - frame["band_high"], frame["band_low"] - frame["excess"]))


def plant(off: float, rng: np.random.Generator) -> pd.DataFrame:
    """Encoders inside their band, or above it by `off`."""
    low, width = rng.uniform(0, 0.3, size=50), rng.uniform(0.01, 0.5, size=50)
    inside = low + rng.uniform(0, 1, size=50) * width
    return pd.DataFrame({"excess": low + width + off if off else inside, "band_low": low, "band_high": low + width})


CHECK = Check(ORACLE, violation, plant)
