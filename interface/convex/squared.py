"""Least squares with an intercept in batches, safe at any rank, each with a proven gap to its minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import BUDGET, as_features, part_of, real_targets, shared_problems
from interface.convex._whitening import Whitened, centre, principal_axes

REFINEMENTS = 3  # at most, of which the last only proves
NEGLIGIBLE = 1e-20  # gap, part of the variance of the targets: squared round-off
BLOCK = 2**18  # numbers that a processor's cache holds
SPOILT = 1e-10  # part of a value: where the round-off of moments may be more, the value is found from residuals


@dataclass(frozen=True)
class SquaredFit:
    """Minimisers of E least-squares problems of k outputs, in float64.

    Args:
        weight: (E, k, d), on the features as they were given; of minimal norm where features are collinear, up to their scale.
        intercept: (E, k).
        value: (E, k) mean squared error of each output, in squared units of the target, plus ridge / 2 times its squared weights.
        gap: (E, k) proven: value - gap is at most the minimum. Squared norm of the residual's moments over the strong
            convexity, on the directions in which features vary. Proven up to round-off of float64: of the value, some 1e-10 of
            it at most, or, where that is more, the squared round-off of a prediction; see `fit_squared`.
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
        Squares Problems", 1996, section 2.9); the gap is ||g||² / (2 mu) of a mu-strongly convex function. Value and gradient
        come from moments with centred features, v = y'y/n - mean(y)² - 2 w'X'y/n + w'X'X w/n, whose round-off is at most some
        eps (r + sum_j |w_j| s_j)² with the target's root mean square r and standard deviations s, term by term (Higham,
        "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). Outputs at which that is above 1e-10 v get them from
        residuals, without cancellation: all with v below 2e-6 of the target's variance are such, and those with a large mean
        or large weights on collinear features.

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
    chunk = max(1, BUDGET // (x.shape[1] * (32 * (x.shape[2] + 1) + 40 * y.shape[2])))
    chunks = torch.arange(problems, device=x.device).split(chunk)
    parts = [_fit(part_of(x, index), part_of(y, index), ridge, tolerance) for index in chunks]
    weight, intercept, value, gap = (torch.cat(tensors) for tensors in zip(*(part[:4] for part in parts), strict=True))
    return SquaredFit(weight, intercept, value, gap, [status for part in parts for status in part[4]])


def _fit(x: Tensor, y: Tensor, ridge: float, tolerance: float) -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    n = x.shape[1]
    x, mean, round_off = centre(x)
    covariance, moments, middle = x.mT @ x / n, y.mT @ x / n, y.mean(1)  # x has mean 0, so that y needs not
    square = _mean_squares(y)
    variance = (square - middle.square()).clamp_min(0)
    axes = principal_axes(covariance, mean, round_off, standardise=ridge == 0)
    penalty = 0.5 * ridge * axes.metric.unsqueeze(1)
    deviation = axes.map @ covariance @ axes.map.mT - torch.diag_embed(axes.kept[:, :-1].double())
    convexity = (1 - deviation.flatten(1).norm(dim=1)).clamp_min(torch.finfo(deviation.dtype).tiny).unsqueeze(1)

    def by_moments(weight: Tensor) -> tuple[Tensor, Tensor]:
        slope = moments - weight @ covariance
        return slope, variance - (weight * (moments + slope)).sum(2)

    w = moments @ axes.map.mT / (1 + penalty)
    w, weight, value, gap = _refined(w, by_moments, axes, penalty, convexity, variance)
    size = square.sqrt() + (weight.abs() @ covariance.diagonal(dim1=1, dim2=2).sqrt().unsqueeze(2)).squeeze(2)
    spoilt = ~(torch.finfo(size.dtype).eps * size.square() <= SPOILT * value)
    if spoilt.any():
        some = spoilt.any(0)  # columns: found in all problems, kept in those that need it, so that these do not depend on others
        target = centre(y[..., some])[0]

        def by_residuals(weight: Tensor) -> tuple[Tensor, Tensor]:
            residual = target.mT - weight @ x.mT
            return residual @ x / n, torch.linalg.vector_norm(residual, dim=2).square() / n

        _, *found = _refined(w[:, some], by_residuals, axes, penalty, convexity, _mean_squares(target))
        for whole, part in zip((weight, value, gap), found, strict=True):
            taken = spoilt[:, some].view(*part.shape[:2], *[1] * (part.ndim - 2))
            whole[:, some] = torch.where(taken, part, whole[:, some])
    if ridge > 0:  # what a penalised probe could gain at most from the directions left out
        gap = gap + 2 * value * axes.dropped.unsqueeze(1) / ridge
    value = value + 0.5 * ridge * weight.square().sum(2)
    saturated = ((axes.kept.sum(1) >= n) & (ridge == 0)).expand(len(w))
    status = [
        "vacuous_lower" if full else "ok" if proven else "not_converged"
        for full, proven in zip(saturated.tolist(), (gap <= tolerance).all(1).tolist(), strict=True)
    ]
    return weight, middle - (weight @ mean.unsqueeze(2)).squeeze(2), value, gap, status


def _mean_squares(y: Tensor) -> Tensor:
    """(E, k) of y (E, n, k), in blocks of rows whose squares stay in the cache."""
    rows = max(1, BLOCK * y.shape[1] // y.numel())
    return torch.stack([part.square().sum(1) for part in y.split(rows, 1)]).sum(0) / y.shape[1]


def _refined(
    w: Tensor,
    slope_and_error: Callable[[Tensor], tuple[Tensor, Tensor]],
    axes: Whitened,
    penalty: Tensor,
    convexity: Tensor,
    variance: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(w, weight, mean squared error, gap) after steps of refinement from white weights w (E, k, d), which gain 6 digits each."""
    for _ in range(REFINEMENTS):
        weight = w @ axes.map
        slope, error = slope_and_error(weight)
        gradient = slope @ axes.map.mT - penalty * w
        gap = gradient.square().sum(2) / convexity
        w = w + gradient / (1 + penalty)
        if (gap <= NEGLIGIBLE * variance).all():
            break
    return w, weight, error, gap
