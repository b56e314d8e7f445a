"""Cross-view prediction: predict another view of the same example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from interface.populations import Examples
from interface.pretexts._reconstruction import Predicted, Reconstruction
from interface.theory.embedding import Embedding
from interface.theory.losses import cross_view_floor, cross_view_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, cross_view_operator


@dataclass(frozen=True)
class CrossView(Reconstruction):
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

    def view(self, examples: Examples, noise: Tensor | None) -> Predicted:
        return Predicted(examples.x[..., 0, :], examples.x[..., 1, :])

    def population_loss(self, embedding: Embedding, moments: Moments, head: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        return cross_view_loss(embedding, moments, head=head)

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float:
        return cross_view_floor(moments, rank)

    def operator(self, moments: Moments) -> Operator:
        return cross_view_operator(moments)
