"""Truncated Newton method for penalised softmax problems: conjugate gradients in float32, refined until the gap is proven."""

from __future__ import annotations

import torch
from torch import Tensor

from interface.convex._logistic import class_curvature, class_inverse
from interface.convex._rows import Rows

STEPS = 50  # of Newton's method in float32, at most
ITERATIONS = 300  # of conjugate gradients in one of them, at most
REFINEMENTS = 6  # in float64, at most
FORCING = (1e-8, 0.1)  # squared relative residual of a Newton system, in the preconditioner's norm: between these
EXHAUSTED = 1e-9  # decrement (nats) below which float32 cannot tell better from worse
SETTLED = 1e-3  # decrement (nats) below which a preconditioner serves on
JITTER = 1e-7  # of the mean diagonal: float32 round-off
ARMIJO = 1e-4
BACKTRACKS = 20


def solve_penalised(
    x: Tensor, y: Tensor, ridge: float, tolerance: float, start: tuple[Tensor, Tensor] | None, radius: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(weight, intercept, value, gap) of E problems in which each class occurs; one after the other.

    Args:
        x: (1|E, n, d); y: (1|E, n) labels or (1|E, n, C) probabilities.
        ridge, tolerance, start: as in `fit_softmax`, with the classes of y; radius: the dual radius.
    """
    problems, found, rows = max(len(x), len(y)), [], None
    classes = int(y.max()) + 1 if y.ndim == 2 else y.shape[2]
    for e in range(problems):
        if rows is None or len(x) > 1:
            rows = Rows.of(x[e], ridge)
        problem = rows.labelled(y[e if len(y) > 1 else 0], classes)
        if start is None:
            w = torch.zeros(classes, x.shape[2] + 1, dtype=torch.float64, device=x.device)
            w[:, -1] = problem.moment[:, -1].double().log()
        else:
            weight, intercept = (part[e] for part in start)
            w = torch.cat([weight * rows.scale, (intercept + weight @ rows.mean).unsqueeze(1)], 1).nan_to_num(0.0, 0.0, 0.0)
        w, *proof = newton_cg(problem, w, radius=radius, tolerance=tolerance)
        weight = w[:, :-1] / rows.scale
        found.append((weight, w[:, -1] - weight @ rows.mean, *(w.new_tensor(number) for number in proof)))
    weights, intercepts, values, gaps = (torch.stack(parts) for parts in zip(*found, strict=True))
    return weights, intercepts, values, gaps


def newton_cg(rows: Rows, w: Tensor, *, radius: float, tolerance: float) -> tuple[Tensor, float, float]:
    """(w (C, D), value, gap), in float64; a gap above the tolerance says that the penalty is too weak for this proof.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithm 7.1; the refinement in two precisions as in
        Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., chapter 12.
    """
    # the gap is ||g||² / (2 penalty): where it is closed the gradient has this norm
    enough = (2 * tolerance * float(rows.penalty[0])) ** 0.5
    w, precondition = descend(rows, w.float(), 0.7 * enough, 0.5 * tolerance)
    w = w.double()
    w -= w.mean(0)  # adding one vector to all classes changes no probability, and 0 in sum is least in norm
    best, value, gap = w, float("inf"), float("inf")
    for _ in range(REFINEMENTS):
        w, here, proven, gradient, p = rows.certificate(w, radius, 0.01 * tolerance)
        proven = min(proven, here)  # no loss is below 0
        if not proven < gap:
            break
        best, value, gap = w, here, proven
        if gap <= tolerance:
            break
        precondition = precondition or Preconditioner(rows, p)
        w = w + _step(rows, p, gradient.float(), 0.3 * enough, precondition)[0].double()
    return best, value, gap


class Preconditioner:
    """(B ⊗ S + penalty)^-1, with B the mean curvature over classes and S the second moments of the coordinates.

    B and S are exchanged for one mean curvature b where the penalty is concerned: (B / b)^-1 ⊗ (b S + penalty)^-1.
    """

    def __init__(self, rows: Rows, p: Tensor) -> None:
        between = class_curvature(p)
        size = max(float(between.trace()) / (len(p) - 1), 1e-12)
        self.classes = (class_inverse(between) * size).float()
        system = size * rows.gram
        system.diagonal().add_(rows.penalty)
        jitter, failed = JITTER * float(system.trace()) / len(system), torch.ones(1)
        while failed.any():  # the second moments have float32's round-off
            system.diagonal().add_(jitter)
            factor, failed = torch.linalg.cholesky_ex(system)
            jitter *= 10
        self.factor = factor.float()

    def __call__(self, v: Tensor) -> Tensor:
        return torch.cholesky_solve((self.classes @ v).mT, self.factor).mT


def descend(rows: Rows, w: Tensor, enough: float, nothing: float) -> tuple[Tensor, Preconditioner | None]:
    """(w (C, D) in float32, preconditioner): where the gradient has norm `enough`, the objective is `nothing`, w separates
    the rows, or as near as float32 leads.
    """
    value, p = rows.evaluate(w)
    precondition, decrement = None, float("inf")
    for _ in range(STEPS):
        gradient = rows.gradient(p, w)
        if decrement <= EXHAUSTED or value <= nothing or rows.separated(value, p) or float(gradient[:, :-1].norm()) <= enough:
            break
        if precondition is None or decrement > SETTLED:
            precondition = Preconditioner(rows, p)
        step, decrement = _step(rows, p, gradient, 0.3 * enough, precondition)
        length = 1.0
        for _ in range(BACKTRACKS):
            moved = torch.add(w, step, alpha=length)
            found, q = rows.evaluate(moved)
            if found <= value + 1e-6 * abs(value) - 2 * ARMIJO * length * decrement:  # float32 knows a value up to round-off
                break
            length *= 0.4
        else:
            break
        w, value, p = moved, found, q
    return w, precondition


def _step(rows: Rows, p: Tensor, gradient: Tensor, enough: float, precondition: Preconditioner) -> tuple[Tensor, float]:
    """(Newton step (C, D), decrement) by conjugate gradients, until the residual has norm `enough` or is small."""
    u, alpha, penalty = rows.u, 1 / len(rows.u), rows.penalty.float()
    residual, step = -gradient, torch.zeros_like(gradient)
    direction = z = precondition(residual)
    rz = _dot(residual, z)
    wanted = rz * min(max(rz, FORCING[0]), FORCING[1])
    for _ in range(ITERATIONS):
        tilt = direction @ u.mT
        tilt -= (p * tilt).sum(0)
        image = torch.addmm(penalty * direction, tilt.mul_(p), u, alpha=alpha)
        bend = _dot(direction, image)
        if not bend > 0:
            break
        step.add_(direction, alpha=rz / bend)
        residual.sub_(image, alpha=rz / bend)
        if float(residual.norm()) <= enough:
            break
        z, previous = precondition(residual), rz
        rz = _dot(residual, z)
        if not rz > wanted:
            break
        direction = torch.add(z, direction, alpha=rz / previous)
    return step, -0.5 * _dot(gradient, step)


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())
