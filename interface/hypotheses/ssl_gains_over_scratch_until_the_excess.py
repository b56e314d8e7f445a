"""Oracle: what self-supervision gains over from-scratch for a linear head, label count by label count."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._check import Check, Oracle

ORACLE = Oracle(
    name="ssl_gains_over_scratch_until_the_excess",
    statement="The gain of r self-supervised features over all d inputs has its closed form and tends to -E* as labels grow.",
    source="least squares with Gaussian features: expected loss L (N - 1)/(N - dim - 1), so that the gain is a difference of two",
    columns=("n_labels", "dim", "input_dim", "l_star", "l_bayes", "gain"),
)


def expected_gain(frame: pd.DataFrame) -> np.ndarray:
    """Loss of from-scratch minus loss of the probe after N labels; tends to l_bayes - l_star = -E*."""
    n = frame["n_labels"].to_numpy(dtype=np.float64)
    scratch = frame["l_bayes"] * (n - 1) / (n - frame["input_dim"] - 1)
    probe = frame["l_star"] * (n - 1) / (n - frame["dim"] - 1)
    return (scratch - probe).to_numpy()


def crossover(l_star: float, l_bayes: float, dim: int, input_dim: int) -> float:
    """Number of labels at which the gain is 0; inf if the features lose nothing.

    Example:
        >>> round(crossover(1.1, 1.0, 4, 16))
        137
    """
    if l_star <= l_bayes:
        return float("inf")
    return (l_star * (input_dim + 1) - l_bayes * (dim + 1)) / (l_star - l_bayes)


def violation(frame: pd.DataFrame) -> np.ndarray:
    """Distance of the measured gain from the closed form."""
    return np.abs(frame["gain"].to_numpy() - expected_gain(frame))


def plant(off: float, rng: np.random.Generator) -> pd.DataFrame:
    """Cases whose gain is off by `off`."""
    n = rng.integers(40, 5_000, size=60)
    bayes = rng.uniform(0.1, 1.0, size=60)
    frame = pd.DataFrame({"n_labels": n, "dim": 4, "input_dim": 16, "l_bayes": bayes, "l_star": bayes + rng.uniform(0, 0.5, 60)})
    return frame.assign(gain=expected_gain(frame) + off)


CHECK = Check(ORACLE, violation, plant)
