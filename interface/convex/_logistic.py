"""The softmax problem in whitened coordinates: its objective, and Newton systems solved to float64 accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DENSE = 1_500  # unknowns up to which the Hessian is formed, as a preconditioner in float32
PER_CLASS = 64  # coordinates for each class up to which the Hessian is formed from pairs of both
ITERATIONS = {True: 20, False: 500}  # of conjugate gradients, with and without that Hessian
JITTER = 1e-7  # of the mean diagonal: float32 round-off of a Hessian
PAIRS = 8_000_000  # products held at a time while a Hessian is formed
LEAST = 1e-12  # curvature, on coordinates of variance 1, of a class that no example doubts
LEAST_CLASS = 1e-6  # curvature of a class, part of the mean
ATTEMPTS = 20


@dataclass(frozen=True)
class Softmax:
    """E problems: mean over n of log-sum-exp(w x) minus <w, moment>, plus half <penalty, w w>; w is (E, C, D).

    Labels enter by their moment only, so that hard and soft ones are the same problem.

    Args:
        x: (1|E, D, n) float64 coordinates.
        moment: (E, C, D) mean over examples of target times x.
        penalty: (E, 1, D) weights of the squared penalty; 0 is none.
        kept: (E, D) coordinates that are not identically 0.
    """

    x: Tensor
    moment: Tensor
    penalty: Tensor
    kept: Tensor

    def __getitem__(self, index: Tensor) -> Softmax:
        return Softmax(self.x[index] if len(self.x) > 1 else self.x, self.moment[index], self.penalty[index], self.kept[index])

    def linear_and_penalty(self, w: Tensor) -> Tensor:
        """The part (E,) of the objective that needs no example."""
        return (w * (0.5 * self.penalty * w - self.moment)).sum((1, 2))

    def value(self, w: Tensor) -> Tensor:
        """Objective (E,) at w (E, C, D)."""
        return torch.logsumexp(product(w, self.x), 1).mean(1) + self.linear_and_penalty(w)

    def residual(self, q: Tensor) -> Tensor:
        """Mean of q x' minus moment, (E, C, D), for probabilities q (E, C, n)."""
        return product(q, self.x.mT) / self.x.shape[2] - self.moment


def product(a: Tensor, b: Tensor) -> Tensor:
    """a (E, i, j) times b (1|E, j, k): one product where b is shared."""
    return a @ b if len(b) == len(a) else (a.flatten(0, 1) @ b[0]).unflatten(0, a.shape[:2])


def centred(p: Tensor, u: Tensor) -> Tensor:
    """u (E, C, n) minus its mean over classes under p, in place: the tilt of p that keeps it summing to 1."""
    u -= (p * u).sum(1, keepdim=True)
    return u


def class_curvature(p: Tensor) -> Tensor:
    """(..., C, C) mean over n of diag(p) - p p', for probabilities (..., C, n)."""
    return torch.diag_embed(p.mean(-1)) - p @ p.mT / p.shape[-1]


def class_inverse(curvature: Tensor) -> Tensor:
    """Pseudo-inverse (..., C, C), in float64, of a class curvature on what sums to 0 over classes."""
    c = curvature.double()
    size = c.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(LEAST)[..., None, None]
    inverse = torch.linalg.inv(c + size * (torch.eye(c.shape[-1]).to(c) * LEAST_CLASS + 1 / c.shape[-1]))
    return inverse - inverse.mean(-2, keepdim=True)  # maps sums of 0 to sums of 0


def newton_step(problem: Softmax, p: Tensor, residual: Tensor, factor: Tensor, *, accuracy: float) -> Tensor:
    """V (E, C, D) with Hessian(p) V = -residual to `accuracy` in norm, by preconditioned conjugate gradients.

    All vectors sum to 0 over classes, so that the direction which adds a constant to all logits never enters.

    Args:
        problem: the E problems.
        p: (E, C, n) probabilities that define the Hessian.
        residual: (E, C, D), summing to 0 over classes.
        factor: from `preconditioner`, at this or a near p.
        accuracy: each problem is finished at this norm of its own residual.
    """
    n, residual, out = problem.x.shape[2], -residual, torch.zeros_like(residual)
    index = torch.arange(len(out), device=out.device)
    step, direction = torch.zeros_like(residual), torch.zeros_like(residual)
    previous = torch.ones_like(residual[:, :1, :1])
    for _ in range(ITERATIONS[factor.shape[1] == factor.shape[2]]):
        running = residual.flatten(1).norm(dim=1) > accuracy
        if running.sum() <= 0.6 * len(index):  # a copy of the rest is cheaper than further work on finished problems
            out[index] = step
            index, step, direction, previous, residual = (t[running] for t in (index, step, direction, previous, residual))
            problem, p, factor, running = problem[running], p[running], factor[running], running[running]
        if not len(index):
            return out
        z = _precondition(factor, residual)
        rz = (residual * z).sum((1, 2), keepdim=True)
        direction = z + rz / previous * direction
        image = product(centred(p, product(direction, problem.x)).mul_(p), problem.x.mT) / n + problem.penalty * direction
        curvature = (direction * image).sum((1, 2), keepdim=True)
        usable = running[:, None, None] & (curvature > 0)  # a finished problem takes steps of length 0
        length = torch.where(usable, rz / curvature, torch.zeros_like(rz))
        step = step + length * direction
        residual = residual - length * image
        previous = torch.where(rz > 0, rz, torch.ones_like(rz))
    out[index] = step
    return out


