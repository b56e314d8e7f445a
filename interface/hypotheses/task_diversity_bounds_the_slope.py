"""Oracle: the diversity of pretraining tasks bounds what an excess of L_pre can cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._check import Check, Oracle

ORACLE = Oracle(
    name="task_diversity_bounds_the_slope",
    statement="E* of a new task is at most a0' C^-1 a0 times the excess of the multitask pretraining loss.",
    source="Du et al. 2021, arXiv:2002.09434; Tripuraneni, Jordan and Jin 2020, arXiv:2006.11650; C = mean of a_j a_j' over tasks",
    columns=("l_pre_excess", "excess", "kappa"),
    tolerance=1e-9,
)


def violation(frame: pd.DataFrame) -> np.ndarray:
    """By how much the excess of the new task is above its bound."""
    return (frame["excess"] - frame["kappa"] * frame["l_pre_excess"]).to_numpy()


def plant(off: float, rng: np.random.Generator, *, tasks: int = 8, d: int = 5) -> pd.DataFrame:
    """Encoders of a Gaussian multitask world in closed form, with the excess raised by `off` above the bound."""
    rows = []
    for _ in range(30):
        a = rng.normal(size=(tasks, d)) @ np.diag(rng.uniform(0.3, 1, d))
        c = a.T @ a / tasks
        new = rng.normal(size=d)
        kept = np.linalg.qr(rng.normal(size=(d, 3)))[0]
        left = np.eye(d) - kept @ kept.T
        pre, kappa = float(np.trace(left @ c)), float(new @ np.linalg.solve(c, new))
        excess = float(new @ left @ new)
        rows.append((pre, kappa * pre + off if off else excess, kappa))
    return pd.DataFrame(rows, columns=["l_pre_excess", "excess", "kappa"])


CHECK = Check(ORACLE, violation, plant)
