"""Multinomial logistic regressions in batches, each with a proven gap to its minimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import BUDGET, as_features, class_targets, part_of, shared_problems
from interface.convex._newton_cg import solve_penalised
from interface.convex._newton_dual import solve_whitened

DUAL_RADIUS = 1e4  # half this norm on whitened features makes logits of thousands: such a probe separates what it can


@dataclass(frozen=True)
class SoftmaxFit:
    """Minimisers of E multinomial logistic regressions, in float64.

    Args:
        weight: (E, C, d), on the features as they were given. A class that never occurs has weight 0,
        intercept: (E, C), and intercept -inf: its probability is 0, the limit that the minimiser goes to.
        value: (E,) objective at this point: mean log loss in nats, plus ridge / 2 times the squared norm of `weight`.
        gap: (E,) proven: value - gap is at most the infimum over all probes whose unpenalised coefficients, on features whitened
            on this sample, have norm at most `dual_radius` (without penalty: all coefficients; with it: intercepts only).
        status: one word a problem. "ok": gap <= tolerance. "vacuous_lower": the sample is separated by classes, or the minimiser
            runs off (it is beyond dual_radius, or its gap is open at half of that), and the lower bound is no more than the mean
            entropy of the targets: 0 for integer labels. "not_converged": the gap stayed above the tolerance.
        dual_radius: see gap.
    """

    weight: Tensor
    intercept: Tensor
    value: Tensor
    gap: Tensor
    status: list[str]
    dual_radius: float

    @property
    def lower(self) -> Tensor:
        """(E,) proven lower bound on the infimum, in nats."""
        return self.value - self.gap


def fit_softmax(
    features: Any,
    labels: Any,
    *,
    n_classes: int | None = None,
    ridge: float = 0.0,
    tolerance: float = 1e-6,
    start: SoftmaxFit | None = None,
    dual_radius: float = DUAL_RADIUS,
) -> SoftmaxFit:
    """Smallest mean log loss (nats) of a linear softmax on given features, for E problems, with a proven gap each.

    Each problem is minimised alone: its result does not depend on its neighbours beyond round-off. Without penalty the
    minimum is the same for all invertible affine maps of the features. Directions in which features do not vary (relative
    variance 1e-10 after each feature was scaled to 1) are left out: the minimum and its gap are those of the others.

    Args:
        features: (E, n, d), or (n, d) shared by all problems; tensors or arrays of any real type.
        labels: integers (n,), shared, or (E, n); or probabilities (n, C) or (E, n, C).
        n_classes: C, if it is not the largest label + 1.
        ridge: half of this times the squared norm of the weights is added to the loss; intercepts are free.
        tolerance: gap in nats at which a problem is finished.
        start: a fit on related features, from whose coefficients the search starts.
        dual_radius: bound on the minimiser that the proof assumes, see `SoftmaxFit`.

    Returns:
        SoftmaxFit.

    Raises:
        ValueError: if shapes disagree, features are not finite, labels out of range or of one class only, a number is negative,
            or the features are on a device without float64.

    Source: truncated Newton method (Nocedal and Wright, 2006, algorithm 7.1) with a penalty, where the gap is ||g||² / (2 ridge)
        by Fenchel duality of the log-sum-exp, see `Rows.certificate`; without one L-BFGS or truncated Newton steps, then
        Newton's method in whitened coordinates, with the gap of `newton_round`; separation as in Albert and Anderson,
        Biometrika 71 (1984).

    Example:
        >>> x, y = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 4
        >>> fit = fit_softmax(x, y)
        >>> fit.status, bool(fit.gap < 1e-6), bool(fit.value < 1.3863), tuple(fit.weight.shape)
        (['ok'], True, True, (1, 4, 3))
    """
    x = as_features(features)
    y, classes = class_targets(labels, x.shape[1], n_classes)
    y = y.to(x.device)
    if not 0 <= ridge < float("inf") or not tolerance > 0 or not dual_radius > 0:
        raise ValueError(f"ridge, tolerance, dual_radius are {ridge!r}, {tolerance!r}, {dual_radius!r}; allowed: >= 0, > 0, > 0")
    problems = shared_problems(features=x, labels=y)
    if start is not None and start.weight.shape != (problems, classes, x.shape[2]):
        raise ValueError(f"start has weights {tuple(start.weight.shape)}; needed: {(problems, classes, x.shape[2])}")
    chunk = max(1, BUDGET // (x.shape[1] * (40 * (x.shape[2] + 1) + 16 * classes)))
    parts = []
    for index in torch.arange(problems, device=x.device).split(chunk):
        begin = None if start is None else (start.weight[index].to(x.device), start.intercept[index].to(x.device))
        parts.append(_fit(part_of(x, index), part_of(y, index), classes, ridge, tolerance, begin, dual_radius))
    weight, intercept, value, gap = (torch.cat(tensors) for tensors in zip(*(part[:4] for part in parts), strict=True))
    return SoftmaxFit(weight, intercept, value, gap, [status for part in parts for status in part[4]], dual_radius)


def _fit(
    x: Tensor, y: Tensor, classes: int, ridge: float, tolerance: float, start: tuple[Tensor, Tensor] | None, radius: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    """(weight, intercept, value, gap, status) of one chunk: x (1|E, n, d), y (1|E, n) or (1|E, n, C)."""
    hard = y.ndim == 2
    frequency = y.new_zeros(len(y), classes).scatter_add_(1, y, torch.ones_like(y)) if hard else y.mean(1)
    present = frequency > 0
    if present.all():
        weight, intercept, value, gap, vacuous = _minimised(x, y, ridge, tolerance, start, radius)
    else:
        problems = max(len(x), len(y))
        weight = torch.zeros(problems, classes, x.shape[2], dtype=torch.float64, device=x.device)
        intercept = torch.full_like(weight[..., 0], -torch.inf)
        value, gap = torch.empty_like(intercept[:, 0]), torch.empty_like(intercept[:, 0])
        vacuous = torch.zeros_like(value, dtype=torch.bool)
        patterns, which = present.expand(problems, -1).unique(dim=0, return_inverse=True)
        for pattern, occurs in enumerate(patterns):  # problems that lack the same classes; the others are left out
            at, of = (which == pattern).nonzero().flatten(), occurs.nonzero().flatten()
            labels = part_of(y, at)
            labels = (occurs.cumsum(0) - 1)[labels] if hard else labels[..., of]
            begin = None if start is None else (start[0][at][:, of], start[1][at][:, of])
            w, b, value[at], gap[at], vacuous[at] = _minimised(part_of(x, at), labels, ridge, tolerance, begin, radius)
            weight[at[:, None], of], intercept[at[:, None], of] = w, b
    status = [
        "vacuous_lower" if empty else "ok" if proven else "not_converged"
        for empty, proven in zip(vacuous.tolist(), (gap <= tolerance).tolist(), strict=True)
    ]
    return weight, intercept, value, gap, status


def _minimised(
    x: Tensor, y: Tensor, ridge: float, tolerance: float, start: tuple[Tensor, Tensor] | None, radius: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(weight, intercept, value, gap, vacuous) of problems in which each class occurs."""
    if ridge == 0:
        return solve_whitened(x, y, tolerance, start, radius)
    w, b, value, gap = solve_penalised(x, y, ridge, tolerance, start, radius)
    floor = 0.0 if y.ndim == 2 else -torch.special.xlogy(y, y).sum(2).mean(1)  # no loss is below it, no penalty below 0
    return w, b, value, torch.minimum(gap, value - floor).clamp_min(0), torch.zeros_like(gap, dtype=torch.bool)
