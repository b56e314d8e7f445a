"""Limited-memory BFGS for many independent problems at once; each stops at its own convergence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ARMIJO = 1e-4  # sufficient decrease, Nocedal and Wright (2006), section 3.1
SHRINK = (0.1, 0.5)  # where a rejected step's quadratic model may put the next one
ATTEMPTS = 12  # a step shrunk this often is below round-off
CURVATURE = 1e-12  # a pair with s'y below this part of y'y carries no curvature


@dataclass(frozen=True)
class Minimum:
    """Where each problem of a batch stopped.

    Args:
        x: (E, ...) the points, in the dtype of the start.
        value: (E,) objective there.
        decrement: (E,) half g'Hg with H the quasi-Newton inverse Hessian: an *estimate* of the suboptimality, in units
            of the objective. It proves nothing.
        converged: (E,) whether the decrement came below the tolerance.
        iterations: (E,) accepted steps.
    """

    x: Tensor
    value: Tensor
    decrement: Tensor
    converged: Tensor
    iterations: Tensor


def minimize(
    value_and_gradient: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    *,
    tolerance: float,
    max_iter: int,
    preconditioner: Callable[[Tensor, Tensor], Tensor] | None = None,
    memory: int = 10,
) -> Minimum:
    """Minima of E smooth functions, each from its own start; a problem's result does not depend on its neighbours.

    Args:
        value_and_gradient: (x (A, ...), index (A,)) -> (value (A,), gradient (A, ...)) of the problems `index` of the
            batch. It is called with those still running only, and with fewer while a step is being shortened.
        start: (E, ...) first points.
        tolerance: a problem stops once its decrement (see `Minimum`) is at most this, in units of the objective.
        max_iter: largest number of accepted steps.
        preconditioner: (v (A, ...), index (A,)) -> (A, ...), a positive definite approximation of the inverse Hessian
            times v; it may change from call to call. None: the identity, scaled by the last pair.
        memory: number of pairs kept.

    Returns:
        Minimum. A problem whose line search fails (round-off, or no minimum) stops where it is, not converged.

    Raises:
        ValueError: if `start` has no batch axis, or tolerance, max_iter or memory is out of range.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 7.5, with backtracking (section 3.5)
        instead of a Wolfe search: for a convex objective s'y > 0 holds anyway, other pairs are skipped.

    Example:
        >>> centre = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
        >>> bowl = lambda x, index: ((x - centre[index]).square().sum(1), 2 * (x - centre[index]))
        >>> bool(torch.allclose(minimize(bowl, torch.zeros(2, 2), tolerance=1e-9, max_iter=50).x, centre, atol=1e-4))
        True
    """
    if start.ndim < 2 or start.shape[0] == 0:
        raise ValueError(f"start has shape {tuple(start.shape)}; allowed: (E, ...) with E >= 1")
    if not tolerance >= 0 or max_iter < 0 or memory < 1:
        raise ValueError(f"tolerance, max_iter, memory are {tolerance!r}, {max_iter!r}, {memory!r}; allowed: >= 0, >= 0, >= 1")
    shape, index = start.shape[1:], torch.arange(start.shape[0], device=start.device)
    slack = 8 * torch.finfo(start.dtype).eps

    def evaluate(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = value_and_gradient(x.view(-1, *shape), index)
        return value, gradient.reshape(len(x), -1)

    x = start.reshape(start.shape[0], -1).clone()
    value, gradient = evaluate(x, index)
    nowhere = torch.full_like(value, torch.inf)
    out = Minimum(x.clone().view(start.shape), value.clone(), nowhere, torch.zeros_like(index, dtype=torch.bool), 0 * index)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    stalled = torch.zeros_like(index, dtype=torch.bool)
    for iteration in range(max_iter + 1):
        step = _direction(gradient, history, preconditioner, index, shape)
        slope = (gradient * step).sum(1)
        decrement = -0.5 * slope
        # without a preconditioner the first direction has no scale, so its decrement has no meaning
        judged = preconditioner is not None or iteration > 0
        converged = (decrement <= tolerance) if judged else ~gradient.bool().any(1)
        finished = converged | stalled | (iteration == max_iter)
        if finished.any():
            at = index[finished]
            out.x.view(len(out.x), -1)[at], out.value[at], out.decrement[at] = x[finished], value[finished], decrement[finished]
            out.converged[at], out.iterations[at] = converged[finished], iteration - stalled[finished].to(index)
            keep = ~finished
            if not keep.any():
                break
            index, x, value, gradient, step, slope = (t[keep] for t in (index, x, value, gradient, step, slope))
            history = [(s[keep], y[keep], r[keep]) for s, y, r in history]
        if preconditioner is None and not history:
            scale = 1 / gradient.norm(dim=1).clamp_min(1.0)
            step, slope = step * scale[:, None], slope * scale
        moved, new_value, new_gradient, stalled = _search(evaluate, index, x, value, slope, step, slack)
        s, y = moved - x, new_gradient - gradient
        sy = (s * y).sum(1, keepdim=True)
        curved = sy > CURVATURE * (y * y).sum(1, keepdim=True)
        history.append((s, y, torch.where(curved, 1 / sy.where(curved, torch.ones_like(sy)), torch.zeros_like(sy))))
        history = history[-memory:]
        x, value, gradient = moved, new_value.where(~stalled, value), new_gradient.where(~stalled[:, None], gradient)
    return out


def _direction(
    gradient: Tensor,
    history: list[tuple[Tensor, Tensor, Tensor]],
    preconditioner: Callable[[Tensor, Tensor], Tensor] | None,
    index: Tensor,
    shape: torch.Size,
) -> Tensor:
    """Minus the quasi-Newton inverse Hessian times the gradient, (A, p): the two-loop recursion."""
    q, projections = gradient, []
    for s, y, r in reversed(history):
        projections.append(r * (s * q).sum(1, keepdim=True))
        q = q - projections[-1] * y
    if preconditioner is not None:
        q = preconditioner(q.view(-1, *shape), index).reshape(q.shape)
    elif history:
        s, y, r = history[-1]
        scale = (s * y).sum(1, keepdim=True) / (y * y).sum(1, keepdim=True).clamp_min(torch.finfo(y.dtype).tiny)
        q = q * scale.where(r > 0, torch.ones_like(scale))
    for (s, y, r), projection in zip(history, reversed(projections), strict=True):
        q = q + s * (projection - r * (y * q).sum(1, keepdim=True))
    return -q


def _search(
    evaluate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    index: Tensor,
    x: Tensor,
    value: Tensor,
    slope: Tensor,
    step: Tensor,
    slack: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Backtracking per problem: (point, value, gradient, stalled); only rejected problems are evaluated again."""
    moved = x + step
    new_value, new_gradient = evaluate(moved, index)
    allowed = value + slack * value.abs()  # float32 values of one point differ by round-off
    length = torch.ones_like(value)
    rejected = ~(new_value <= allowed + ARMIJO * slope) | ~torch.isfinite(new_gradient).all(1)
    for _ in range(ATTEMPTS):
        if not rejected.any():
            break
        at = rejected.nonzero().flatten()
        rise = new_value[at] - value[at] - length[at] * slope[at]
        model = (-0.5 * length[at] * slope[at] / rise).nan_to_num(SHRINK[0]).clamp(*SHRINK)
        length[at] = length[at] * model
        moved[at] = x[at] + length[at, None] * step[at]
        new_value[at], new_gradient[at] = evaluate(moved[at], index[at])
        rejected[at] = ~(new_value[at] <= allowed[at] + ARMIJO * length[at] * slope[at]) | ~torch.isfinite(new_gradient[at]).all(1)
    return torch.where(rejected[:, None], x, moved), new_value, new_gradient, rejected
