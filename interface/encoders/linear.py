"""The linear encoder z = W x: no bias, so that every squared loss has a closed form on a centred Gaussian."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from interface.encoders._base import Encoder, scattered
from interface.encoders.layers import Linear
from interface.theory.embedding import Embedding, linear_embedding
from interface.theory.moments import Moments


@dataclass(frozen=True)
class LinearEncoder(Encoder):
    """z = W x with W (features, input_dim).

    Args:
        features: dimension of the representation, >= 1.
    """

    features: int

    def __post_init__(self) -> None:
        if self.features < 1:
            raise ValueError(f"LinearEncoder: features is {self.features!r}; allowed: an integer >= 1")

    @property
    def name(self) -> str:
        return f"LinearEncoder({self.features})"

    @property
    def closed_form(self) -> bool:
        return True

    def build(self, input_dim: int) -> nn.Module:
        return nn.Sequential(OrderedDict(output=Linear(input_dim, self.features, bias=False)))

    def embedding(self, state: Mapping[str, np.ndarray], moments: Moments, visible: tuple[int, ...] | None = None) -> Embedding:
        return linear_embedding(scattered(state["output.weight"], visible, len(moments.covariance)), moments)
