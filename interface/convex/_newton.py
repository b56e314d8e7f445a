"""Newton systems of batched softmax problems in float64, and the dual points that prove how good a probe is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DENSE = 1_500  # unknowns up to which the Hessian is formed; it serves as a preconditioner only, in float32
JITTER = 1e-7  # of the mean diagonal: float32 round-off of a Hessian
PAIRS = 8_000_000  # products held at a time while a Hessian is formed
SPARE = 0.05  # part of the tolerance that the residual of the Newton system may cost


@dataclass(frozen=True)
class Softmax:
    """E problems: mean over n of log-sum-exp(w x) minus <w, moment>, plus half <penalty, w w>; w is (E, C, D).

    Labels enter by their moment only, so hard and soft ones are the same problem.

    Args:
        x: (E, D, n) float64 coordinates, the last one 1.
        moment: (E, C, D) mean over examples of target times x.
        penalty: (E, 1, D) weights of the squared penalty; 0 is none.
        kept: (E, D) coordinates that are not identically 0.
    """

    x: Tensor
    moment: Tensor
    penalty: Tensor
    kept: Tensor

    def __getitem__(self, index: Tensor) -> Softmax:
        return Softmax(self.x[index], self.moment[index], self.penalty[index], self.kept[index])


@dataclass(frozen=True)
class Certificate:
    """What one Newton system says about the points w of a batch.

    Args:
        value: (E,) objective at w.
        lower: (E,) bound from below on the objective over all w of norm at most the dual radius.
        step: (E, C, D) the Newton step.
        slope: (E,) derivative of the objective along it, <= 0.
    """

    value: Tensor
    lower: Tensor
    step: Tensor
    slope: Tensor


def value(problem: Softmax, w: Tensor) -> Tensor:
    """Objective (E,) at w (E, C, D), in float64."""
    return torch.logsumexp(w @ problem.x, 1).mean(1) + _linear_and_penalty(problem, w)


def _linear_and_penalty(problem: Softmax, w: Tensor) -> Tensor:
    return (w * (0.5 * problem.penalty * w - problem.moment)).sum((1, 2))


def certify(problem: Softmax, w: Tensor, *, radius: float, tolerance: float) -> Certificate:
    """A lower bound on each problem's minimum, from the dual point that one Newton step at w leads to.

    For probabilities Q (E, C, n) of any kind, lse(z) >= <Q, z> + entropy(Q) gives for every w'
        objective(w') >= mean entropy(Q) + <w', R> + half <penalty, w' w'>,  R = mean Q x' - moment.
    With V the Newton step and P the softmax at w, Q = P (1 + V x - E_P V x) makes R = -penalty (w + V) up to the residual
    r of the linear system, and the right side is at least
        mean entropy(Q) - half <penalty, (w + V) (w + V)> - radius ||r||  for all ||w'|| <= radius.

    Source: Fenchel duality of the log-sum-exp, e.g. Boyd and Vandenberghe, "Convex Optimization" (2004), sections 3.3 and 5.1.6.
        The dual point by a Newton step is the primal one's first-order image; where it leaves the simplex it is cut off and
        rescaled: any Q gives a bound.
    """
    x, n = problem.x, problem.x.shape[2]
    z = w @ x
    lse = torch.logsumexp(z, 1, keepdim=True)
    objective = lse.mean((1, 2)) + _linear_and_penalty(problem, w)
    p = z.sub_(lse).exp_()
    gradient = p @ x.mT / n - problem.moment + problem.penalty * w
    step = _solve(problem, p, gradient, accuracy=SPARE * tolerance / radius)

    tilt = step @ x
    tilt -= (p * tilt).sum(1, keepdim=True)
    q = p.mul_(tilt.add_(1))
    if q.min() < 0:
        q = q.clamp_(min=0)
        q /= q.sum(1, keepdim=True)
    entropy = -torch.special.xlogy(q, q).sum(1).mean(1)
    target = w + step
    residual = q @ x.mT / n - problem.moment + problem.penalty * target
    lower = entropy - 0.5 * (problem.penalty * target.square()).sum((1, 2)) - radius * residual.flatten(1).norm(dim=1)
    return Certificate(objective, lower, step, (gradient * step).sum((1, 2)))


def _solve(problem: Softmax, p: Tensor, gradient: Tensor, *, accuracy: float) -> Tensor:
    """Newton step (E, C, D): Hessian times step = -gradient to `accuracy` in norm, by preconditioned conjugate gradients.

    All vectors sum to 0 over classes, so the direction that adds a constant to all logits never enters.
    """
    x, n = problem.x, problem.x.shape[2]
    dense = (p.shape[1] - 1) * x.shape[1] <= DENSE
    factor = _factor(problem, p) if dense else _diagonal(problem, p)
    step, residual = torch.zeros_like(gradient), -gradient
    direction, previous = torch.zeros_like(gradient), torch.ones_like(gradient[:, :1, :1])
    running = torch.ones_like(previous)  # a finished problem takes steps of length 0
    for _ in range(12 if dense else 500):
        running = running * (residual.flatten(1).norm(dim=1) > accuracy)[:, None, None]
        if not running.any():
            break
        z = _preconditioned(factor, residual, dense)
        rz = (residual * z).sum((1, 2), keepdim=True)
        direction = z + rz / previous * direction
        u = direction @ x
        u -= (p * u).sum(1, keepdim=True)
        image = u.mul_(p) @ x.mT / n + problem.penalty * direction
        curvature = (direction * image).sum((1, 2), keepdim=True)
        length = running * torch.where(curvature > 0, rz / curvature, torch.zeros_like(rz))
        step = step + length * direction
        residual = residual - length * image
        previous = torch.where(rz > 0, rz, torch.ones_like(rz))
    return step


def _preconditioned(factor: Tensor, v: Tensor, dense: bool) -> Tensor:
    if not dense:
        z = v * factor
        return z - z.mean(1, keepdim=True)
    z = torch.zeros_like(v)
    z[:, :-1] = torch.cholesky_solve(v[:, :-1].flatten(1).unsqueeze(-1), factor).view_as(v[:, :-1])
    return z - z.mean(1, keepdim=True)


def _diagonal(problem: Softmax, p: Tensor) -> Tensor:
    """Inverse curvature by class, (E, C, D): exact if the coordinates were independent of the probabilities."""
    return 1 / (_class_curvature(p) + problem.penalty)


def _class_curvature(p: Tensor) -> Tensor:
    return (p.mean(2) - (p * p).mean(2)).clamp_min(1e-10).unsqueeze(-1)


def _factor(problem: Softmax, p: Tensor) -> Tensor:
    """Cholesky factor (E, K D, K D) of the Hessian without its last class (K = C - 1), up to float32 products.

    Products p_a p_b of class pairs times products x_i x_j of coordinate pairs, each pair once: (K D / 2)^2 instead of
    (K D)^2 multiplications an example.
    """
    x, p = problem.x.float(), p[:, :-1].float()
    (problems, d, n), k = x.shape, p.shape[1]
    size_x, size_p = d * (d + 1) // 2, k * (k + 1) // 2
    block = min(n, max(512, PAIRS // size_x))
    moments, means = x.new_zeros(problems, size_p, size_x), x.new_zeros(problems, k, size_x)
    for start in range(0, n, block):
        rows = min(block, n - start)
        pairs_x, pairs_p = x.new_empty(size_x, rows), x.new_empty(size_p, rows)
        for e in range(problems):
            here = slice(start, start + rows)
            _pair_products(x[e, :, here], pairs_x)
            _pair_products(p[e, :, here], pairs_p)
            moments[e].addmm_(pairs_p, pairs_x.mT)
            means[e].addmm_(p[e, :, here], pairs_x.mT)
    class_index, coordinate_index = _pair_index(k, x.device), _pair_index(d, x.device)
    hessian = -moments[:, class_index][..., coordinate_index]  # (E, K, K, D, D)
    hessian.diagonal(dim1=1, dim2=2).add_(means[..., coordinate_index].permute(0, 2, 3, 1))
    hessian = hessian.permute(0, 1, 3, 2, 4).reshape(problems, k * d, k * d).double() / n
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    diagonal += (problem.penalty + (~problem.kept).unsqueeze(1)).expand(-1, k, -1).flatten(1)
    jitter = JITTER * diagonal.mean(1, keepdim=True)
    while True:
        diagonal += jitter
        factor, failed = torch.linalg.cholesky_ex(hessian)
        if not failed.any():
            return factor
        jitter = torch.where(failed.bool().unsqueeze(1), 30 * jitter, torch.zeros_like(jitter))


def _pair_products(rows: Tensor, out: Tensor) -> None:
    start = 0
    for i in range(len(rows)):
        stop = start + len(rows) - i
        torch.mul(rows[i:], rows[i], out=out[start:stop])
        start = stop


def _pair_index(size: int, device: torch.device) -> Tensor:
    """(size, size) positions of unordered pairs in the order of `_pair_products`."""
    index = torch.empty(size, size, dtype=torch.long, device=device)
    i, j = torch.triu_indices(size, size, device=device)
    index[i, j] = index[j, i] = torch.arange(len(i), device=device)
    return index
