"""Truncated Newton method for penalised softmax problems: conjugate gradients in float32, refined until the gap is proven."""

from __future__ import annotations

import torch
from torch import Tensor

from interface.convex._rows import Rows, bending, between, between_inverse
from interface.threads import one_thread

STEPS = 50  # of Newton's method in float32, at most
ITERATIONS = 300  # of conjugate gradients in one of them, at most
REFINEMENTS = 6  # in float64, at most
# A Newton system is solved until the square of its relative residual, in the preconditioner's norm, is below its decrement, or
# below a factor times a power of what the last step left of the gradient, but in any case until it is below the last number. One
# row of coefficients makes iterations cheap beside steps, and systems are solved better.
FORCING_OF_ONE, FORCING_OF_SEVERAL = (0.8, 4, 0.1), (0.5, 2, 0.5)
FINEST = 1e-8  # such square that float32 can reach
EXHAUSTED = 1e-9  # decrement (nats) below which float32 cannot tell better from worse
SETTLED = 1e-3  # decrement (nats) below which a preconditioner serves on
SAMPLE = 4  # rows a coordinate and class from which the first second moments are formed: all would cost more than they save
SIMILAR = 4.0  # ratio of two curvatures up to which a factor serves both
OFTEN = 128  # coordinates a row of coefficients up to which products with an inverse save more time than it takes to form
NOISE = 2e-3  # part of the mean variance added to each, times the number of unknowns a row: the moments of few rows are noisy
JITTER = 1e-7  # of the mean diagonal: float32 round-off
SMALL = 2_000_000  # multiplications of a pass over the rows, up to which two threads wait longer than they work
ARMIJO = 1e-4
BACKTRACKS = 20
FLATTER = 1.1  # times the decrease of a quadratic with the curvature at w: from there on a longer step is tried


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
    per_row = 1 if classes == 2 else classes
    with one_thread(per_row * x.shape[1] * (x.shape[2] + 1) < SMALL):
        for e in range(problems):
            if rows is None or len(x) > 1:
                rows = Rows.of(x[e], ridge, sample=SAMPLE * per_row * (x.shape[2] + 1))
            problem = rows.labelled(y[e if len(y) > 1 else 0], classes)
            w = torch.zeros(len(problem.moment), x.shape[2] + 1, dtype=torch.float64, device=x.device)
            share = problem.moment[:, -1].double()
            if start is not None:
                weight, intercept = (part[e] if classes > 2 else part[e].diff(dim=0) for part in start)
                w = torch.cat([weight * rows.scale, (intercept + weight @ rows.mean).unsqueeze(1)], 1).nan_to_num(0.0, 0.0, 0.0)
            else:
                w[:, -1] = share.logit() if classes == 2 else share.log()
            w, *proof = newton_cg(problem, w, radius=radius, tolerance=tolerance)
            if classes == 2:
                w = torch.cat([-0.5 * w, 0.5 * w])
            weight = w[:, :-1] / rows.scale
            found.append((weight, w[:, -1] - weight @ rows.mean, *(w.new_tensor(number) for number in proof)))
    weights, intercepts, values, gaps = (torch.stack(parts) for parts in zip(*found, strict=True))
    return weights, intercepts, values, gaps


def newton_cg(rows: Rows, w: Tensor, *, radius: float, tolerance: float) -> tuple[Tensor, float, float]:
    """(w (K, D), value, gap), in float64; a gap above the tolerance says that the penalty is too weak for this proof.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithm 7.1; the refinement in two precisions as in
        Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., chapter 12.
    """
    # the gap is ||g||² / (2 penalty): where it is closed the gradient has this norm
    enough = (2 * tolerance * float(rows.penalty[0])) ** 0.5
    w, precondition = descend(rows, w.float(), 0.7 * enough, 0.5 * tolerance)
    w = w.double()
    if len(w) > 1:
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
        precondition = precondition or Preconditioner(rows, p, rows.gram)
        w = w + _step(rows, p, gradient.float(), 0.3 * enough, precondition)[0].double()
    return best, value, gap


