"""Denoising: predict the clean input from a corrupted one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pretext, decoder
from interface.pretexts._profiles import linear_prediction_profile
from interface.theory.embedding import Embedding
from interface.theory.losses import corrupted, denoising_floor, denoising_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, denoising_operator


class Corrupted(NamedTuple):
    x: Tensor  # (..., n, d) the input with noise, which the encoder reads
    target: Tensor  # (..., n, d) the input without it: the pseudolabel


@dataclass(frozen=True)
class Denoising(Pretext):
    """Squared error of predicting x from x + noise, summed over the d entries; squared units of x. Profiled over affine heads.

    The encoder is given clean inputs after pretraining, so that the interface band does not hold for it: in a Gaussian world
    only an upper side does (`interface.theory.clean_probe`).

    Source: Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising autoencoders",
    ICML 2008; deviation: Gaussian noise, as in their later work.

    Args:
        noise_scale: standard deviation of the noise of each entry, > 0. It defines the task: losses at two levels have two floors.
        hidden: width of the hidden layer of the decoder that pretraining uses; None is an affine decoder.
    """

    noise_scale: float = 1.0
    hidden: int | None = None

    def __post_init__(self) -> None:
        if not self.noise_scale > 0:
            raise ValueError(f"Denoising: noise_scale is {self.noise_scale!r}; allowed: a number > 0")

    @property
    def closed_form(self) -> bool:
        return self.hidden is None

    @property
    def profile_class_differs(self) -> bool:
        return self.hidden is not None

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, input_dim, generator=generator)

    def view(self, examples: Examples, noise: Tensor | None) -> Corrupted:
        assert noise is not None
        x = examples.x[..., 0, :]
        return Corrupted(x + self.noise_scale * noise, x)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return decoder(features, self.hidden, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: Corrupted) -> Tensor:
        assert head is not None
        return (head(embed(views.x)) - views.target).square().sum(-1)

    def profile(self, embed: Embed, fit: Corrupted, test: Corrupted) -> list[Bracket]:
        return linear_prediction_profile(embed, (fit.x, test.x), (fit.target, test.target))

    def input_moments(self, moments: Moments) -> Moments:
        return corrupted(moments, self.noise_scale)

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        raw = denoising_loss(embedding, moments, self.noise_scale, head=(head["weight"], head["bias"])) if head else None
        return ExactLoss(raw, denoising_loss(embedding, moments, self.noise_scale))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return denoising_floor(moments.covariance, self.noise_scale, rank)

    def operator(self, moments: Moments) -> Operator:
        return denoising_operator(moments, self.noise_scale)
