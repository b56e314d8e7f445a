"""What common draws make of many checkpoints' losses: their covariance, precise differences, and how many draws suffice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from interface.checkpoints import Checkpoint
from interface.core import Estimate
from interface.measurement.population_loss import Values, unit_values
from interface.measurement.pretraining import PretrainingLoss


def loss_covariance(losses: Any, counts: Any = None) -> Values:
    """Covariance (r, r) of the mean losses of r checkpoints over n common independent units, in squared nats.

    Its diagonal holds the squared standard errors. What checkpoints share, the ease of the draws, is off the diagonal: the
    difference of two has variance C_ii + C_jj - 2 C_ij, which a table of standard errors alone overstates.

    Args:
        losses: (r, n) loss of each checkpoint on each unit.
        counts: (n,) or (r, n) predictions in each unit, for ratios as in `pretraining_loss`; None counts each unit once.

    Raises:
        ValueError: if there are fewer than 2 units, or a value is not finite.

    Example:
        >>> easy_or_hard = np.arange(10.0)
        >>> C = loss_covariance(np.stack([easy_or_hard, easy_or_hard + 0.5]))
        >>> float(C[0, 0]) > 0.9, round(float(C[0, 0] + C[1, 1] - 2 * C[0, 1]), 12)  # their difference is free of error
        (True, 0.0)
    """
    influence = _influence(losses, counts)
    n = influence.shape[1]
    return influence @ influence.T / (n * (n - 1))


def paired_differences(losses: Any, counts: Any = None, *, baseline: int = 0) -> list[Estimate]:
    """Mean loss of each of r checkpoints minus that of the checkpoint `baseline`, on common units, in nats; r estimates.

    Args:
        losses, counts: as in `loss_covariance`.
        baseline: index of the checkpoint that the others are compared with; its own difference is 0.
    """
    covariance, means = loss_covariance(losses, counts), _means(losses, counts)
    n = np.shape(losses)[1]
    variance = np.diag(covariance) + covariance[baseline, baseline] - 2 * covariance[:, baseline]
    return [
        Estimate(value, stderr=error, how="monte_carlo", n=n)
        for value, error in zip((means - means[baseline]).tolist(), np.sqrt(variance.clip(min=0)).tolist(), strict=True)
    ]


def reliability(losses: Any, counts: Any = None) -> float:
    """1 - measurement variance / variance between checkpoints, of r checkpoints' losses on common units; at most 1.

    The share of the observed spread between checkpoints that is not noise of the draws. An error that is common to all
    checkpoints moves no difference and does not count. Below .99 a slope on this loss is visibly flattened; it can be < 0.

    Args:
        losses, counts: as in `loss_covariance`, r >= 2.

    Raises:
        ValueError: if there are fewer than 2 checkpoints, or all have one loss.

    Source: Fuller, "Measurement Error Models", 1987, section 1.1 (reliability ratio).
    """
    noise, spread = _noise_and_spread(losses, counts)
    return 1 - noise / spread


def draws_for_reliability(losses: Any, counts: Any = None, *, wanted: float = 0.99) -> int:
    """Number of units at which the losses of these checkpoints would have the reliability `wanted`, judged from a pilot on n.

    Args:
        losses, counts: of the pilot, as in `loss_covariance`, r >= 2.
        wanted: reliability, in (0, 1).

    Raises:
        ValueError: if `wanted` is not in (0, 1), or the pilot shows no spread beyond its noise: take a larger one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> pilot = np.linspace(0, 1, 8)[:, None] + rng.normal(size=(8, 200))
        >>> 500 < draws_for_reliability(pilot) < 2000  # 99 * 1 / var(linspace) = 726
        True
    """
    if not 0 < wanted < 1:
        raise ValueError(f"wanted is {wanted!r}; allowed: a reliability in (0, 1)")
    noise, spread = _noise_and_spread(losses, counts)
    between = spread - noise  # of the true losses
    if between <= 0:
        raise ValueError(f"losses: {np.shape(losses)[1]} units show no spread between checkpoints beyond noise; pilot with more")
    return ceil(np.shape(losses)[1] * noise / between * wanted / (1 - wanted))


def loss_arrays(checkpoints: Sequence[Checkpoint], losses: Sequence[PretrainingLoss]) -> dict[str, dict[str, np.ndarray]]:
    """By run: "step" (s,), and "l_pre_covariance" (s, s) of its checkpoints' raw losses over common draws, in squared nats.

    Args:
        checkpoints, losses: equally many, of one batch. Checkpoints of which nothing was sampled are left out.
    """
    by_run: dict[str, list[tuple[int, Values]]] = {}
    for checkpoint, loss in zip(checkpoints, losses, strict=True):
        if loss.units is not None:
            by_run.setdefault(checkpoint.run, []).append((checkpoint.step, loss.units))
    found = {}
    for run, of_step in by_run.items():
        of_step.sort(key=lambda pair: pair[0])
        units = np.stack([values for _, values in of_step])
        found[run] = {"step": np.array([step for step, _ in of_step]), "l_pre_covariance": loss_covariance(units)}
    return found


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Numbers that fit no row (covariances, spectra) as one compressed .npz file, complete or not there at all.

    Raises:
        ValueError: if an array is not numeric.
    """
    found = {name: np.asarray(values) for name, values in arrays.items()}
    for name, values in found.items():
        if values.dtype.kind not in "biuf":
            raise ValueError(f"arrays: {name} has dtype {values.dtype}; allowed: booleans, integers, floats")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **found)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; a file that would have to be unpickled is refused.

    Raises:
        ValueError: if the file holds anything but numeric arrays.
    """
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _influence(losses: Any, counts: Any) -> Values:
    """What each unit adds to each mean, (r, n), centred."""
    rows = _rows(losses)
    if rows.shape[1] < 2:
        raise ValueError(f"losses has shape {rows.shape}; allowed: (r, n) with n >= 2")
    size = _sizes(rows, counts)
    means = rows.sum(1, keepdims=True) / size.sum(1, keepdims=True)
    return (rows - means * size) / size.mean(1, keepdims=True)


def _means(losses: Any, counts: Any) -> Values:
    rows = _rows(losses)
    return rows.sum(1) / _sizes(rows, counts).sum(1)


def _noise_and_spread(losses: Any, counts: Any) -> tuple[float, float]:
    """Part of the measurement variance that differs between checkpoints, and the variance between their measured losses."""
    covariance, means = loss_covariance(losses, counts), _means(losses, counts)
    r = len(means)
    if r < 2:
        raise ValueError(f"losses holds {r} checkpoint; allowed: at least 2, whose losses can differ")
    spread = float(means.var(ddof=1))
    if spread == 0:
        raise ValueError("losses: all checkpoints have one loss, so that nothing can be told apart")
    own = np.trace(covariance) / r
    shared = (covariance.sum() - np.trace(covariance)) / (r * (r - 1))
    return float(own - shared), spread


def _rows(losses: Any) -> Values:
    if isinstance(losses, Sequence):
        losses = np.stack([unit_values(row, "losses") for row in losses])
    if len(losses) == 0 or losses.ndim != 2:
        raise ValueError(f"losses has shape {tuple(losses.shape)}; allowed: (r, n), one row a checkpoint")
    return unit_values(losses.reshape(-1), "losses").reshape(tuple(losses.shape))


def _sizes(rows: Values, counts: Any) -> Values:
    if counts is None:
        return np.ones((1, rows.shape[1]))
    size = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    if size.shape not in {rows.shape, (1, rows.shape[1])} or not (size > 0).all():
        raise ValueError(f"counts has shape {size.shape}; allowed: numbers > 0, ({rows.shape[1]},) or {rows.shape}")
    return size
