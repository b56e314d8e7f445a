"""Denoising: predict the clean input from a corrupted one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from interface.populations import Examples
from interface.pretexts._reconstruction import Predicted, Reconstruction
from interface.theory.embedding import Embedding
from interface.theory.losses import corrupted, denoising_floor, denoising_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, denoising_operator


@dataclass(frozen=True)
class Denoising(Reconstruction):
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

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, input_dim, generator=generator)

    def view(self, examples: Examples, noise: Tensor | None) -> Predicted:
        assert noise is not None
        x = examples.x[..., 0, :]
        return Predicted(x + self.noise_scale * noise, x)

    def input_moments(self, moments: Moments) -> Moments:
        return corrupted(moments, self.noise_scale)

    def population_loss(self, embedding: Embedding, moments: Moments, head: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        return denoising_loss(embedding, moments, self.noise_scale, head=head)

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return denoising_floor(moments.covariance, self.noise_scale, rank)

    def operator(self, moments: Moments) -> Operator:
        return denoising_operator(moments, self.noise_scale)
