"""What a representation's curve of loss against labels says in one number: code lengths, surplus loss, labels needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from interface.core import Bracket, Estimate
from interface.measurement.curve import AdaptationCurve
from interface.seeds import rng

RESAMPLINGS = 500


@dataclass(frozen=True)
class SampleComplexity:
    """Labels at which the risk falls to a given loss.

    Args:
        low: the largest N of the curve whose risk is above the loss, 0 if none is.
        high: the smallest N from which it is not; inf if there is none, then "right_censored".
        lower, upper: 95% interval, on the curve's own numbers, for where the curve crosses; `upper` may be inf.
        status: "ok", or "right_censored" where the curve ends above the loss.
    """

    low: int
    high: float
    lower: float
    upper: float
    status: str


def minimum_description_length(curve: AdaptationCurve) -> Bracket:
    """Code length of the curve's last N labels given the features, sent one by one with what the earlier ones taught, in nats.

    The sequential code of all its labels, each coded by a head fitted on those before it, costs the sum of R_n over n < N. The
    curve knows R at K numbers only. Coding a block by the head from before it costs more than that (high: the online code, whose
    first block is sent by uniform probabilities), by the head from after it less (low). It is a theorem where R_n falls with n;
    where the measured curve rises by chance the sides may cross.

    Raises:
        ValueError: if the curve is of squared loss, which is no code length.

    Source: Blier and Ollivier, NeurIPS 2018; the online code of Voita and Titov, EMNLP 2020, section 2.2, in nats, in
        expectation over the order of the labels and with fresh labels in place of the next block.

    Example:
        >>> flat = AdaptationCurve((8, 16), np.full((3, 2), 0.5), np.zeros((2, 2)), 100, 2, "LinearProbe")
        >>> length = minimum_description_length(flat)
        >>> float(length.low), round(length.high, 3) == round(8 * math.log(2) + 8 * 0.5, 3)
        (8.0, True)
    """
    if curve.n_classes is None:
        raise ValueError("minimum_description_length: the curve is of squared loss; allowed: a curve of log loss")
    steps = np.diff(curve.n_labels, prepend=0).astype(float)
    before = np.append(steps[1:], 0.0)
    low = _linear(curve, steps, 0.0)
    high = _linear(curve, before, steps[0] * math.log(curve.n_classes))
    return Bracket(low, high, gap=0.0)


def surplus_description_length(curve: AdaptationCurve, loss: float) -> Bracket:
    """What the labels cost beyond `loss` each until heads reach it: the sum over n of [R_n - loss]+, in nats (or squared units).

    low takes each step of the curve at its later end, high at its earlier end, and the first one at the loss of uniform
    probabilities (for squared loss, at its own end too). The curve is made nonincreasing beforehand; errors are those of 500
    curves redrawn with the measured covariance.

    Returns:
        Bracket; both sides have status "right_censored" where the curve ends above `loss`: then more labels would cost more,
        and the number is what they cost up to the last N.

    Raises:
        ValueError: if `loss` is not a finite number.

    Source: Whitney et al. (2020), definition of surplus description length, with the curve's steps in place of every n.

    Example:
        >>> fallen = AdaptationCurve((8, 16), np.array([[0.6, 0.1]] * 3), np.zeros((2, 2)), 100, 2, "LinearProbe")
        >>> surplus = surplus_description_length(fallen, 0.2)
        >>> round(surplus.low, 6), round(surplus.high, 6) == round(8 * (math.log(2) - 0.2) + 8 * 0.4, 6), surplus.status
        (3.2, True, 'ok')
    """
    _finite(loss)
    means = np.concatenate([_monotone(curve.mean)[None], _redrawn(curve)])
    steps = np.diff(curve.n_labels, prepend=0)
    above = np.clip(means - loss, 0, None)
    start = above[:, :1] if curve.n_classes is None else np.full((len(above), 1), max(0.0, math.log(curve.n_classes) - loss))
    low = above @ steps
    high = np.concatenate([np.maximum(start, above[:, :1]), above[:, :-1]], 1) @ steps
    status = "right_censored" if means[0, -1] > loss else "ok"
    lower, upper = (Estimate(side[0], stderr=side[1:].std(), how="held_out", n=curve.n_test, status=status) for side in (low, high))
    return Bracket(lower, upper, gap=0.0)


def sample_complexity(curve: AdaptationCurve, loss: float) -> SampleComplexity:
    """The number of labels at which the risk R_N falls to `loss`, between two of the curve's numbers.

    The curve is made nonincreasing beforehand; the interval is of 500 curves redrawn with the measured covariance.

    Raises:
        ValueError: if `loss` is not a finite number.

    Source: Whitney et al. (2020), epsilon-sample complexity.

    Example:
        >>> fallen = AdaptationCurve((8, 16), np.array([[0.6, 0.1]] * 3), np.zeros((2, 2)), 100, 2, "LinearProbe")
        >>> sample_complexity(fallen, 0.2), sample_complexity(fallen, 0.05).status
        (SampleComplexity(low=8, high=16.0, lower=8.0, upper=16.0, status='ok'), 'right_censored')
    """
    _finite(loss)
    ends = np.array([0, *curve.n_labels, math.inf])
    crossed = int((_monotone(curve.mean) > loss).sum())
    redrawn = np.sort((_redrawn(curve) > loss).sum(1))
    first, last = (int(redrawn[round(share * (RESAMPLINGS - 1))]) for share in (0.025, 0.975))
    status = "right_censored" if crossed == len(curve.n_labels) else "ok"
    return SampleComplexity(int(ends[crossed]), float(ends[crossed + 1]), float(ends[first]), float(ends[last + 1]), status)


def _linear(curve: AdaptationCurve, weights: np.ndarray, constant: float) -> Estimate:
    """A weighted sum of the curve's points with its standard error."""
    value, variance = float(weights @ curve.mean) + constant, float(weights @ curve.covariance @ weights)
    return Estimate(value, stderr=math.sqrt(max(variance, 0.0)), how="held_out", n=curve.n_test)


def _monotone(means: np.ndarray) -> np.ndarray:
    """The nearest nonincreasing curve, by isotonic regression."""
    return np.asarray(isotonic_regression(means, increasing=False).x)


def _redrawn(curve: AdaptationCurve) -> np.ndarray:
    """(RESAMPLINGS, K) nonincreasing curves from the normal law of the measured one."""
    values, vectors = np.linalg.eigh(curve.covariance)
    noise = rng("curve", "redrawn").normal(size=(RESAMPLINGS, len(values))) * np.sqrt(np.clip(values, 0, None))
    return np.stack([_monotone(curve.mean + shift) for shift in noise @ vectors.T])


def _finite(loss: float) -> None:
    if not math.isfinite(loss):
        raise ValueError(f"loss is {loss!r}; allowed: a finite number")
