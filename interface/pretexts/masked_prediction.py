"""Masked prediction: hide a random part of the input, predict it from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, Pretext, held_out_bracket, symmetric_pinv, with_constant


class Masked(NamedTuple):
    visible: Tensor  # (..., n, d) input with the hidden entries set to 0
    hidden: Tensor  # (n, d) 1 where the entry is hidden
    target: Tensor  # (..., n, d) the input itself: the pseudolabel


@dataclass(frozen=True)
class MaskedPrediction(Pretext):
    """Squared error on the hidden entries, summed and divided by `rate`: an estimate of the sum over all entries.

    Pseudolabels are the hidden entries themselves (He et al., "Masked autoencoders are scalable vision learners",
    CVPR 2022, arXiv:2111.06377, section 3; deviations: the encoder sees zeros instead of a mask token, entries are
    hidden independently).

    Args:
        rate: probability that an entry is hidden, in (0, 1).
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"MaskedPrediction: rate is {self.rate!r}; allowed: a number in (0, 1)")

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        return (torch.rand(n, input_dim, generator=generator) < self.rate).float()

    def view(self, examples: Examples, noise: Tensor | None) -> Masked:
        assert noise is not None
        x = examples.x[..., 0, :]
        return Masked(x * (1 - noise), noise, x)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return Linear(features, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: Masked) -> Tensor:
        assert head is not None
        error = (head(embed(views.visible)) - views.target) * views.hidden
        return error.square().sum(-1) / self.rate

    def profile(self, embed: Embed, fit: Masked, test: Masked) -> list[Bracket]:
        """Affine heads: one weighted least-squares problem for every entry, over the examples in which it is hidden."""
        z_fit, z_test = embed(fit.visible), embed(test.visible)
        low, high = [], []
        for here, there in zip(z_fit, z_test, strict=True):  # one run at a time: d systems of (features + 1) unknowns each
            a, b = with_constant(here), with_constant(there)
            pairs = (a.unsqueeze(2) * a.unsqueeze(1)).flatten(1)
            normal = (fit.hidden.double().mT @ pairs).unflatten(1, (a.shape[1], a.shape[1]))
            right = (fit.hidden * fit.target).double().mT @ a
            weight = (symmetric_pinv(normal) @ right.unsqueeze(-1)).squeeze(-1)  # (d, features + 1)
            low.append(((a @ weight.mT - fit.target) * fit.hidden).square().sum(-1) / self.rate)
            high.append(((b @ weight.mT - test.target) * test.hidden).square().sum(-1) / self.rate)
        return held_out_bracket(torch.stack(low), torch.stack(high), np.zeros(len(low)))
