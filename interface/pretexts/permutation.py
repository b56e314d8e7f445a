"""Permutation: in which of some known orders do the pieces of the input come?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from interface.pretexts._base import square_side
from interface.pretexts._transformations import Transformation
from interface.seeds import generator


@dataclass(frozen=True)
class Permutation(Transformation):
    """Cross-entropy of the order in which the pieces of the input come, nats per example; ln n is chance.

    The n orders are fixed and distinct, the first being that of the input. Profiled over affine softmax heads.

    Source: Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw puzzles", ECCV 2016,
    arXiv:1603.09246; deviations: the orders are drawn at random rather than far apart, and one encoder sees all pieces.

    Args:
        pieces: equal pieces that the input is cut into, >= 2; of an image a square number, in rows and columns.
        n: orders that occur, from 2 to `pieces` factorial.
        image: whether the input is a square image (a jigsaw); otherwise pieces are runs of entries, or of tokens.
    """

    pieces: int = 4
    n: int = 8
    image: bool = False

    def __post_init__(self) -> None:
        if self.pieces < 2 or (self.image and math.isqrt(self.pieces) ** 2 != self.pieces):
            allowed = "a square number >= 4" if self.image else "an integer >= 2"
            raise ValueError(f"Permutation: pieces is {self.pieces!r}; allowed: {allowed}")
        if not 2 <= self.n <= math.factorial(self.pieces):
            raise ValueError(f"Permutation: n is {self.n!r}; allowed: from 2 to {math.factorial(self.pieces)}, all orders")

    @property
    def n_orders(self) -> int:
        return self.n

    def orders(self, input_dim: int) -> Tensor:
        pieces = self._pieces(input_dim)
        table = torch.empty(self.n, input_dim, dtype=torch.int64)
        for row, order in zip(table, _distinct_orders(self.pieces, self.n), strict=True):
            row[pieces.flatten()] = pieces[list(order)].flatten()
        return table

    def _pieces(self, input_dim: int) -> Tensor:
        """Entries (pieces, size) of each piece."""
        entries = torch.arange(input_dim)
        if self.image:
            along = math.isqrt(self.pieces)
            side = square_side("Permutation", input_dim, along)
            return entries.view(along, side // along, along, side // along).transpose(1, 2).reshape(self.pieces, -1)
        if input_dim % self.pieces:
            raise ValueError(f"Permutation: the input has {input_dim} entries; allowed: a multiple of its {self.pieces} pieces")
        return entries.view(self.pieces, -1)


@cache
def _distinct_orders(pieces: int, n: int) -> tuple[tuple[int, ...], ...]:
    """The identity and n - 1 other orders of `pieces`, the same in every process."""
    stream = generator("orders", pieces, n)
    found = {tuple(range(pieces)): None}
    while len(found) < n:
        found[tuple(torch.randperm(pieces, generator=stream).tolist())] = None
    return tuple(found)
