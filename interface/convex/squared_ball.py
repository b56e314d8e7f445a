"""Least squares in a norm ball, by the secular equation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from interface.convex._base import as_features, part_of, real_targets, shared_problems
from interface.convex.squared import SquaredFit

RANK = 1e-15  # eigenvalues of the second moments below this part of the largest are round-off
ROUNDS = 100  # of Newton's method on the multiplier: it rises to the root monotonically


def fit_squared_ball(features: Any, targets: Any, *, radius: float, tolerance: float = 1e-6) -> SquaredFit:
    """Smallest mean squared error (squared units) of w x + b with ||w||² + b² <= radius² for each output, for E problems.

    The norm is that of the coefficients on the features as they are given, so that their scale matters.

    Args:
        features: (E, n, d), or (n, d) shared by all problems; tensors or arrays of any real type.
        targets: (n,) or (n, k), shared, or (E, n, k).
        radius: of the ball, > 0.
        tolerance: gap, in squared units of the target, above which a problem is called not converged.

    Returns:
        SquaredFit; its gap is that of Frank and Wolfe, <gradient, w> + radius ||gradient||, and needs no assumption. A ball is
        never vacuous, so that its status is "ok" or "not_converged".

    Raises:
        ValueError: if shapes disagree, features or targets are not finite, or radius or tolerance is not > 0.

    Source: the secular equation ||(S + mu)^-1 c|| = radius, by Newton's method on the reciprocal norm (Moré and Sorensen, SIAM
        J. Sci. Stat. Comput. 4, 1983; Golub and von Matt, Numerische Mathematik 59, 1991).

    Example:
        >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
        >>> fit = fit_squared_ball(x, x @ torch.tensor([1.0, 0.0, -2.0]).double(), radius=1.0)
        >>> fit.status, round(float(fit.weight.square().sum() + fit.intercept.square().sum()), 9)
        (['ok'], 1.0)
    """
    x = as_features(features)
    y = real_targets(targets, x.shape[1]).to(x.device)
    if not 0 < radius < float("inf") or not tolerance > 0:
        raise ValueError(f"radius, tolerance are {radius!r}, {tolerance!r}; allowed: finite numbers > 0")
    problems = shared_problems(features=x, targets=y)
    chunks = torch.arange(problems, device=x.device).split(1)
    parts = [_fit(part_of(x, at)[0].double(), part_of(y, at)[0], float(radius)) for at in chunks]
    w, value, gap = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
    status = ["ok" if proven else "not_converged" for proven in (gap <= tolerance).all(1).tolist()]
    return SquaredFit(w[..., :-1], w[..., -1], value, gap, status)


def _fit(x: Tensor, y: Tensor, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """(coefficients (k, d + 1), value (k,), gap (k,)) of one problem: x (n, d), y (n, k)."""
    n = len(x)
    x = torch.cat([x, x.new_ones(n, 1)], 1)
    variance, basis = torch.linalg.eigh(x.mT @ x / n)
    kept = variance > RANK * variance[-1]
    variance = variance.where(kept, torch.ones_like(variance))
    c = (y.mT @ x / n @ basis) * kept
    # ||w(mu)|| is at least ||c|| / (largest + mu): the multiplier is no less than
    multiplier = (c.norm(dim=1, keepdim=True) / radius - variance.max()).clamp_min(0)
    for _ in range(ROUNDS):
        w = c / (variance + multiplier)
        norm = w.norm(dim=1, keepdim=True)
        slope = (w.square() / (variance + multiplier)).sum(1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        rise = (norm.square() / slope * (norm / radius - 1)).clamp_min(0)
        multiplier = multiplier + rise
        if (rise <= 1e-15 * multiplier).all():
            break
    w = (c / (variance + multiplier)) @ basis.mT
    w = w * (radius / w.norm(dim=1, keepdim=True).clamp_min(radius))
    residual = w @ x.mT - y.mT
    gradient = 2 * residual @ x / n
    return w, residual.square().mean(1), ((gradient * w).sum(1) + radius * gradient.norm(dim=1)).clamp_min(0)
