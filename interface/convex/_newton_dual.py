"""Softmax problems in whitened coordinates: float32 to begin with, then Newton's method with a dual bound in each round."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from interface.convex import _newton_cg as newton_cg
from interface.convex._descent import descend
from interface.convex._dual import FAR, newton_round
from interface.convex._logistic import Softmax, is_wide
from interface.convex._rows import Rows
from interface.convex._whitening import Whitened, whiten

ROUNDS = 30  # of Newton's method at most
DOUBLINGS = 30  # of a w that separates the rows, at most
CACHED = 20_000_000  # bytes that the problems of one Newton round may take, to stay near the processor


def solve_whitened(
    x: Tensor, y: Tensor, tolerance: float, start: tuple[Tensor, Tensor] | None, radius: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(weight, intercept, value, gap, vacuous) of E problems without penalty in which each class occurs.

    Args:
        x: (1|E, n, d); y: (1|E, n) labels or (1|E, n, C) probabilities.
        tolerance, start: as in `fit_softmax`, with the classes of y; radius: the dual radius.
    """
    problems, white = max(len(x), len(y)), whiten(x)
    targets = torch.nn.functional.one_hot(y).double() if y.ndim == 2 else y
    floor = -torch.special.xlogy(targets, targets).sum(2).mean(1).expand(problems)
    moment = (targets.mT @ white.x.mT / x.shape[1]).expand(problems, -1, -1)
    # the most frequent class last: it is the reference class of the Hessian
    order = moment[..., -1].argsort(1).unsqueeze(2).expand_as(moment)
    free = torch.zeros_like(moment[:, :1])
    problem = Softmax(white.x, moment.gather(1, order), free, white.kept.expand(problems, -1))

    w = torch.zeros_like(moment) if start is None else white.inward(*start).nan_to_num(0.0, 0.0, 0.0)
    value, lower, separated = torch.full_like(floor, torch.inf), floor.clone(), torch.zeros_like(floor, dtype=torch.bool)
    if is_wide(*w.shape[1:]):
        near = _near(white, y, targets, w, 0.5 * tolerance)
        w = near.gather(1, order)
        value = problem.value(w)
        separated = _separated(white.x, y, near, value)
        for _ in range(DOUBLINGS):
            grow = separated & (value > tolerance)
            if not grow.any():
                break
            w = torch.where(grow[:, None, None], 2 * w, w)
            value = problem.value(w)
    else:
        w = descend(problem, w.gather(1, order)).double()
    at = ((value - floor > tolerance) & ~separated).nonzero().flatten()
    if len(at):
        rest = problem if len(at) == problems else problem[at]
        w[at], value[at], lower[at] = _minimised(rest, w[at], floor[at], tolerance, radius)
    w = torch.empty_like(w).scatter(1, order, w)
    norm = w.flatten(1).norm(dim=1)
    far = (norm > radius) | ((norm > FAR * radius) & (value - lower > tolerance))
    vacuous = far | _separated(white.x, y, w, value)
    value = value.maximum(floor)  # a loss of 0 comes out as some -1e-14
    gap = (value - torch.where(vacuous, floor, lower)).clamp_min(0)
    return *white.outward(w), value, gap, vacuous


def _near(white: Whitened, y: Tensor, targets: Tensor, w: Tensor, nothing: float) -> Tensor:
    """w (E, C, D) near the minima of wide problems, by truncated Newton steps in float32, or where the loss is `nothing`."""
    identity, zero, out = torch.eye(w.shape[2]).to(w), torch.zeros_like(w[0, 0]), torch.empty_like(w)
    for e in range(len(w)):
        if e == 0 or len(white.x) > 1:
            u = white.x[e].float().mT
        at = e if len(y) > 1 else 0
        labels = y[at] if y.ndim == 2 else y[at].mT
        moment = targets[at].mT.float() @ u / len(u)
        rows = Rows(white.x[0], zero[:-1], 1.0, u, identity, zero, labels, moment)
        out[e] = newton_cg.descend(rows, w[e].float(), 0.0, nothing)[0]
    return out


def _minimised(problem: Softmax, w: Tensor, floor: Tensor, tolerance: float, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """(w, value, lower): rounds of Newton's method in float64 for those whose gap is open."""
    w = w - w.mean(1, keepdim=True)  # adding one vector to all classes changes no probability, and 0 in sum is least in norm
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


def _separated(x: Tensor, y: Tensor, w: Tensor, value: Tensor) -> Tensor:
    """(E,) whether every example's own class has probability above a half: then scaling w sends the loss to 0."""
    answer = torch.zeros_like(value, dtype=torch.bool)
    if y.ndim == 2:
        for e in (value < log(2)).nonzero().flatten().tolist():
            z = w[e] @ x[e if len(x) > 1 else 0]
            loss = torch.logsumexp(z, 0) - z.gather(0, y[e if len(y) > 1 else 0].unsqueeze(0)).squeeze(0)
            answer[e] = loss.max() < log(2)
    return answer
