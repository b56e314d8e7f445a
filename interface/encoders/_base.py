"""What an encoder's specification is: a frozen record that builds an `nn.Module`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from torch import nn

from interface.theory.embedding import Embedding
from interface.theory.moments import Moments


class Encoder(ABC):
    """Specification of an encoder; the module itself is made by `build`. Final subclasses are frozen dataclasses."""

    features: int

    @abstractmethod
    def build(self, input_dim: int) -> nn.Module:
        """A module (n, input_dim) -> (n, features); with stacked parameters (r, ...) it gives (r, n, features)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short readable name, the same for equal specifications: "MLP(64,16)"."""

    @property
    def depth(self) -> int:
        """Number of layers after which the representation can be read: `forward(x, depth=l)` gives it for 1 <= l <= depth.

        `depth=None` is the output itself. An encoder that can be read nowhere else has depth 0.
        """
        return 0

    @property
    def closed_form(self) -> bool:
        """Whether `embedding` is known on a centred Gaussian."""
        return False

    def n_params(self, input_dim: int) -> int:
        """Number of trained parameters."""
        return sum(p.numel() for p in self.build(input_dim).parameters())

    def flops(self, input_dim: int) -> int:
        """Floating point operations of one forward pass of one example: two a multiply-add, activations left out."""
        return sum(2 * m.in_features * m.out_features for m in self.build(input_dim).modules() if isinstance(m, nn.Linear))

    def embedding(
        self, state: Mapping[str, np.ndarray], moments: Moments, visible: tuple[int, ...] | None = None
    ) -> Embedding | None:
        """Exact moments of z = encoder(x) for centred Gaussian x; None where there is no closed form.

        Args:
            state: the encoder's parameters by their state_dict keys, with any leading axes.
            moments: of x (d,).
            visible: indices of x that the encoder is given; None is all of them.
        """
        return None


def scattered(weight: np.ndarray, visible: tuple[int, ...] | None, dim: int) -> np.ndarray:
    """Input weights (..., out, len(visible)) as weights on all of x (..., out, dim), 0 on what is not visible."""
    weight = np.asarray(weight, dtype=np.float64)
    if visible is None:
        return weight
    full = np.zeros((*weight.shape[:-1], dim))
    full[..., list(visible)] = weight
    return full
