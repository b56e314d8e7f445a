"""Multinomial logistic regression in a norm ball: a bounded family, so that its minimum exists and its gap needs no assumption."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import as_features, class_targets, part_of, shared_problems
from interface.convex._descent import descend
from interface.convex._dual import newton_round
from interface.convex._logistic import Softmax, newton_step, preconditioner

RANK = 1e-15  # eigenvalues of the second moments below this part of the largest are round-off
MULTIPLIERS = 40  # ridge problems at most, on the way to the one whose minimiser has the ball's radius
ROUNDS = 30  # of Newton's method in one of them, at most
INNER = 0.01  # part of the tolerance that one of them may miss its minimum by


@dataclass(frozen=True)
class SoftmaxBallFit:
    """Minimisers of E multinomial logistic regressions over ||(weight, intercept)|| <= radius, in float64.

    Args:
        weight: (E, C, d), on the features as they were given; intercept: (E, C).
        value: (E,) mean log loss in nats at this point, which lies in the ball.
        gap: (E,) proven without assumptions: value - gap is at most the minimum over the ball.
        status: one word a problem: "ok" if gap <= tolerance, otherwise "not_converged".
        radius: of the ball.
    """

    weight: Tensor
    intercept: Tensor
    value: Tensor
    gap: Tensor
    status: list[str]
    radius: float

    @property
    def lower(self) -> Tensor:
        """(E,) proven lower bound on the minimum, in nats."""
        return self.value - self.gap


def fit_softmax_ball(
    features: Any, labels: Any, *, radius: float, n_classes: int | None = None, tolerance: float = 1e-6
) -> SoftmaxBallFit:
    """Smallest mean log loss (nats) of softmax(W x + b) with ||W||² + ||b||² <= radius², for E problems, with a proven gap each.

    The norm is that of the coefficients on the features as they are given, so that their scale matters. Separated samples,
    single classes and absent classes are no exceptions: the minimum exists always.

    Args:
        features: (E, n, d), or (n, d) shared by all problems; tensors or arrays of any real type.
        labels: integers (n,), shared, or (E, n); or probabilities (n, C) or (E, n, C).
        radius: of the ball, > 0.
        n_classes: C, if it is not the largest label + 1.
        tolerance: gap in nats at which a problem is finished.

    Returns:
        SoftmaxBallFit.

    Raises:
        ValueError: if shapes disagree, features are not finite, labels out of range, or radius or tolerance is not > 0.

    Source: the multiplier of the ball makes it a ridge regression, found by Newton's method on the norm as in the secular
        equation (Moré and Sorensen, SIAM J. Sci. Stat. Comput. 4, 1983; here in logarithms, safeguarded by bisection). The gap
        is that of Frank and Wolfe, <gradient, w> + radius ||gradient|| (Jaggi, ICML 2013), in float64; at the minimiser of the
        ridge regression with multiplier mu it is mu ||w|| (radius - ||w||), so that multipliers below tolerance / radius² are
        as good as 0.

    Example:
        >>> x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
        >>> narrow, wide = (fit_softmax_ball(x, (x[:, 0] > 0).long(), radius=r) for r in (1.0, 4.0))
        >>> narrow.status, bool(wide.value < narrow.value < log(2)), round(float(narrow.weight.norm()), 1)
        (['ok'], True, 1.0)
    """
    x = as_features(features)
    y, classes = class_targets(labels, x.shape[1], n_classes, several=False)
    y = y.to(x.device)
    if not 0 < radius < float("inf") or not tolerance > 0:
        raise ValueError(f"radius, tolerance are {radius!r}, {tolerance!r}; allowed: finite numbers > 0")
    problems = shared_problems(features=x, labels=y)
    fits = []
    for index in torch.arange(problems, device=x.device).split(1):
        labels_here = part_of(y, index)[0]
        targets = torch.nn.functional.one_hot(labels_here, classes).double() if labels_here.ndim == 1 else labels_here
        fits.append(_fit(part_of(x, index)[0].double(), targets, float(radius), tolerance))
    coefficients, value, gap = (torch.stack(tensors) for tensors in zip(*fits, strict=True))
    status = ["ok" if proven else "not_converged" for proven in (gap <= tolerance).tolist()]
    return SoftmaxBallFit(coefficients[..., :-1], coefficients[..., -1], value, gap, status, float(radius))


def _fit(x: Tensor, targets: Tensor, radius: float, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """(coefficients (C, d + 1), value, gap) of one problem: x (n, d), targets (n, C)."""
    n = len(x)
    x = torch.cat([x, x.new_ones(n, 1)], 1).mT.contiguous()
    moment = targets.mT @ x.mT / n
    # coordinates of second moments 1, in which the ridge penalty is diagonal
    variance, basis = torch.linalg.eigh(x @ x.mT / n)
    kept = variance > RANK * variance[-1]
    metric = kept / variance.where(kept, torch.ones_like(variance))
    forward = (basis * metric.sqrt()).mT
    white = (forward @ x).unsqueeze(0)

    def at(multiplier: float) -> Softmax:
        return Softmax(white, (moment @ forward.mT).unsqueeze(0), (multiplier * metric).expand(1, 1, -1), kept.unsqueeze(0))

    steepest = float((torch.full_like(targets, 1 / targets.shape[1]) - targets).mT.matmul(x.mT).norm()) / n
    least, most = 0.1 * tolerance / radius**2, max(steepest / radius, tolerance / radius**2)  # w(most) lies in the ball
    low, high, multiplier = least, most, most
    best, upper, lower = torch.zeros_like(moment), x.new_tensor(torch.inf), x.new_tensor(0.0)
    w = descend(at(multiplier), torch.zeros_like(moment).unsqueeze(0)).double()
    for _ in range(MULTIPLIERS):
        problem = at(multiplier)
        w, factor = _ridge(problem, w - w.mean(1, keepdim=True), radius, INNER * tolerance)
        coefficients = w[0] @ forward
        norm = float(coefficients.norm())
        coefficients = coefficients * min(1.0, radius / max(norm, torch.finfo(x.dtype).tiny))
        value, gap = _certified(x, moment, coefficients, radius)
        lower = torch.maximum(lower, value - gap)
        if value < upper:
            best, upper = coefficients, value
        if upper - lower <= tolerance or high <= low * (1 + 1e-15):
            break
        low, high = (multiplier, high) if norm > radius else (low, multiplier)
        p = torch.softmax(w @ problem.x, 1)
        change = newton_step(problem, p, problem.penalty * w, factor, accuracy=1e-8 * norm)  # multiplier times d w / d multiplier
        slope = float((change[0] @ forward * (w[0] @ forward)).sum()) / max(norm, 1e-300) ** 2  # d log norm / d log multiplier
        wanted = log(radius / max(norm, 1e-300)) / slope if slope < 0 else -float("inf")
        if low < multiplier * exp(min(max(wanted, -700), 700)) < high:
            following = multiplier * exp(wanted)
        elif low == least and wanted < 0:
            following = least
        else:
            following = (low * high) ** 0.5
        w = w + max(-0.9, min(2.0, following / multiplier - 1)) * change
        multiplier = following
    return best, upper, (upper - lower).clamp_min(0)


def _ridge(problem: Softmax, w: Tensor, radius: float, tolerance: float) -> tuple[Tensor, Tensor]:
    """(minimiser, preconditioner there) of one ridge problem, from a point near it."""
    factor, stale = preconditioner(problem, torch.softmax(w @ problem.x, 1)), None
    for number in range(ROUNDS):
        done = newton_round(problem, w, factor, stale, radius=max(1.0, radius), tolerance=tolerance)
        w, factor, stale = done.w, done.factor, done.stale | (number % 2 == 1)
        if bool((done.value - done.lower <= tolerance) & (done.decrement <= tolerance)):
            break
    return w, factor


def _certified(x: Tensor, moment: Tensor, w: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """(mean log loss, Frank-Wolfe gap) at w (C, D), a point of the ball."""
    z = w @ x
    lse = torch.logsumexp(z, 0)
    gradient = torch.exp(z - lse) @ x.mT / x.shape[1] - moment
    return lse.mean() - (w * moment).sum(), (gradient * w).sum() + radius * gradient.norm()
