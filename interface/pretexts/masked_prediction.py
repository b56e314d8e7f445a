"""Masked prediction: hide a random part of the input, predict it from the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import Embed, Pretext, decoder, square_side, squared_error
from interface.pretexts._profiles import held_out_bracket, symmetric_pinv, whitening

RATE = 0.5


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
        rate: probability that an entry (a patch) is hidden, in (0, 1). It is evaluated at 1/2.
        hidden: width of the hidden layer of the decoder that pretraining uses; None is an affine decoder.
        patch: side of the square patches of an image that are hidden as a whole; None hides entries one by one.
    """

    rate: float = RATE
    hidden: int | None = None
    patch: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"MaskedPrediction: rate is {self.rate!r}; allowed: a number in (0, 1)")
        if self.patch is not None and self.patch < 1:
            raise ValueError(f"MaskedPrediction: patch is {self.patch!r}; allowed: None or an integer >= 1")

    @property
    def canonical(self) -> Self:
        return replace(self, rate=RATE)

    @property
    def profile_class_differs(self) -> bool:
        return self.hidden is not None

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        if self.patch is None:
            return (torch.rand(n, input_dim, generator=generator) < self.rate).float()
        side = square_side("MaskedPrediction", input_dim, self.patch)
        patches = torch.rand(n, side // self.patch, side // self.patch, generator=generator) < self.rate
        return patches.repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2).flatten(1).float()

    def view(self, examples: Examples, noise: Tensor | None) -> Masked:
        assert noise is not None
        x = examples.x[..., 0, :]
        return Masked(x * (1 - noise), noise, x)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return decoder(features, self.hidden, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: Masked) -> Tensor:
        assert head is not None
        return squared_error(head(embed(views.visible)), views.target, views.hidden) / self.rate

    def profile(self, embed: Embed, fit: Masked, test: Masked) -> list[Bracket]:
        """Affine heads: one weighted least-squares problem for every entry, over the examples in which it is hidden.

        In whitened coordinates these problems are well conditioned, so that their moments can be summed in float32.
        """
        z_fit, z_test = embed(fit.visible), embed(test.visible)
        mean, white = whitening(z_fit)
        low, high = [], []
        for here, there in zip((z_fit - mean) @ white, (z_test - mean) @ white, strict=True):  # a run at a time
            a, b = (torch.cat([z, torch.ones_like(z[:, :1])], dim=1) for z in (here, there))
            weight = self._heads(a, fit)
            low.append(self._losses(a, weight, fit))
            high.append(self._losses(b, weight, test))
        return held_out_bracket(torch.stack(low), torch.stack(high), np.zeros(len(low)))

    def _heads(self, a: Tensor, fit: Masked) -> Tensor:
        """Least-squares heads (d, k) of features with a constant (n, k)."""
        rows, columns = torch.triu_indices(a.shape[1], a.shape[1])
        moments = (fit.hidden.mT @ (a[:, rows] * a[:, columns])).double()
        normal = moments.new_zeros(len(moments), a.shape[1], a.shape[1])
        normal[:, rows, columns] = normal[:, columns, rows] = moments
        right = ((fit.hidden * fit.target).mT @ a).double()
        factor, failed = torch.linalg.cholesky_ex(normal)
        if not failed.any():
            return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1).float()
        return (symmetric_pinv(normal) @ right.unsqueeze(-1)).squeeze(-1).float()  # directions without variance were dropped

    def _losses(self, a: Tensor, weight: Tensor, views: Masked) -> Tensor:
        return squared_error(a @ weight.mT, views.target, views.hidden) / RATE
