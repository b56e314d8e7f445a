"""The linear encoder z = W x: no bias, so that every squared loss has a closed form on a centred Gaussian."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from torch import Tensor

from interface.encoders._base import Encoder, positive_integers, scattered
from interface.encoders.layers import Linear
from interface.encoders.network import Network
from interface.theory.embedding import Embedding, linear_embedding
from interface.theory.moments import Moments


class _LinearNetwork(Network):
    def __init__(self, input_dim: int, features: int) -> None:
        super().__init__()
        self.output = Linear(input_dim, features, bias=False)

    def layers(self, x: Tensor) -> Iterator[Tensor]:
        return iter(())


@dataclass(frozen=True)
class LinearEncoder(Encoder):
    """z = W x with W (features, input_dim).

    Args:
        features: dimension of the representation, >= 1.
    """

    features: int

    def __post_init__(self) -> None:
        positive_integers("LinearEncoder", features=self.features)

    @property
    def name(self) -> str:
        return f"LinearEncoder({self.features})"

    @property
    def closed_form(self) -> bool:
        return True

    def scaled(self, factor: int) -> Self:
        """Its only size is the number of features."""
        return replace(self, features=factor * self.features)

    def build(self, input_dim: int) -> Network:
        return _LinearNetwork(input_dim, self.features)

    def embedding(self, state: Mapping[str, np.ndarray], moments: Moments, visible: tuple[int, ...] | None = None) -> Embedding:
        return linear_embedding(scattered(state["output.weight"], visible, len(moments.covariance)), moments)
