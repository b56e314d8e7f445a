"""Pretraining losses at their best scale: comparable between heads that differ in temperature or in the norm of features."""

from __future__ import annotations

from math import exp, inf, log, log1p
from typing import Any

import torch
from torch import Tensor

from interface.core import Estimate
from interface.measurement.population_loss import unit_values

PROVEN = 1e-9  # nats: how far above its infimum the calibrated loss may lie
SPREAD = 2.0  # of scores whose differences are scaled to [-1, 1]
MAX_STEPS = 200


def temperature_calibrated(logits: Any, labels: Any) -> Estimate:
    """Infimum over s > 0 of the cross-entropy of softmax(s logits), in nats a prediction; never above the loss at s = 1.

    A loss whose temperature was chosen in training is not comparable between temperatures; this one is. One number is fitted on
    the sample, which costs a downward bias of about 1 / (2 n).

    Args:
        logits: (n, ..., C) scores; axes between are predictions within one independent unit, such as the rows of a batch. float32
            is computed in float32, all else in float64.
        labels: (n, ...) classes 0..C-1.

    Returns:
        Estimate with the error of a mean at the fitted scale; proven within 1e-9 nats, up to the rounding of the scores. Status
        "uninformative": no scale is better than ln C, the value at s -> 0. Status "vacuous_lower": every prediction is right, so
        that the infimum is at s -> infinity. Status "not_converged": the proof was not reached.

    Raises:
        ValueError: if shapes do not fit, a score is not finite, a label is out of range, or there are fewer than 2 units.

    Source: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017, arXiv:1706.04599, section 4.2. The
        proof: the third derivative in s is at most the spread of the scores times the second (Bach, "Self-concordant analysis for
        logistic regression", EJS 4, 2010), so that slope and curvature at one s bound the distance to the minimum.

    Example:
        >>> scores, y = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 0, 1])
        >>> round(temperature_calibrated(scores, y), 6) == round(temperature_calibrated(7 * scores, y), 6) == 0.636514  # H(1/3)
        True
    """
    scores, classes = torch.as_tensor(logits).detach().cpu(), torch.as_tensor(labels).cpu()
    scores = scores if scores.dtype == torch.float32 else scores.double()
    if scores.ndim < 2 or len(scores) < 2 or scores.shape[-1] < 2 or classes.shape != scores.shape[:-1]:
        raise ValueError(f"logits {tuple(scores.shape)}, labels {tuple(classes.shape)}; allowed: (n, ..., C), (n, ...), n, C >= 2")
    if not torch.isfinite(scores.sum()) and not torch.isfinite(scores).all():  # the sum is quicker, but may overflow
        raise ValueError("logits holds a value that is not finite")
    n_classes = scores.shape[-1]
    if classes.is_floating_point() or classes.min() < 0 or classes.max() >= n_classes:
        raise ValueError(f"labels holds {classes.dtype} {classes.min()} to {classes.max()}; allowed: integers 0 to {n_classes - 1}")
    lead = scores - scores.gather(-1, classes.long().unsqueeze(-1))  # of every class over the right one
    least, most = (float(end) for end in lead.aminmax())
    if lead.mean(-1).double().mean() >= 0:  # the slope at s = 0
        return _mean(torch.full(classes.shape, log(n_classes), dtype=torch.float64), "uninformative")
    if most <= 0:
        return _mean((lead == 0).sum(-1).double().log(), "vacuous_lower")
    s, low, high = max(-least, most), 0.0, inf
    lead = lead / s
    for _ in range(MAX_STEPS):
        p = torch.softmax(s * lead, -1)
        mean = (p * lead).sum(-1)
        apart = lead - mean.unsqueeze(-1)
        slope, curvature = float(mean.double().mean()), float(p.mul_(apart).mul_(apart).sum(-1).double().mean())
        if _above_minimum(slope, curvature) <= PROVEN:
            return _mean(torch.logsumexp(s * lead, -1))
        low, high = (s, high) if slope < 0 else (low, s)
        s = s * exp(-slope / (s * curvature + abs(slope)))  # Newton in ln s, by a factor of e at most
        if not low < s < high:
            s = 0.5 * (low + high)
    return _mean(torch.logsumexp(s * lead, -1), "not_converged")


def _above_minimum(slope: float, curvature: float) -> float:
    """How far above its minimum a convex function of this slope and curvature can lie if |third derivative| <= SPREAD second."""
    if slope == 0:
        return 0.0
    ratio = SPREAD * abs(slope) / curvature if curvature > 0 else inf
    return -abs(slope) * log1p(-ratio) / SPREAD if ratio < 1 else inf


def scale_profiled(agreement: Any, overlap: Any) -> Estimate:
    """Infimum over c of the spectral contrastive loss of c f, -(a_+)^2 / b <= 0, unitless: features at their best scale.

    a = E f(x)'f(x+) and b = E (f(x)'f(x'))^2, so that the loss of c f is -2 c^2 a + c^4 b.

    Args:
        agreement: (n,) f(x)'f(x+) of each independent unit, or its mean within a batch.
        overlap: (n,) (f(x)'f(x'))^2 of each unit, x and x' independent, or its mean within a batch.

    Returns:
        Estimate with the delta-method error of the ratio; where a <= 0 the value is 0 at c = 0, without an error, "uninformative".

    Raises:
        ValueError: if lengths differ, a value is not finite, there are fewer than 2 units, or every overlap is 0.

    Source: HaoChen, Wei, Gaidon, Ma, "Provable guarantees for self-supervised deep learning with spectral contrastive loss",
        NeurIPS 2021, arXiv:2106.04156, minimised over the scale.

    Example:
        >>> f"{scale_profiled([1.0, 3.0], [4.0, 4.0]):.1f}", f"{scale_profiled([10.0, 30.0], [400.0, 400.0]):.1f}"
        ('-1.0', '-1.0')
    """
    near = unit_values(agreement, "agreement")
    far = unit_values(overlap, "overlap", len(near))
    n = len(near)
    if n < 2 or not (far >= 0).all() or far.sum() == 0:
        raise ValueError(
            f"agreement and overlap hold {n} units, overlap from {far.min(initial=0.0)!r}; allowed: n >= 2, >= 0, not all 0"
        )
    a, b = float(near.mean()), float(far.mean())
    if a <= 0:
        return Estimate(0.0, how="monte_carlo", n=n, status="uninformative")
    ratio = a / b
    error = (-2 * ratio * near + ratio**2 * far).std(ddof=1) / n**0.5
    return Estimate(-a * ratio, stderr=float(error), how="monte_carlo", n=n)


def _mean(losses: Tensor, status: str = "ok") -> Estimate:
    units = losses.double().flatten(1).mean(1) if losses.ndim > 1 else losses.double()
    n = len(units)
    return Estimate(float(units.mean()), stderr=float(units.std() / n**0.5), how="held_out", n=n, status=status)
