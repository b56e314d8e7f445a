"""Autoencoding: reconstruct the input from its representation by an affine decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pretext, decoder
from interface.pretexts._profiles import linear_prediction_profile
from interface.theory.embedding import Embedding
from interface.theory.losses import autoencoding_floor, linear_prediction_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, autoencoding_operator


class Reconstruction(NamedTuple):
    x: Tensor  # (..., n, d) input and pseudolabel


@dataclass(frozen=True)
class Autoencoding(Pretext):
    """Squared reconstruction error summed over the d entries; squared units of the input. Profiled over affine decoders.

    Args:
        hidden: width of the hidden layer of the decoder that pretraining uses; None is an affine decoder, which an MLP
            encoder of little curvature follows slowly, but for which the loss in a Gaussian world is a closed form.

    Source: Baldi and Hornik, "Neural networks and principal component analysis", Neural Networks 1989: with a linear
    encoder of rank r the floor is the sum of the d - r smallest eigenvalues of the covariance.
    """

    hidden: int | None = None

    @property
    def closed_form(self) -> bool:
        return self.hidden is None

    @property
    def profile_class_differs(self) -> bool:
        return self.hidden is not None

    def view(self, examples: Examples, noise: Tensor | None) -> Reconstruction:
        return Reconstruction(examples.x[..., 0, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return decoder(features, self.hidden, input_dim)

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