def is_wide(classes: int, width: int) -> bool:
    """Whether a Hessian is too large to be formed, or has too few classes for the way in which it is formed here."""
    return (classes - 1) * width > DENSE or width > PER_CLASS * (classes - 1)


def preconditioner(problem: Softmax, p: Tensor) -> Tensor:
    """Approximate inverse Hessian at p: a Cholesky factor (E, K D, K D), K = C - 1, or (E, C, C + D) if that is too wide.

    The latter are the inverse of the mean curvature over classes, and one factor for each coordinate: coordinates are white.

    The Hessian is block diagonal minus products p_a p_b x_i x_j, formed from each pair of classes and each pair of coordinates
    once: a quarter of the multiplications of a Gram matrix of the K D products p_a x_i.
    """
    if is_wide(p.shape[1], problem.x.shape[1]):
        curvature = class_curvature(p)
        size = (curvature.diagonal(dim1=1, dim2=2).sum(1) / (p.shape[1] - 1)).clamp_min(LEAST).view(-1, 1, 1)
        return torch.cat([size * class_inverse(curvature), (1 / (size + problem.penalty)).expand(-1, p.shape[1], -1)], 2)
    moments, means = _pair_moments(problem.x.float(), p[:, :-1].float())
    n, d, k = problem.x.shape[2], problem.x.shape[1], p.shape[1] - 1
    classes, coordinates = _pair_index(k, p.device), _pair_index(d, p.device)
    blocks = -moments[:, classes][..., coordinates]  # (E, K, K, D, D)
    blocks.diagonal(dim1=1, dim2=2).add_(means[..., coordinates].permute(0, 2, 3, 1))
    hessian = blocks.permute(0, 1, 3, 2, 4).reshape(-1, k * d, k * d).double() / n
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    diagonal += (problem.penalty + (~problem.kept).unsqueeze(1)).expand(-1, k, -1).flatten(1)
    jitter = JITTER * diagonal.mean(1, keepdim=True) + LEAST
    for _ in range(ATTEMPTS):
        diagonal += jitter
        factor, failed = torch.linalg.cholesky_ex(hessian)
        if not failed.any():
            return factor
        jitter = torch.where(failed.bool().unsqueeze(1), 30 * jitter, torch.zeros_like(jitter))
    raise FloatingPointError("the Hessian of a softmax problem is not finite")


def _precondition(factor: Tensor, v: Tensor) -> Tensor:
    if factor.shape[1] != factor.shape[2]:
        z = (factor[..., : v.shape[1]] @ v) * factor[..., v.shape[1] :]
    else:
        z = torch.zeros_like(v)
        z[:, :-1] = torch.cholesky_solve(v[:, :-1].flatten(1).unsqueeze(-1), factor).view_as(v[:, :-1])
    return z - z.mean(1, keepdim=True)


def _pair_moments(x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over examples of p_a p_b x_i x_j (E, class pairs, coordinate pairs) and of p_a x_i x_j (E, K, coordinate pairs)."""
    (d, n), (problems, k) = x.shape[1:], p.shape[:2]
    size_x, size_p = d * (d + 1) // 2, k * (k + 1) // 2
    block = min(n, max(512, PAIRS // (size_x + size_p)))
    moments, means = x.new_zeros(problems, size_p, size_x), x.new_zeros(problems, k, size_x)
    for start in range(0, n, block):
        here = slice(start, min(start + block, n))
        pairs_x, pairs_p = x.new_empty(size_x, here.stop - start), x.new_empty(size_p, here.stop - start)
        for e in range(problems):
            _pair_products(x[e if len(x) > 1 else 0, :, here], pairs_x)
            _pair_products(p[e, :, here], pairs_p)
            moments[e].addmm_(pairs_p, pairs_x.mT)
            means[e].addmm_(p[e, :, here], pairs_x.mT)
    return moments, means


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
