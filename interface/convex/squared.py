"""Least squares with an intercept in batches, safe at any rank, each with a proven gap to its minimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import BUDGET, as_features, part_of, real_targets, shared_problems
from interface.convex._whitening import centre, principal_axes

REFINEMENTS = 3  # at most, of which the last only proves
NEGLIGIBLE = 1e-20  # gap, part of the variance of the targets: squared round-off


@dataclass(frozen=True)
class SquaredFit:
    """Minimisers of E least-squares problems of k outputs, in float64.

    Args:
        weight: (E, k, d), on the features as they were given; of minimal norm where features are collinear, up to their scale.
        intercept: (E, k).
        value: (E, k) mean squared error of each output, in squared units of the target, plus ridge / 2 times its squared weights.
        gap: (E, k) proven: value - gap is at most the minimum. Squared norm of the residual's moments over the strong
            convexity, on the directions in which features vary.
        status: for each problem, "ok", "vacuous_lower" if there are no more rows than coefficients, so that any targets are
            fitted and the minimum says nothing, or "not_converged" if a gap is above the tolerance.
    """

    weight: Tensor
    intercept: Tensor
    value: Tensor
    gap: Tensor
    status: list[str]

    @property
    def lower(self) -> Tensor:
        """(E, k) proven lower bound on the minimum, in squared units of the target."""
        return self.value - self.gap


def fit_squared(features: Any, targets: Any, *, ridge: float = 0.0, tolerance: float = 1e-6) -> SquaredFit:
    """Smallest mean squared error (squared units of the target) of linear predictions with intercept, for E problems.

    Args:
        features: (E, n, d), or (n, d) shared by all problems; tensors or arrays of any real type.
        targets: (n,) or (n, k), shared, or (E, n, k).
        ridge: half of this times the squared norm of an output's weights is added to its error; intercepts are free.
        tolerance: gap, in squared units of the target, above which a problem is called not converged.

    Returns:
        SquaredFit.

    Raises:
        ValueError: if shapes disagree, features or targets are not finite, or a number is negative.

    Source: ordinary least squares in whitened coordinates with one step of refinement (Björck, "Numerical Methods for Least
        Squares Problems", 1996, section 2.9); the gap is ||g||² / (2 mu) of a mu-strongly convex function.

    Example:
        >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
        >>> fit = fit_squared(x, x @ torch.tensor([1.0, 0.0, -2.0]).double() + 5)
        >>> bool(fit.value < 1e-20), [round(float(w), 6) + 0.0 for w in fit.weight[0, 0]], round(float(fit.intercept), 6)
        (True, [1.0, 0.0, -2.0], 5.0)
    """
    x = as_features(features)
    y = real_targets(targets, x.shape[1]).to(x.device)
    if not 0 <= ridge < float("inf") or not tolerance > 0:
        raise ValueError(f"ridge, tolerance are {ridge!r}, {tolerance!r}; allowed: finite and >= 0, > 0")
    problems = shared_problems(features=x, targets=y)
    chunk = max(1, BUDGET // (x.shape[1] * (32 * (x.shape[2] + 1) + 24 * y.shape[2])))
    chunks = torch.arange(problems, device=x.device).split(chunk)
    parts = [_fit(part_of(x, index), part_of(y, index), ridge, tolerance) for index in chunks]
    weight, intercept, value, gap = (torch.cat(tensors) for tensors in zip(*(part[:4] for part in parts), strict=True))
    return SquaredFit(weight, intercept, value, gap, [status for part in parts for status in part[4]])


def _fit(x: Tensor, y: Tensor, ridge: float, tolerance: float) -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    n, middle = x.shape[1], y.mean(1, keepdim=True)
    y = (y - middle).mT
    x, mean, round_off = centre(x)
    covariance = x.mT @ x / n
    axes = principal_axes(covariance, mean, round_off, standardise=ridge == 0)
    gram, penalty = axes.map @ covariance @ axes.map.mT, 0.5 * ridge * axes.metric.unsqueeze(1)
    convexity = 1 - (gram - torch.diag_embed(axes.kept[:, :-1].double())).flatten(1).norm(dim=1)
    convexity = convexity.clamp_min(torch.finfo(gram.dtype).tiny).unsqueeze(1)
    negligible = NEGLIGIBLE * torch.linalg.vector_norm(y, dim=2).square() / n
    w = (y @ x / n @ axes.map.mT) / (1 + penalty)
    w = w + (w - w @ gram) / (1 + penalty)  # gram is the identity but for some 1e-6: squared here
    for _ in range(REFINEMENTS):
        weight = w @ axes.map
        residual = y - weight @ x.mT
        gradient = residual @ x / n @ axes.map.mT - penalty * w
        gap = (gradient.square().sum(2) + residual.mean(2).square()) / convexity
        if (gap <= negligible).all():
            break
        w = w + gradient / (1 + penalty)
    value = torch.linalg.vector_norm(residual, dim=2).square() / n  # in one pass
    if ridge > 0:  # what a penalised probe could gain at most from the directions left out
        gap = gap + 2 * value * axes.dropped.unsqueeze(1) / ridge
    value = value + 0.5 * ridge * weight.square().sum(2)
    saturated = ((axes.kept.sum(1) >= n) & (ridge == 0)).expand(len(w))
    status = [
        "vacuous_lower" if full else "ok" if proven else "not_converged"
        for full, proven in zip(saturated.tolist(), (gap <= tolerance).all(1).tolist(), strict=True)
    ]
    return weight, middle.squeeze(1) - (weight @ mean.unsqueeze(2)).squeeze(2), value, gap, status
