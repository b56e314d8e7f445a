"""The gated recurrent encoder over tokens or patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from interface.core import short_name
from interface.encoders._base import Encoder, positive_integers
from interface.encoders.layers import Linear
from interface.encoders.network import Network
from interface.encoders.tokens import check_input, first_layer, n_positions


class _Cell(nn.Module):
    """One layer of gated recurrent units: inputs (..., n, t, width) -> states (..., n, t, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = Linear(width, 3 * width)
        self.recurrent = Linear(width, 3 * width)

    def forward(self, inputs: Tensor) -> Tensor:
        state = torch.zeros_like(inputs[..., 0, :])
        states = []
        for given in self.input(inputs).unbind(-2):
            reset, update, candidate = given.chunk(3, -1)
            from_reset, from_update, from_state = self.recurrent(state).chunk(3, -1)
            fresh = torch.tanh(candidate + torch.sigmoid(reset + from_reset) * from_state)
            state = torch.lerp(fresh, state, torch.sigmoid(update + from_update))
            states.append(state)
        return torch.stack(states, dim=-2)


class _RecurrentNetwork(Network):
    def __init__(self, encoder: Recurrent) -> None:
        super().__init__("last")
        self.tokens = first_layer(encoder.vocabulary, encoder.patch, encoder.width)
        self.cells = nn.ModuleList(_Cell(encoder.width) for _ in range(encoder.layers))
        self.output = Linear(encoder.width, encoder.features)

    def layers(self, x: Tensor) -> Iterator[Tensor]:
        h = self.tokens(x)
        for cell in self.cells:
            h = cell(h)
            yield h


@dataclass(frozen=True)
class Recurrent(Encoder):
    """Gated recurrent units, read at the last position. `depth=l` reads the states of layer l.

    Args:
        width: units of a layer, >= 1.
        features: dimension of the representation, >= 1.
        vocabulary: number V of tokens; the id V is the mask token. None for real input.
        patch: entries of the input that make one position, for real input.
        layers: recurrent layers, >= 1.

    Raises:
        ValueError: if a size is not positive, or not exactly one of `vocabulary` and `patch` is given.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014; the reset gate acts after
    the product with the state, as in cuDNN.
    """

    width: int
    features: int
    vocabulary: int | None = None
    patch: int | None = None
    layers: int = 1

    causal: ClassVar[bool] = True  # type: ignore[misc]
    readouts: ClassVar[tuple[str, ...]] = ("last", "mean", "all")

    def __post_init__(self) -> None:
        positive_integers("Recurrent", width=self.width, features=self.features, layers=self.layers)
        check_input("Recurrent", self.vocabulary, self.patch)

    @property
    def name(self) -> str:
        return short_name(self)

    @property
    def depth(self) -> int:
        return self.layers

    def scaled(self, factor: int) -> Self:
        return replace(self, width=factor * self.width)

    def build(self, input_dim: int) -> Network:
        n_positions("Recurrent", input_dim, self.patch)  # refuses an input that patches do not fill
        return _RecurrentNetwork(self)
