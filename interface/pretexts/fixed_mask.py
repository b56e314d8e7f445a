"""Prediction of a fixed hidden block of the input from the visible block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pretext, squared_error
from interface.pretexts._profiles import linear_prediction_profile
from interface.theory.embedding import Embedding
from interface.theory.losses import fixed_mask_floor, linear_prediction_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, fixed_mask_operator


class Blocks(NamedTuple):
    visible: Tensor  # (..., n, a) what the encoder sees
    hidden: Tensor  # (..., n, b) the pseudolabel


@dataclass(frozen=True)
class FixedMask(Pretext):
    """Squared error of predicting the odd entries of the input from the even ones, summed; squared units of the input.

    The encoder sees the even entries only, in pretraining and in adaptation, so that both read one input law.

    Source: Lee, Lei, Saunshi, Zhuo, "Predicting what you already know helps", NeurIPS 2021, arXiv:2008.01064, section 3.
    """

    @property
    def closed_form(self) -> bool:
        return True

    def visible(self, input_dim: int) -> tuple[int, ...]:
        return tuple(range(0, input_dim, 2))

    def hidden(self, input_dim: int) -> tuple[int, ...]:
        """Indices of the block that is predicted."""
        return tuple(range(1, input_dim, 2))

    def view(self, examples: Examples, noise: Tensor | None) -> Blocks:
        x = examples.x[..., 0, :]
        return Blocks(x[..., 0::2].contiguous(), x[..., 1::2])  # products would copy every second column each time

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return Linear(features, len(self.hidden(input_dim)))

    def loss(self, embed: Embed, head: Embed | None, views: Blocks) -> Tensor:
        assert head is not None
        return squared_error(head(embed(views.visible)), views.hidden)

    def profile(self, embed: Embed, fit: Blocks, test: Blocks) -> list[Bracket]:
        return linear_prediction_profile(embed, (fit.visible, test.visible), (fit.hidden, test.hidden))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        hidden = self.hidden(len(moments.covariance))
        raw = linear_prediction_loss(embedding, moments, hidden, head=(head["weight"], head["bias"])) if head else None
        return ExactLoss(raw, linear_prediction_loss(embedding, moments, hidden))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        d = len(moments.covariance)
        return fixed_mask_floor(moments, self.visible(d), self.hidden(d), rank)

    def operator(self, moments: Moments) -> Operator:
        d = len(moments.covariance)
        return fixed_mask_operator(moments, self.visible(d), self.hidden(d))
