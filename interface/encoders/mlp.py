"""The ReLU encoder of one hidden layer or more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from torch import Tensor, nn

from interface.encoders._base import Encoder, positive_integers, scattered
from interface.encoders.layers import Linear
from interface.encoders.network import Network
from interface.theory.embedding import Embedding, relu_embedding
from interface.theory.moments import Moments


class _Perceptron(Network):
    """Modules "hidden", "relu", then "hidden2", "relu2" and so on, then "output"."""

    def __init__(self, input_dim: int, encoder: MLP) -> None:
        super().__init__()
        self.numbers = ["", *(str(number) for number in range(2, encoder.layers + 1))]
        for number in self.numbers:
            self.add_module(f"hidden{number}", Linear(input_dim if not number else encoder.width, encoder.width, bias=encoder.bias))
            self.add_module(f"relu{number}", nn.ReLU())
        self.output = Linear(encoder.width, encoder.features, bias=encoder.bias)

    def layers(self, x: Tensor) -> Iterator[Tensor]:
        for number in self.numbers:
            x = getattr(self, f"relu{number}")(getattr(self, f"hidden{number}")(x))
            yield x


@dataclass(frozen=True)
class MLP(Encoder):
    """z = V relu(W x + b) + c; without biases its moments under a centred Gaussian are arc-cosine kernels.

    Args:
        width: units of a hidden layer, >= 1.
        features: dimension of the representation, >= 1.
        bias: whether the layers have biases. One hidden layer without them makes squared losses exact in a Gaussian world.
        layers: hidden layers, >= 1; `depth=l` reads the l-th after its ReLU.
    """

    width: int
    features: int
    bias: bool = True
    layers: int = 1

    def __post_init__(self) -> None:
        positive_integers("MLP", width=self.width, features=self.features, layers=self.layers)

    @property
    def name(self) -> str:
        return f"MLP({self.width},{self.features}" + (f",layers={self.layers})" if self.layers > 1 else ")")

    @property
    def depth(self) -> int:
        return self.layers

    @property
    def closed_form(self) -> bool:
        return not self.bias and self.layers == 1

    def scaled(self, factor: int) -> Self:
        return replace(self, width=factor * self.width)

    def build(self, input_dim: int) -> Network:
        return _Perceptron(input_dim, self)

    def embedding(
        self, state: Mapping[str, np.ndarray], moments: Moments, visible: tuple[int, ...] | None = None
    ) -> Embedding | None:
        if not self.closed_form:
            return None
        hidden = scattered(state["hidden.weight"], visible, len(moments.covariance))
        return relu_embedding(hidden, np.asarray(state["output.weight"], dtype=np.float64), moments)