class Preconditioner:
    """(B ⊗ S + penalty)^-1, with B the mean curvature between classes and S the second moments of the coordinates.

    B and S are exchanged for one mean curvature b where the penalty is concerned: (B / b)^-1 ⊗ (b S + penalty)^-1. With one row of
    coefficients and S weighted by each row's curvature it is the inverse Hessian.

    Args:
        rows: the problem; p: (K, n) probabilities; moments: S, (D, D).
        before: one of the same problem, whose factor serves on if S is the same and b similar.
    """

    classes: Tensor | None  # 1 where there is one row of coefficients
    factor: Tensor
    inverse: Tensor | None

    def __init__(self, rows: Rows, p: Tensor, moments: Tensor, before: Preconditioner | None = None) -> None:
        curvature = between(p)
        size = max(float(curvature.trace()) / max(len(p) - 1, 1), 1e-12)
        self.classes = (between_inverse(curvature) * size).float() if len(p) > 1 else None
        self.moments, self.size = moments, size
        if before is not None and before.moments is moments and 1 / SIMILAR < size / before.size < SIMILAR:
            self.factor, self.inverse, self.size = before.factor, before.inverse, before.size
            return
        system = (size * moments).float()
        noise = NOISE * len(p) * len(moments) / len(rows.u) * system.diagonal()[:-1].mean()
        system.diagonal().add_(rows.penalty + noise * (rows.penalty > 0))
        jitter, failed = JITTER * float(system.trace()) / len(system), torch.ones(1)
        while failed.any():  # the second moments have float32's round-off
            system.diagonal().add_(jitter)
            self.factor, failed = torch.linalg.cholesky_ex(system)
            jitter *= 10
        self.inverse = torch.cholesky_inverse(self.factor) if len(system) <= OFTEN * len(p) else None

    def __call__(self, v: Tensor) -> Tensor:
        v = v if self.classes is None else self.classes @ v
        return torch.cholesky_solve(v.mT, self.factor).mT if self.inverse is None else v @ self.inverse


def descend(rows: Rows, w: Tensor, enough: float, nothing: float) -> tuple[Tensor, Preconditioner | None]:
    """(w (K, D) in float32, preconditioner): where the gradient has norm `enough`, the objective is `nothing`, w separates
    the rows, or as near as float32 leads.
    """
    value, p = rows.evaluate(w)
    precondition, decrement, moments, iterations, steep = None, float("inf"), rows.gram, 0, float("inf")
    # iterations of which new second moments save more than they cost; weighted, those of one row of coefficients are its Hessian
    dear = w.shape[1] / 6 if len(w) == 1 else 4 * w.shape[1] / len(w)
    for _ in range(STEPS):
        gradient = rows.gradient(p, w)
        if decrement <= EXHAUSTED or value <= nothing or rows.separated(value, p) or _norm(gradient[:, :-1]) <= enough:
            break
        if iterations > dear:
            moments = rows.weighted_gram(p)
        if precondition is None or decrement > SETTLED or iterations > dear:
            precondition = Preconditioner(rows, p, moments, precondition)
        steeper, steep = steep, _norm(gradient)
        step, decrement, iterations = _step(rows, p, gradient, 0.3 * enough, precondition, left=steep / steeper)
        moved = _along(rows, w, step, value, decrement)
        if moved is None:
            break
        w, value, p = moved
    return w, precondition


def _along(rows: Rows, w: Tensor, step: Tensor, value: float, decrement: float) -> tuple[Tensor, float, Tensor] | None:
    """(point, objective, probabilities) down a step from w: shortened until it helps, or lengthened while that helps more."""
    length = 1.0
    for _ in range(BACKTRACKS):
        found, p = rows.evaluate(torch.add(w, step, alpha=length))
        if found <= value + 1e-6 * abs(value) - 2 * ARMIJO * length * decrement:  # float32 knows a value up to round-off
            break
        length *= 0.4
    else:
        return None
    # near separation the curvature falls along the step, and the minimum is further on than it looked from w
    while length >= 1 and value - found > FLATTER * length * decrement:
        further, q = rows.evaluate(torch.add(w, step, alpha=2 * length))
        if not further < found:
            break
        length, found, p = 2 * length, further, q
    return torch.add(w, step, alpha=length), found, p


def _step(
    rows: Rows, p: Tensor, gradient: Tensor, enough: float, precondition: Preconditioner, left: float = 0.0
) -> tuple[Tensor, float, int]:
    """(Newton step (K, D), decrement, iterations) by conjugate gradients, until the residual has norm `enough` or is small.

    `left` is what the last step left of the gradient: no system is solved better than steps are good (Eisenstat and Walker, SIAM
    Journal on Scientific Computing 17, 1996).
    """
    u, alpha, penalty, bend = rows.u, 1 / rows.u.shape[0], rows.penalty.float(), bending(p)
    residual, step = -gradient, torch.zeros_like(gradient)
    direction = z = precondition(residual)
    rz = _dot(residual, z)
    factor, power, most = FORCING_OF_ONE if len(gradient) == 1 else FORCING_OF_SEVERAL
    wanted = rz * min(max(rz, factor * left**power, FINEST), most)
    iterations = 0
    while iterations < ITERATIONS:
        iterations += 1
        image = torch.addmm(penalty * direction, bend(direction @ u.mT), u, alpha=alpha)
        curvature = _dot(direction, image)
        if not curvature > 0:
            break
        step.add_(direction, alpha=rz / curvature)
        residual.sub_(image, alpha=rz / curvature)
        if _norm(residual) <= enough:
            break
        z, previous = precondition(residual), rz
        rz = _dot(residual, z)
        if not rz > wanted:
            break
        direction = torch.add(z, direction, alpha=rz / previous)
    return step, -0.5 * _dot(gradient, step), iterations


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


def _norm(a: Tensor) -> float:
    return float(torch.linalg.vector_norm(a))
