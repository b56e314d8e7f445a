"""Autoencoding: reconstruct the input from its representation by an affine decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pretext, linear_prediction_profile
from interface.theory.embedding import Embedding
from interface.theory.losses import autoencoding_floor, linear_prediction_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, autoencoding_operator


class Reconstruction(NamedTuple):
    x: Tensor  # (..., n, d) input and pseudolabel


@dataclass(frozen=True)
class Autoencoding(Pretext):
    """Squared reconstruction error summed over the d entries, with an affine decoder; squared units of the input.

    Source: Baldi and Hornik, "Neural networks and principal component analysis", Neural Networks 1989: with a linear
    encoder of rank r the floor is the sum of the d - r smallest eigenvalues of the covariance.
    """

    closed_form: ClassVar[bool] = True

    def view(self, examples: Examples, noise: Tensor | None) -> Reconstruction:
        return Reconstruction(examples.x[..., 0, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return Linear(features, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: Reconstruction) -> Tensor:
        assert head is not None
        return (head(embed(views.x)) - views.x).square().sum(-1)

    def profile(self, embed: Embed, fit: Reconstruction, test: Reconstruction) -> list[Bracket]:
        return linear_prediction_profile(embed, (fit.x, test.x), (fit.x, test.x))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        everything = tuple(range(len(moments.covariance)))
        raw = linear_prediction_loss(embedding, moments, everything, head=(head["weight"], head["bias"])) if head else None
        return ExactLoss(raw, linear_prediction_loss(embedding, moments, everything))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return autoencoding_floor(moments.covariance, rank)

    def operator(self, moments: Moments) -> Operator:
        return autoencoding_operator(moments)
