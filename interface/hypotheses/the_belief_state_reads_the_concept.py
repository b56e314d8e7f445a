"""Oracle: at an exactly optimal language model the belief state reads the concept and the output cannot."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._check import Check, Oracle

GAP = 1e-3  # nats that the output must lose where it cannot read the concept

ORACLE = Oracle(
    name="the_belief_state_reads_the_concept",
    statement="At zero excess of L_pre a probe on the belief state reaches the Bayes loss, and one on the output does not.",
    source="the filter's joint posterior over concept and state is sufficient; next-token probabilities are a function of it",
    columns=("l_pre_excess", "belief_excess", "output_excess"),
    tolerance=1e-4,
)


def violation(frame: pd.DataFrame) -> np.ndarray:
    """By how much the belief state misses the Bayes loss, or the output comes too near it, in optimal models only."""
    optimal = frame["l_pre_excess"].to_numpy() <= 1e-9
    off = np.asarray(np.maximum(frame["belief_excess"], GAP - frame["output_excess"]))
    return np.where(optimal, off, -np.inf)


def plant(off: float, rng: np.random.Generator) -> pd.DataFrame:
    """Optimal models whose belief state misses the Bayes loss by `off`, and models that are not optimal."""
    excess = np.r_[np.zeros(10), rng.uniform(0.01, 1, 10)]
    return pd.DataFrame({"l_pre_excess": excess, "belief_excess": off + (excess > 0), "output_excess": rng.uniform(0.05, 0.2, 20)})


CHECK = Check(ORACLE, violation, plant)
