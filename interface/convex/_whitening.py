"""Whitening inside a probe: coordinates in which the features have identity covariance and an intercept of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

RANK = 1e-10  # eigenvalues of the correlation matrix below this part of the largest are null directions
RANK_PENALISED = 1e-15  # of the covariance: a penalty alone bounds a probe, only round-off is dropped


@dataclass(frozen=True)
class Whitened:
    """Features x (d,) as coordinates u = A (x - mean), with a 1 appended for the intercept.

    Args:
        x: (E, d + 1, n) float64 coordinates, one row each; row d is 1, and rows of dropped directions are 0.
        map: (E, d, d) A. Without `standardise` A A' is diagonal, with `metric` on its diagonal.
        inverse: (E, d, d) pseudo-inverse of A.
        mean: (E, d) of the features.
        kept: (E, d + 1) bool: coordinates that are not dropped; the intercept always is kept.
        metric: (E, d) 1/variance of the kept directions, 0 elsewhere; dropped: (E,) summed variance of the others.
    """

    x: Tensor
    map: Tensor
    inverse: Tensor
    mean: Tensor
    kept: Tensor
    metric: Tensor
    dropped: Tensor

    def outward(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (E, C, d + 1) on the coordinates as (weight (E, C, d), intercept (E, C)) on the features."""
        weight = w[..., :-1] @ self.map
        return weight, w[..., -1] - (weight @ self.mean.unsqueeze(-1)).squeeze(-1)

    def inward(self, weight: Tensor, intercept: Tensor) -> Tensor:
        """The inverse of `outward` on the kept directions."""
        offset = intercept + (weight @ self.mean.unsqueeze(-1)).squeeze(-1)
        return torch.cat([weight @ self.inverse, offset.unsqueeze(-1)], -1)


def whiten(features: Tensor, *, standardise: bool = True) -> Whitened:
    """Whitening coordinates of features (E, n, d), by the eigenbasis of their covariance in float64.

    Args:
        features: (E, n, d), any real floating dtype.
        standardise: divide by standard deviations first, so that a column's unit does not decide whether it is null.
            A penalised probe needs this off: its penalty is diagonal only in the eigenbasis of the covariance itself.
    """
    x, mean, round_off = centre(features)
    n = x.shape[1]
    axes = principal_axes(x.mT @ x / n, mean, round_off, standardise=standardise)
    out = torch.empty(x.shape[0], x.shape[2] + 1, n, dtype=x.dtype, device=x.device)
    out[:, :-1] = axes.map @ x.mT
    out[:, -1] = 1
    return replace(axes, x=out)


def centre(features: Tensor) -> tuple[Tensor, Tensor, float]:
    """(features less their mean (E, n, d), mean (E, d), relative round-off of a column), in float64."""
    x = features.double()
    mean = x.mean(1, keepdim=True)
    x = x - mean
    again = x.mean(1, keepdim=True)  # the first mean of large values has round-off of its own
    x -= again
    return x, (mean + again).squeeze(1), 4 * torch.finfo(torch.float64 if features.dtype == torch.float64 else torch.float32).eps


def principal_axes(covariance: Tensor, mean: Tensor, round_off: float, *, standardise: bool) -> Whitened:
    """Whitening without its coordinates x, from covariance (E, d, d) and mean (E, d); see `whiten`.

    Args:
        round_off: columns whose deviation is no more than this part of their mean are constant.
    """
    deviation = covariance.diagonal(dim1=1, dim2=2).sqrt()
    constant = deviation <= round_off * mean.abs()
    scale = deviation.where(~constant, torch.ones_like(deviation)) if standardise else torch.ones_like(deviation)
    inner = (~constant).double() / scale
    variance, basis = torch.linalg.eigh(covariance * inner.unsqueeze(1) * inner.unsqueeze(2))
    largest = variance.amax(1, keepdim=True).clamp_min(torch.finfo(mean.dtype).tiny)
    kept = variance > (RANK if standardise else RANK_PENALISED) * largest
    root = variance.where(kept, torch.ones_like(variance)).sqrt()
    return Whitened(
        x=mean.new_empty(0),
        map=(basis * (kept / root).unsqueeze(1)).mT * inner.unsqueeze(1),
        inverse=(basis * (root * kept).unsqueeze(1)) * (scale * ~constant).unsqueeze(-1),
        mean=mean,
        kept=torch.cat([kept, torch.ones_like(kept[:, :1])], 1),
        metric=kept / root.square(),
        dropped=(variance.clamp_min(0) * ~kept).sum(1),
    )
