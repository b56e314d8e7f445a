"""The pre-norm transformer over tokens or patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from interface.core import short_name
from interface.encoders._base import Encoder, positive_integers
from interface.encoders.layers import Linear, Positions
from interface.encoders.network import Network
from interface.encoders.tokens import check_input, first_layer, n_positions

WIDENING = 4  # hidden units of a block's perceptron, in widths
LOOP_FROM = 64  # width from which products fill a core, so that stacking runs gains nothing


def _norm(h: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the last axis; scale and shift are left to the affine map that follows."""
    return F.layer_norm(h, h.shape[-1:])


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = Linear(width, 3 * width, bias=False)
        self.mixed = Linear(width, width)
        self.hidden = Linear(width, WIDENING * width)
        self.relu = nn.ReLU(inplace=True)
        self.output = Linear(WIDENING * width, width)

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.mixed(self._attention(self.qkv(_norm(h))))
        return h + self.output(self.relu(self.hidden(_norm(h))))

    def _attention(self, qkv: Tensor) -> Tensor:
        """(..., n, t, 3 width) -> (..., n, t, width).

        Written out: at these lengths it is faster than the fused kernel, and it can be differentiated twice.
        """
        time, width = qkv.shape[-2], qkv.shape[-1] // 3
        split = qkv.reshape(-1, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = split.reshape(3, -1, time, width // self.heads)
        hidden = torch.full((time, time), -torch.inf, dtype=q.dtype, device=q.device).triu(1) if self.causal else q.new_zeros(1, 1)
        weight = torch.softmax(torch.baddbmm(hidden, q, k.mT, alpha=q.shape[-1] ** -0.5), dim=-1)
        mixed = torch.bmm(weight, v).view(-1, self.heads, time, width // self.heads)
        return mixed.transpose(1, 2).reshape(*qkv.shape[:-1], width)


class _TransformerNetwork(Network):
    def __init__(self, length: int, encoder: Transformer) -> None:
        super().__init__("last" if encoder.causal else "mean")
        self.tokens = first_layer(encoder.vocabulary, encoder.patch, encoder.width)
        self.positions = Positions(length, encoder.width)
        self.blocks = nn.ModuleList(_Block(encoder.width, encoder.heads, encoder.causal) for _ in range(encoder.layers))
        self.output = Linear(encoder.width, encoder.features)

    def layers(self, x: Tensor) -> Iterator[Tensor]:
        h = self.positions(self.tokens(x))
        for block in self.blocks:
            h = block(h)
            yield h

    def last(self, h: Tensor) -> Tensor:
        return _norm(h)


@dataclass(frozen=True)
class Transformer(Encoder):
    """Pre-norm blocks of attention and a ReLU perceptron, learned positions, a final norm, an affine output.

    Read at the last position if causal, as the mean over positions otherwise. `depth=l` reads the stream after block l.

    Args:
        width: of the residual stream, a multiple of `heads`.
        layers: blocks, >= 1.
        heads: of attention, >= 1.
        features: dimension of the representation, >= 1.
        causal: whether a position sees only itself and those before it.
        vocabulary: number V of tokens; the id V is the mask token. None for real input.
        patch: entries of the input that make one position, for real input.
        length: positions that the table of positions holds; None is those of the input that it is built for.

    Raises:
        ValueError: if sizes do not fit, or not exactly one of `vocabulary` and `patch` is given.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; norms before each part as Xiong et al., "On layer
    normalization in the transformer architecture", ICML 2020; ReLU, no dropout; norms without scale and shift
    and attention without biases, which the affine maps around them express but for a bias of the queries.
    """

    width: int
    layers: int
    heads: int
    features: int
    causal: bool = False
    vocabulary: int | None = None
    patch: int | None = None
    length: int | None = None

    readouts: ClassVar[tuple[str, ...]] = ("last", "mean", "all")

    def __post_init__(self) -> None:
        positive_integers("Transformer", width=self.width, layers=self.layers, heads=self.heads, features=self.features)
        positive_integers("Transformer", length=self.length)
        check_input("Transformer", self.vocabulary, self.patch)
        if self.width % self.heads:
            raise ValueError(f"Transformer: width is {self.width}; allowed: a multiple of heads = {self.heads}")

    @property
    def name(self) -> str:
        return short_name(self)

    @property
    def depth(self) -> int:
        return self.layers

    @property
    def stacking_pays(self) -> bool:
        return self.width < LOOP_FROM

    def scaled(self, factor: int) -> Self:
        return replace(self, width=factor * self.width)

    def build(self, input_dim: int) -> Network:
        needed = n_positions("Transformer", input_dim, self.patch)
        if self.length is not None and self.length < needed:
            raise ValueError(f"Transformer: length is {self.length}; allowed: at least the {needed} positions of the input")
        return _TransformerNetwork(self.length or needed, self)
