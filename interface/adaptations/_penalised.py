"""Penalised least squares with a proven gap to its minimum."""

from __future__ import annotations

import torch
from torch import Tensor

from interface.convex import SquaredFit
from interface.convex._base import BUDGET, part_of, shared_problems


def penalised_squares(x: Tensor, y: Tensor, *, ridge: float) -> SquaredFit:
    """Least mean squared error plus ridge / 2 times the squared norm of the weights; the intercept is free.

    Args:
        x: (1|E, n, d) features; y: (1|E, n) values; ridge: weight of the penalty, above 0.

    Returns:
        SquaredFit of one output; `value` (E, 1) and `gap` are the penalised problem's, in squared units.
    """
    problems = shared_problems(features=x, labels=y)
    chunk = max(1, BUDGET // (32 * x.shape[1] * x.shape[2]))
    parts = []
    for index in torch.arange(problems, device=x.device).split(chunk):
        parts.append(_solved(part_of(x, index).double(), part_of(y.to(x.device), index), ridge))
    weight, intercept, value, gap = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    status = ["ok" if proven else "not_converged" for proven in (gap <= 1e-6).flatten().tolist()]
    return SquaredFit(weight, intercept, value, gap, status)


def _solved(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean, centre = x.mean(1, keepdim=True), y.mean(1, keepdim=True)
    x, y = x - mean, y - centre
    n = x.shape[1]
    hessian = 2 * x.mT @ x / n + ridge * torch.eye(x.shape[2], dtype=x.dtype, device=x.device)
    w = torch.linalg.solve(hessian, 2 * (x.mT @ y.unsqueeze(2)) / n)  # (E, d, 1)
    residual = y - (x @ w).squeeze(2)
    gradient = ridge * w - 2 * x.mT @ residual.unsqueeze(2) / n
    gap = gradient.square().sum(1) / (2 * ridge)  # ||g||² / (2 mu) of a ridge-strongly convex function
    value = residual.square().mean(1, keepdim=True) + 0.5 * ridge * w.square().sum(1)
    weight = w.mT
    return weight, centre - (weight @ mean.mT).squeeze(2), value, gap
