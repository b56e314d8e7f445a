"""Autoencoding: reconstruct the input from its representation by an affine decoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from interface.populations import Examples
from interface.pretexts._reconstruction import Predicted, Reconstruction
from interface.theory.embedding import Embedding
from interface.theory.losses import autoencoding_floor, linear_prediction_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, autoencoding_operator


@dataclass(frozen=True)
class Autoencoding(Reconstruction):
    """Squared reconstruction error summed over the d entries; squared units of the input. Profiled over affine decoders.

    Args:
        hidden: width of the hidden layer of the decoder that pretraining uses; None is an affine decoder, which an MLP
            encoder of little curvature follows slowly, but for which the loss in a Gaussian world is a closed form.

    Source: Baldi and Hornik, "Neural networks and principal component analysis", Neural Networks 1989: with a linear
    encoder of rank r the floor is the sum of the d - r smallest eigenvalues of the covariance.
    """

    hidden: int | None = None

    def view(self, examples: Examples, noise: Tensor | None) -> Predicted:
        x = examples.x[..., 0, :]
        return Predicted(x, x)

    def population_loss(self, embedding: Embedding, moments: Moments, head: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        return linear_prediction_loss(embedding, moments, head=head)

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return autoencoding_floor(moments.covariance, rank)

    def operator(self, moments: Moments) -> Operator:
        return autoencoding_operator(moments)
