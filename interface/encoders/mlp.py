"""The one-hidden-layer ReLU encoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from interface.encoders._base import Encoder, scattered
from interface.encoders.layers import Linear
from interface.theory.embedding import Embedding, relu_embedding
from interface.theory.moments import Moments


@dataclass(frozen=True)
class MLP(Encoder):
    """z = V relu(W x + b) + c; without biases its moments under a centred Gaussian are arc-cosine kernels.

    Args:
        width: hidden units, >= 1.
        features: dimension of the representation, >= 1.
        bias: whether the two layers have biases. Without them squared losses are exact in a Gaussian world.
    """

    width: int
    features: int
    bias: bool = True

    def __post_init__(self) -> None:
        if self.width < 1 or self.features < 1:
            raise ValueError(f"MLP: width, features are {self.width!r}, {self.features!r}; allowed: integers >= 1")

    @property
    def name(self) -> str:
        return f"MLP({self.width},{self.features})"

    @property
    def closed_form(self) -> bool:
        return not self.bias

    def build(self, input_dim: int) -> nn.Module:
        return nn.Sequential(
            OrderedDict(
                hidden=Linear(input_dim, self.width, bias=self.bias),
                relu=nn.ReLU(),
                output=Linear(self.width, self.features, bias=self.bias),
            )
        )

    def embedding(
        self, state: Mapping[str, np.ndarray], moments: Moments, visible: tuple[int, ...] | None = None
    ) -> Embedding | None:
        if not self.closed_form:
            return None
        hidden = scattered(state["hidden.weight"], visible, len(moments.covariance))
        return relu_embedding(hidden, np.asarray(state["output.weight"], dtype=np.float64), moments)
