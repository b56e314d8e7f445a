"""What tasks share that predict a whole example from the encoding of it or of another view of it, by a decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from interface.core import Bracket
from interface.pretexts._base import Embed, ExactLoss, Pretext, decoder, squared_error
from interface.pretexts._profiles import linear_prediction_profile
from interface.theory.embedding import Embedding
from interface.theory.moments import Moments


class Predicted(NamedTuple):
    x: Tensor  # (..., n, d) what the encoder reads
    target: Tensor  # (..., n, d) what is predicted from its features: the pseudolabel


class Reconstruction(Pretext):
    """Squared error summed over the d entries; squared units of the input. Profiled over affine heads.

    Final subclasses have a field `hidden`, the width of the hidden layer of the decoder that pretraining uses; None is an
    affine decoder, of which the population loss is known from the encoder's moments.
    """

    hidden: int | None

    @property
    def closed_form(self) -> bool:
        return self.hidden is None

    @property
    def profile_class_differs(self) -> bool:
        return self.hidden is not None

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return decoder(features, self.hidden, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: Predicted) -> Tensor:
        assert head is not None
        return squared_error(head(embed(views.x)), views.target)

    def profile(self, embed: Embed, fit: Predicted, test: Predicted) -> list[Bracket]:
        return linear_prediction_profile(embed, (fit.x, test.x), (fit.target, test.target))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        raw = self.population_loss(embedding, moments, (head["weight"], head["bias"])) if head else None
        return ExactLoss(raw, self.population_loss(embedding, moments, None))

    @abstractmethod
    def population_loss(self, embedding: Embedding, moments: Moments, head: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        """Population losses (...,) of an affine head (weight, bias), or of the best one."""
