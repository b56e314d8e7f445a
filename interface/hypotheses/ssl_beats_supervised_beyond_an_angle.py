"""Oracle: from which angle between source and target label self-supervised pretraining beats supervised."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._check import Check, Oracle

ORACLE = Oracle(
    name="ssl_beats_supervised_beyond_an_angle",
    statement="Supervised minus self-supervised excess is |a|² sin²psi - m_ssl: it changes sign at sin²psi = m_ssl/|a|².",
    source="rank-one supervised features keep the source label's whitened direction, at angle psi from the target's",
    columns=("psi", "norm2", "m_ssl", "supervised_excess", "ssl_excess"),
)


def violation(frame: pd.DataFrame) -> np.ndarray:
    """Distance of the difference of excesses from its closed form."""
    expected = frame["norm2"] * np.sin(frame["psi"]) ** 2 - frame["m_ssl"]
    return np.abs(frame["supervised_excess"] - frame["ssl_excess"] - expected).to_numpy()


def plant(off: float, rng: np.random.Generator) -> pd.DataFrame:
    """Cases whose difference is off by `off`."""
    psi, norm2 = rng.uniform(0, np.pi / 2, 40), rng.uniform(0.5, 3, 40)
    m_ssl = norm2 * rng.uniform(0, 1, 40)
    supervised = norm2 * np.sin(psi) ** 2 + off
    return pd.DataFrame({"psi": psi, "norm2": norm2, "m_ssl": m_ssl, "supervised_excess": supervised, "ssl_excess": m_ssl})


CHECK = Check(ORACLE, violation, plant)
