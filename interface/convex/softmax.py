"""Multinomial logistic regressions in batches, each with a proven gap to its minimum."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import BUDGET, as_features, class_targets, part_of, shared_problems
from interface.convex._dual import FAR, newton_round
from interface.convex._logistic import Softmax
from interface.convex._whitening import whiten
from interface.convex.lbfgs import minimize

DUAL_RADIUS = 1e3  # a probe of half this norm on whitened features has logits of hundreds: it separates what it can
MODERATE = 5e-5  # decrement (nats) at which Newton's method in float64 takes over from L-BFGS in float32
DESCENT = 200  # steps of L-BFGS at most
ROUNDS = 8  # of Newton's method at most
CACHED = 20_000_000  # bytes that the problems of one Newton round may take, to stay near the processor
LEAST_CURVATURE = 1e-7  # of a class in float32


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

    Source: L-BFGS and Newton's method (Nocedal and Wright, 2006, chapters 7 and 3) in whitened coordinates; the gap by Fenchel
        duality, see `newton_round`; separation as in Albert and Anderson, Biometrika 71 (1984).

    Example:
        >>> x, y = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 4
        >>> fit = fit_softmax(x, y)
        >>> fit.status, bool(fit.gap < 1e-6), bool(fit.value < log(4)), tuple(fit.weight.shape)
        (['ok'], True, True, (1, 4, 3))
    """
    x = as_features(features)
    y, classes = class_targets(labels, x.shape[1], n_classes)
    y = y.to(x.device)
    if not ridge >= 0 or not tolerance > 0 or not dual_radius > 0:
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
    white = whiten(x, standardise=ridge == 0)
    problems = max(len(x), len(y))
    targets = torch.nn.functional.one_hot(y, classes).double() if y.ndim == 2 else y
    moment = targets.mT @ white.x.mT / x.shape[1]
    penalty = torch.cat([ridge * white.metric, torch.zeros_like(white.metric[:, :1])], 1).unsqueeze(1)
    moment, penalty = moment.expand(problems, -1, -1), penalty.expand(problems, -1, -1)
    problem = Softmax(white.x.expand(problems, -1, -1), moment, penalty, white.kept.expand(problems, -1))

    w = torch.zeros_like(moment) if start is None else white.inward(*start).nan_to_num(0.0, 0.0, 0.0)
    floor = -torch.special.xlogy(targets, targets).sum(2).mean(1).expand(problems)
    found, value, lower = torch.zeros_like(w), torch.zeros_like(floor), floor.clone()
    found[..., -1] = -torch.inf
    frequency = moment[..., -1]
    order, present = frequency.argsort(1), (frequency > 0).sum(1)
    for k in present.unique().tolist():  # classes that occur, the most frequent one last: it is the reference class
        at = (present == k).nonzero().flatten()
        rows = order[at, -k:, None].expand(-1, -1, w.shape[2])
        ordered = Softmax(problem.x[at], moment[at].gather(1, rows), problem.penalty[at], problem.kept[at])
        inner, value[at], lower[at] = _solve(ordered, w[at].gather(1, rows), floor[at], tolerance, radius)
        found[at] = found[at].scatter(1, rows, inner)

    if ridge > 0:  # what a penalised probe could gain at most from the directions left out
        lower = floor.maximum(lower - white.dropped / ridge)
    norm = found.nan_to_num(neginf=0.0).flatten(1).norm(dim=1)
    far = (norm > radius) | ((norm > FAR * radius) & (value - lower > tolerance))
    vacuous = (far | _separated(problem.x, y, found, value)) & (ridge == 0)
    value = value.maximum(floor)  # a loss of 0 comes out as some -1e-14
    gap = (value - torch.where(vacuous, floor, lower)).clamp_min(0)
    status = [
        "vacuous_lower" if empty else "ok" if proven else "not_converged"
        for empty, proven in zip(vacuous.tolist(), (gap <= tolerance).tolist(), strict=True)
    ]
    return *white.outward(found), value, gap, status


def _solve(problem: Softmax, w: Tensor, floor: Tensor, tolerance: float, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """(w, value, lower): L-BFGS in float32, then rounds of Newton's method in float64 for those whose gap is open."""
    w = _descend(problem, w).double()
    w -= w.mean(1, keepdim=True)  # adding one vector to all classes changes no probability, and 0 in sum is least in norm
    value, lower = torch.full_like(floor, torch.inf), floor.clone()
    block = max(1, CACHED // (8 * problem.x.shape[2] * (6 * w.shape[1] + w.shape[2])))
    for at in torch.arange(len(w), device=w.device).split(block):
        part, factor, stale = problem[at], None, None
        for number in range(ROUNDS):
            done = newton_round(part, w[at], factor, stale, radius=radius, tolerance=tolerance)
            w[at], value[at], lower[at] = done.w, done.value, torch.maximum(lower[at], done.lower)
            # a small decrement before the step: after it, w too is reproducible, not only the value
            running = (done.value - lower[at] > tolerance) | (done.decrement > tolerance)
            if not running.any():
                break
            at, part, factor = at[running], part[running], done.factor[running]
            stale = done.stale[running] | (number % 2 == 1)  # a Hessian serves two rounds at most
    return w, value, lower


def _descend(problem: Softmax, start: Tensor) -> Tensor:
    """w (E, C, D) in float32 near the minima; each problem's products are its own, so that none is copied as others finish."""
    x, moment, penalty = problem.x.float(), problem.moment.float(), problem.penalty.float()
    n, (classes, width) = x.shape[2], start.shape[1:]
    curvature = moment.new_full(moment.shape[:2], 1 / classes)

    def value_and_gradient(w: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        rows = index.tolist()
        z = w.new_empty(len(w), classes, n)
        for i, e in enumerate(rows):
            torch.mm(w[i], x[e], out=z[i])
        top = z.amax(1, keepdim=True)
        z -= top
        total = z.exp_().sum(1, keepdim=True)
        z /= total
        slope, weights = moment[index], penalty[index]
        value = (total.log() + top).mean((1, 2)) + (w * (0.5 * weights * w - slope)).sum((1, 2))
        gradient = w.new_empty(len(w), classes, width)
        for i, e in enumerate(rows):
            torch.mm(z[i], x[e].mT, out=gradient[i])
        gradient /= n
        # diagonal of a class's Hessian if coordinates, which are white, were independent of the probabilities
        curvature[index] = (gradient[..., -1] - torch.linalg.vector_norm(z, dim=2) ** 2 / n).clamp_min(LEAST_CURVATURE)
        return value, gradient - slope + weights * w

    def preconditioner(v: Tensor, index: Tensor) -> Tensor:
        return v / (curvature[index].unsqueeze(-1) + penalty[index])

    return minimize(value_and_gradient, start.float(), tolerance=MODERATE, max_iter=DESCENT, preconditioner=preconditioner).x


def _separated(x: Tensor, y: Tensor, w: Tensor, value: Tensor) -> Tensor:
    """(E,) whether every example's own class has probability above a half: then scaling w sends the loss to 0."""
    answer = torch.zeros_like(value, dtype=torch.bool)
    if y.ndim == 2:
        for e in (value < log(2)).nonzero().flatten().tolist():
            z = w[e] @ x[e]
            loss = torch.logsumexp(z, 0) - z.gather(0, y[e if len(y) > 1 else 0].unsqueeze(0)).squeeze(0)
            answer[e] = loss.max() < log(2)
    return answer
