"""Cross-view prediction: predict another view of the same example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pairs, Pretext, decoder
from interface.pretexts._profiles import linear_prediction_profile
from interface.theory.embedding import Embedding
from interface.theory.losses import cross_view_floor, cross_view_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, cross_view_operator


@dataclass(frozen=True)
class CrossView(Pretext):
    """Squared error of predicting one view from the encoding of another, summed over the d entries; squared units of the input.

    What the views do not share cannot be predicted and is left out of the features that reach the floor. Profiled over
    affine heads.

    Source: Tosh, Krishnamurthy, Hsu, "Contrastive learning, multi-view redundancy, and linear models", ALT 2021,
    arXiv:2008.10150 (two redundant views); reconstruction of the one from the other as Lee, Lei, Saunshi, Zhuo, NeurIPS 2021.

    Args:
        hidden: width of the hidden layer of the decoder that pretraining uses; None is an affine decoder.
    """

    hidden: int | None = None

    n_views: ClassVar[int] = 2

    @property
    def closed_form(self) -> bool:
        return self.hidden is None

    @property
    def profile_class_differs(self) -> bool:
        return self.hidden is not None

    def view(self, examples: Examples, noise: Tensor | None) -> Pairs:
        return Pairs(examples.x[..., 0, :], examples.x[..., 1, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return decoder(features, self.hidden, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: Pairs) -> Tensor:
        assert head is not None
        return (head(embed(views.first)) - views.second).square().sum(-1)

    def profile(self, embed: Embed, fit: Pairs, test: Pairs) -> list[Bracket]:
        return linear_prediction_profile(embed, (fit.first, test.first), (fit.second, test.second))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        raw = cross_view_loss(embedding, moments, head=(head["weight"], head["bias"])) if head else None
        return ExactLoss(raw, cross_view_loss(embedding, moments))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return cross_view_floor(moments, rank)

    def operator(self, moments: Moments) -> Operator:
        return cross_view_operator(moments)
