"""One round of Newton's method on softmax problems: a better point, and a proof of how good it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from interface.convex._logistic import Softmax, centred, newton_step, preconditioner, product

SPARE = 0.05  # part of the tolerance that the residual of a Newton system may cost
ARMIJO = 1e-4
ROUND_OFF = 1e-14  # of an objective in float64
CUT = 0.7  # a dual probability that Newton wants below this part of its value, near a separated class, is set to 0
REPAIRS = 10  # at most
BACKTRACKS = 30
DOUBLINGS = 6
FAR = 0.5  # of the dual radius: a longer step does not lead beyond


@dataclass(frozen=True)
class Round:
    """Where one Newton round led.

    Args:
        w: (E, C, D) the points; value: (E,) objective there; lower: (E,) bound from below on the minimum.
        decrement: (E,) half of minus the derivative along the step, at the point before: its suboptimality, to second order.
        factor: the preconditioner that served, for the next round; stale: (E,) whether a step other than 1 led far from it.
    """

    w: Tensor
    value: Tensor
    lower: Tensor
    decrement: Tensor
    factor: Tensor
    stale: Tensor


def newton_round(
    problem: Softmax, w: Tensor, factor: Tensor | None = None, stale: Tensor | None = None, *, radius: float, tolerance: float
) -> Round:
    """One Newton step, used for the primal (a better point) and for the dual (a proven lower bound on the minimum).

    For any probabilities Q (E, C, n), lse(z) >= <Q, z> + entropy(Q), so that for every w'
        objective(w') >= mean entropy(Q) + <w', R> + half <penalty, w' w'>,    R = mean Q x' - moment,
    and minimising over w' coordinate by coordinate leaves -R²/(2 penalty) where there is a penalty and -radius ||R|| where
    there is none, for all w' whose unpenalised part has norm at most `radius`. With V the Newton step and P the softmax at w,
    Q = P (1 + V x - E_P V x) makes R = -penalty (w + V), up to the residual of the linear system. Its distance from the
    optimum is of second order in V; where Q leaves the simplex it is cut off, rescaled and, if need be, repaired.

    Args:
        problem: E problems.
        w: (E, C, D) float64 points near their minima, summing to 0 over classes.
        factor: preconditioners from nearby points; None forms them.
        stale: (E,) which of them to form anew; None is none.
        radius: assumed bound on the norm of the unpenalised part of the minimisers.
        tolerance: gap that is wanted; work that cannot help to reach it is left out.

    Source: Fenchel duality of the log-sum-exp (Boyd and Vandenberghe, "Convex Optimization", 2004, sections 3.3 and 5.1.6).
    """
    z = product(w, problem.x)
    lse = torch.logsumexp(z, 1, keepdim=True)
    here = lse.mean((1, 2)) + problem.linear_and_penalty(w)
    p = z.sub_(lse).exp_()
    gradient = problem.residual(p) + problem.penalty * w
    if factor is None:
        factor = preconditioner(problem, p)
    elif stale is not None and stale.any():
        factor = factor.clone()
        factor[stale] = preconditioner(problem[stale], p[stale])
    accuracy = SPARE * tolerance / radius
    step = _within(newton_step(problem, p, gradient, factor, accuracy=accuracy), radius)

    q = p * centred(p, product(step, problem.x)).add_(1)
    entropy, penalised, free = _bound(problem, _on_simplex(q), radius)
    lower = entropy - penalised - free
    slope = (gradient * step).sum((1, 2))
    moved, value, length = _line_search(problem, w, here, slope, step, lower + tolerance, FAR * radius)

    worth = ((value - lower > tolerance) & (value - entropy + penalised < tolerance)).nonzero().flatten()
    if len(worth):
        target = (w + step)[worth]
        q = torch.where(q[worth] < CUT * p[worth], 0.0, q[worth])
        repaired = _repaired(problem[worth], _on_simplex(q), target, factor[worth], value[worth] - tolerance, radius, accuracy)
        lower[worth] = torch.maximum(lower[worth], repaired)
    return Round(moved, value, lower, -0.5 * slope, factor, length != 1)


def _within(step: Tensor, radius: float) -> Tensor:
    """Steps (E, C, D) shortened to `radius`: longer ones come of a singular Hessian, and their tilt would be round-off."""
    norm = step.flatten(1).norm(dim=1)[:, None, None]
    return torch.where(norm.isfinite(), step * (radius / norm.clamp_min(radius)), 0.0)


def _on_simplex(q: Tensor) -> Tensor:
    """q (E, C, n) with negative entries cut off and columns that sum to 1."""
    q = q.clamp_min(0)
    return q / q.sum(1, keepdim=True)


def _bound(problem: Softmax, q: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """The dual objective at q: (mean entropy, cost of the penalised residual, cost of the free one), each (E,)."""
    entropy = -torch.special.xlogy(q, q).sum(1).mean(1)
    residual = problem.residual(q)
    has_penalty = problem.penalty > 0
    weight = problem.penalty.where(has_penalty, torch.ones_like(problem.penalty))
    penalised = (residual.square() / (2 * weight) * has_penalty).sum((1, 2))
    return entropy, penalised, radius * (residual * ~has_penalty).flatten(1).norm(dim=1)


def _repaired(
    problem: Softmax, q: Tensor, target: Tensor, factor: Tensor, wanted: Tensor, radius: float, accuracy: float
) -> Tensor:
    """Lower bounds (E,) from q moved until its residual vanishes, or its entropy has fallen below what is wanted (E,).

    A class that the features separate from others has no finite minimiser; the optimal dual point is 0 on the probabilities
    that vanish along the way, and a single Newton step only comes near to that. Here they are 0, and the others are moved.
    """
    best = torch.full_like(q[:, 0, 0], -torch.inf)
    for _ in range(REPAIRS):
        residual = problem.residual(q) + problem.penalty * target
        step = _within(newton_step(problem, q, residual, factor, accuracy=accuracy), radius)
        target = target + step
        q = _on_simplex(q * centred(q, product(step, problem.x)).add_(1))
        entropy, penalised, free = _bound(problem, q, radius)
        best = torch.maximum(best, entropy - penalised - free)
        if ((free <= 2 * accuracy * radius) | (entropy - penalised < wanted)).all():
            break
    return best


def _line_search(
    problem: Softmax, w: Tensor, here: Tensor, slope: Tensor, step: Tensor, enough: Tensor, farthest: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(point, value, length): Armijo backtracking from the full step, or doubling of it.

    The step is doubled while the objective falls, is above `enough`, and the point is within `farthest` of 0: that is for
    separated classes, whose part of the loss falls by a mere factor e with every full step.
    """
    moved = w + step
    value = problem.value(moved)
    length = torch.ones_like(value)
    for _ in range(BACKTRACKS):
        worse = (~(value <= here + ARMIJO * length * slope + ROUND_OFF)).nonzero().flatten()
        if not len(worse):
            break
        length[worse] *= 0.4
        moved[worse] = w[worse] + length[worse, None, None] * step[worse]
        value[worse] = problem[worse].value(moved[worse])
    trying = (length == 1) & (value > enough)
    for _ in range(DOUBLINGS):
        at = trying.nonzero().flatten()
        if not len(at):
            break
        further = w[at] + 2 * length[at, None, None] * step[at]
        found = problem[at].value(further)
        better = (found < value[at]) & (further.flatten(1).norm(dim=1) < farthest)
        length[at] = torch.where(better, 2 * length[at], length[at])
        moved[at] = torch.where(better[:, None, None], further, moved[at])
        value[at] = torch.where(better, found, value[at])
        trying[at] = better & (value[at] > enough[at])
    return moved, value, length
