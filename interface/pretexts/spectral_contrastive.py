"""Spectral contrastive learning: two views of one example agree, those of different examples are orthogonal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pairs, Pretext
from interface.pretexts._profiles import canonical_variates, centred_pairs, held_out_bracket
from interface.theory.embedding import Embedding
from interface.theory.losses import spectral_contrastive_floor, spectral_contrastive_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, spectral_operator


@dataclass(frozen=True)
class SpectralContrastive(Pretext):
    """-2 E f(x)'f(x+) + E (f(x)'f(x-))^2 of centred features; unitless, at most 0 at the best scale.

    Features are centred by their batch mean, so that the constant function earns nothing. The profile is over all
    linear maps of the features.

    Source: HaoChen, Wei, Gaidon, Ma, "Provable guarantees for self-supervised deep learning with spectral contrastive
    loss", NeurIPS 2021, arXiv:2106.04156, eq. (6); deviation: the centring.
    """

    n_views: ClassVar[int] = 2
    unit: ClassVar[str] = "unitless"

    @property
    def closed_form(self) -> bool:
        return True

    def view(self, examples: Examples, noise: Tensor | None) -> Pairs:
        return Pairs(examples.x[..., 0, :], examples.x[..., 1, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module | None:
        return None

    def loss(self, embed: Embed, head: Embed | None, views: Pairs) -> Tensor:
        a, b, _ = centred_pairs(embed(views.first), embed(views.second))
        return _pair_losses(a, b)

    def profile(self, embed: Embed, fit: Pairs, test: Pairs) -> list[Bracket]:
        a, b, mean = centred_pairs(embed(fit.first).double(), embed(fit.second).double())
        variates, agreement = canonical_variates(a, b)
        scale = variates * agreement.clamp_min(0).sqrt().unsqueeze(-2)  # minimises the loss over all linear maps
        low = _pair_losses(a @ scale, b @ scale)
        high = _pair_losses(*((embed(x).double() - mean) @ scale for x in test))
        return held_out_bracket(low, high, np.zeros(len(low)))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        return ExactLoss(spectral_contrastive_loss(embedding), spectral_contrastive_loss(embedding, profiled=True))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return spectral_contrastive_floor(moments, rank, linear=linear)

    def operator(self, moments: Moments) -> Operator:
        return spectral_operator(moments)


def _pair_losses(a: Tensor, b: Tensor) -> Tensor:
    """(..., n) losses whose mean is the U-statistic over pairs; the (features x features) form needs no n x n matrix."""
    n = a.shape[-2]
    agreement = (a * b).sum(-1)
    against_all = ((a @ (b.mT @ b)) * a).sum(-1)  # sum over j of (a_i'b_j)^2
    return -2 * agreement + (against_all - agreement.square()) / (n - 1)
