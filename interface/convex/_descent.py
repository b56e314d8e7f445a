"""The first part of the way to the minimum of softmax problems, in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from interface.convex._logistic import Softmax
from interface.convex.lbfgs import minimize

MODERATE = 5e-5  # decrement (nats) at which Newton's method in float64 takes over
DESCENT = 200  # steps of L-BFGS at most
LEAST_CURVATURE = 1e-7  # of a class in float32


def descend(problem: Softmax, start: Tensor) -> Tensor:
    """w (E, C, D) in float32 near the minima; each problem's products are its own, so that none is copied as others finish."""
    x, moment, penalty = problem.x.float(), problem.moment.float(), problem.penalty.float()
    n, (classes, width) = x.shape[2], start.shape[1:]
    curvature = moment.new_full(moment.shape[:2], 1 / classes)

    def value_and_gradient(w: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        rows = index.tolist()
        z = w.new_empty(len(w), classes, n)
        for i, e in enumerate(rows):
            torch.mm(w[i], x[e if len(x) > 1 else 0], out=z[i])
        top = z.amax(1, keepdim=True)
        z -= top
        total = z.exp_().sum(1, keepdim=True)
        z /= total
        slope, weights = moment[index], penalty[index]
        value = (total.log() + top).mean((1, 2)) + (w * (0.5 * weights * w - slope)).sum((1, 2))
        gradient = w.new_empty(len(w), classes, width)
        for i, e in enumerate(rows):
            torch.mm(z[i], x[e if len(x) > 1 else 0].mT, out=gradient[i])
        gradient /= n
        # diagonal of a class's Hessian if coordinates, which are white, were independent of the probabilities
        curvature[index] = (z.mean(2) - torch.linalg.vector_norm(z, dim=2) ** 2 / n).clamp_min(LEAST_CURVATURE)
        return value, gradient - slope + weights * w

    def preconditioner(v: Tensor, index: Tensor) -> Tensor:
        return v / (curvature[index].unsqueeze(-1) + penalty[index])

    return minimize(value_and_gradient, start.float(), tolerance=MODERATE, max_iter=DESCENT, preconditioner=preconditioner).x
