"""Barlow Twins: features of two views agree coordinate by coordinate, and coordinates are uncorrelated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pairs, Pretext, decoder
from interface.pretexts._profiles import canonical_variates, centred_pairs, held_out_bracket
from interface.theory.embedding import Embedding
from interface.theory.moments import Moments
from interface.theory.redundancy import barlow_twins_floor, barlow_twins_loss, energies

CANONICAL = 1.0  # weight in the evaluation


@dataclass(frozen=True)
class BarlowTwins(Pretext):
    """sum_i (1 - C_ii)^2 + weight sum_{i != j} C_ij^2 of the correlations C between features of two views; unitless.

    Trained on the correlations of the batch, whose loss every example of it is given. Evaluated at weight 1, where it is
    |1 - C|^2: each example then has a loss whose mean is the U-statistic over pairs, free of the batch's size. Profiled over all
    linear maps of the features to equally many coordinates.

    Source: Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: self-supervised learning via redundancy reduction", ICML 2021,
    arXiv:2103.03230, eq. (1) and (2); deviation: both views share the mean and deviation that standardise a coordinate. With
    variances pulled to 1 instead, as in VICReg, and equal weights it would be spectral contrast plus a constant (Garrido et
    al., ICLR 2023, arXiv:2206.02574).

    Args:
        weight: of the correlations between different coordinates in training, > 0. In a batch of 128 they are mostly noise, so that
            more than some .05 teaches little else.
        projection: dimension of a trained projection (features -> features -> projection, ReLU) whose output is compared; None
            compares the features, for which the loss in a Gaussian world is a closed form.
    """

    weight: float = 0.05
    projection: int | None = None

    n_views: ClassVar[int] = 2
    unit: ClassVar[str] = "unitless"

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"BarlowTwins: weight is {self.weight!r}; allowed: a number > 0")

    @property
    def canonical(self) -> Self:
        return replace(self, weight=CANONICAL)

    @property
    def closed_form(self) -> bool:
        return self.projection is None

    @property
    def profile_class_differs(self) -> bool:
        return self.projection is not None

    def view(self, examples: Examples, noise: Tensor | None) -> Pairs:
        return Pairs(examples.x[..., 0, :], examples.x[..., 1, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module | None:
        return None if self.projection is None else decoder(features, features, self.projection)

    def loss(self, embed: Embed, head: Embed | None, views: Pairs) -> Tensor:
        a, b = _standardised(embed, head, views)
        squares = (a.mT @ b / a.shape[-2]).square()
        agreement = (a * b).mean(-2)
        apart = squares.sum((-2, -1)) - agreement.square().sum(-1)
        loss = (1 - agreement).square().sum(-1) + self.weight * apart
        return loss.unsqueeze(-1).expand(a.shape[:-1])

    def evaluate(self, embed: Embed, head: Embed | None, views: Pairs) -> Tensor:
        return _pair_losses(*_standardised(embed, head, views))

    def profile(self, embed: Embed, fit: Pairs, test: Pairs) -> list[Bracket]:
        a, b, mean = centred_pairs(embed(fit.first).double(), embed(fit.second).double())
        variates, correlations = canonical_variates(a, b)
        scale = torch.from_numpy(np.sqrt(energies(correlations.cpu().numpy()))).to(a.device)
        best = variates * scale.unsqueeze(-2)  # up to a rotation, which makes variances 1 and leaves the loss alone
        low = _pair_losses(a @ best, b @ best)
        high = _pair_losses(*((embed(x).double() - mean) @ best for x in test))
        return held_out_bracket(low, high, np.zeros(len(low)))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        return ExactLoss(barlow_twins_loss(embedding, weight=CANONICAL), barlow_twins_loss(embedding, profiled=True))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return barlow_twins_floor(moments, rank, linear=linear)


def _standardised(embed: Embed, head: Embed | None, views: Pairs) -> tuple[Tensor, Tensor]:
    """Features (..., n, k) of both views with mean 0 and variance 1 over both; a coordinate that does not vary is 0."""
    first, second = (embed(x) if head is None else head(embed(x)) for x in views)
    a, b, _ = centred_pairs(first, second)
    variance = 0.5 * (a.square() + b.square()).mean(-2, keepdim=True)
    scale = variance.clamp_min(torch.finfo(variance.dtype).tiny).rsqrt()
    return a * scale, b * scale


def _pair_losses(a: Tensor, b: Tensor) -> Tensor:
    """(..., n) losses of centred features whose mean is the U-statistic of |1 - E ab'|^2 over pairs of examples."""
    n, k = a.shape[-2:]
    own = a.square().sum(-1) * b.square().sum(-1)
    against_all = ((a @ (a.mT @ b)) * b).sum(-1)  # sum over j of (a_i'a_j)(b_i'b_j)
    return k - 2 * (a * b).sum(-1) + (against_all - own) / (n - 1)
