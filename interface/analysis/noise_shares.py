"""Whose noise is it? Variance between runs against variance of their evaluation, and the signal between models against both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True)
class NoiseShares:
    """Variance of one measured quantity over runs that differ in their seed only, taken apart.

    Args:
        run: variance between runs beyond evaluation noise, squared units; may be negative by chance.
        evaluation: mean variance of one run's measurement.
        share: evaluation / (total variance over runs), the part that more evaluation draws would remove; above 1 by chance.
        run_interval: 95% limits of `run`, by the chi-squared distribution of the total; the lower one is cut at 0.
        n_runs: runs.
        status: "ok", or "below noise" where `run` is not above 0.
    """

    run: float
    evaluation: float
    share: float
    run_interval: tuple[float, float]
    n_runs: int
    status: str


def noise_shares(values: ArrayLike, stderr: ArrayLike, groups: ArrayLike | None = None) -> NoiseShares:
    """Run variance and evaluation variance of a quantity; with groups, pooled over cells that share everything but the seed.

    Evaluation errors must be independent between runs; on common draws, give the standard errors of *differences* / sqrt(2).

    Args:
        values: (n,) one measurement a run.
        stderr: (n,) its standard error.
        groups: (n,) labels of cells; each is centred by itself.

    Raises:
        ValueError: if a value is not finite, an error is negative, or no cell has two runs.

    Source: Miller, "Adding error bars to evals", 2024, arXiv:2411.00640, section 3; interval for a pooled normal variance.

    Example:
        >>> found = noise_shares([1.0, 1.2, 0.8, 1.0], [0.1] * 4)
        >>> round(found.evaluation, 3), round(found.run, 3), round(found.share, 3)
        (0.01, 0.017, 0.375)
    """
    value, error = np.asarray(values, dtype=np.float64), np.asarray(stderr, dtype=np.float64)
    if value.shape != error.shape or value.ndim != 1:
        raise ValueError(f"noise_shares: values and stderr have shapes {value.shape} and {error.shape}; give one of each a run")
    if not (np.isfinite(value).all() and np.isfinite(error).all() and (error >= 0).all()):
        raise ValueError("noise_shares: a value is not finite or a standard error is negative")
    codes = np.zeros(len(value), int) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = np.bincount(codes)
    df = int((count[count > 0] - 1).sum())
    if df < 1:
        raise ValueError("noise_shares: no cell has two runs; runs that differ in their seed only are needed")
    centred = value - (np.bincount(codes, value) / np.maximum(count, 1))[codes]
    total = float(centred @ centred) / df
    several = count[codes] > 1
    weight = ((count - 1) / np.maximum(count, 1))[codes] / df
    evaluation = float(weight[several] @ error[several] ** 2)
    limits = [df * total / stats.chi2.ppf(q, df) - evaluation for q in (0.975, 0.025)]
    interval = (max(float(limits[0]), 0.0), max(float(limits[1]), 0.0))
    run = total - evaluation
    share = evaluation / total if total > 0 else float("nan")
    return NoiseShares(run, evaluation, share, interval, len(value), "ok" if run > 0 else "below noise")


@dataclass(frozen=True)
class SignalToNoise:
    """Of one task: does it tell models apart beyond what a model's own score moves from checkpoint to checkpoint?

    Args:
        signal: largest difference between final scores of models, over their mean.
        noise: mean over models of the standard deviation of the last checkpoints, over their mean.
        ratio: signal / noise; below about 2 the order of models on this task is a draw of lots.
        n_models, n_checkpoints: behind it.
    """

    signal: float
    noise: float
    ratio: float
    n_models: int
    n_checkpoints: int


def signal_to_noise(last: ArrayLike) -> SignalToNoise:
    """Relative dispersion of models over the relative wobble of their last checkpoints; unitless.

    Args:
        last: (models, checkpoints) scores of the last few checkpoints, positive.

    Raises:
        ValueError: if there are fewer than 2 models or checkpoints, or scores are not positive and finite.

    Source: Heineman et al., "Signal and noise: a framework for reducing uncertainty in language model evaluation", 2025,
        arXiv:2508.13144, section 3.

    Example:
        >>> clear = signal_to_noise([[0.50, 0.51, 0.50], [0.70, 0.69, 0.70]])
        >>> clear.ratio > 20
        True
    """
    scores = np.asarray(last, dtype=np.float64)
    if scores.ndim != 2 or min(scores.shape) < 2:
        raise ValueError(f"signal_to_noise: last has shape {scores.shape}; allowed: at least 2 models x 2 checkpoints")
    if not (np.isfinite(scores).all() and (scores > 0).all()):
        raise ValueError("signal_to_noise: scores must be finite and positive")
    final = scores.mean(axis=1)
    signal = float(np.ptp(final) / final.mean())
    noise = float((scores.std(axis=1, ddof=1) / final).mean())
    return SignalToNoise(signal, noise, signal / noise if noise > 0 else float("inf"), *map(int, scores.shape))
