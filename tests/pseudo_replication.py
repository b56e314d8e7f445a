"""Runs with checkpoints that are not independent: random slopes of standard deviation .3, errors that persist along a run.

Chosen so that a run's own slope scatters with standard deviation .467: over G runs a t test of slope .2 then has the power of the
noncentral t, and least squares over checkpoints, with run means removed, rejects a true null in a third of all tables.
"""

import numpy as np
from scipy import stats

CHECKPOINTS, PERSISTENCE = 10, 0.8
RANDOM_SLOPE, PERSISTENT, WHITE = 0.3, 0.594**0.5, 0.0925**0.5

X = np.linspace(-1, 1, CHECKPOINTS)
X = X / X.std()
CORRELATION = PERSISTENCE ** np.abs(np.subtract.outer(np.arange(CHECKPOINTS), np.arange(CHECKPOINTS)))
SLOPE_SD = float(np.sqrt(RANDOM_SLOPE**2 + (PERSISTENT**2 * X @ CORRELATION @ X + WHITE**2 * X @ X) / (X @ X) ** 2))


def outcomes(rng: np.random.Generator, runs: int, *, slope: float = 0.0, tables: int = 1) -> np.ndarray:
    """(tables, runs, checkpoints) y, with the same regressor X in every run."""
    shape = (tables, runs, CHECKPOINTS)
    persistent = rng.normal(size=shape) @ np.linalg.cholesky(CORRELATION).T
    slopes = slope + RANDOM_SLOPE * rng.normal(size=(tables, runs, 1))
    level = rng.normal(size=(tables, runs, 1))
    return level + slopes * X + PERSISTENT * persistent + WHITE * rng.normal(size=shape)


def run_slopes(y: np.ndarray) -> np.ndarray:
    """(tables, runs) least-squares slope of every run by itself."""
    return y @ X / (X @ X)


def naive_p(y: np.ndarray) -> np.ndarray:
    """(tables,) p of slope 0 by least squares over all checkpoints with run means removed: what must never be printed."""
    _, runs, steps = y.shape
    centred = y - y.mean(axis=2, keepdims=True)
    slope = run_slopes(y).mean(axis=1)
    df = runs * (steps - 1) - 1
    residual = ((centred - slope[:, None, None] * X) ** 2).sum(axis=(1, 2)) / df
    return 2 * stats.t.sf(np.abs(slope) / np.sqrt(residual / (runs * X @ X)), df)


def t_power(runs: int, slope: float, level: float = 0.05) -> float:
    """Power of the t test over runs, by the noncentral t distribution."""
    critical, shift = stats.t.ppf(1 - level / 2, runs - 1), slope * runs**0.5 / SLOPE_SD
    return float(stats.nct.sf(critical, runs - 1, shift) + np.nan_to_num(stats.nct.cdf(-critical, runs - 1, shift)))
