"""Rotation: by how many quarter turns was the image rotated?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from interface.pretexts._base import square_side
from interface.pretexts._transformations import Transformation


@dataclass(frozen=True)
class Rotation(Transformation):
    """Cross-entropy of the number of quarter turns of a square image, nats per example; ln 4 is chance.

    Images that look the same after a turn keep the floor above 0: ln 2 where a half turn changes nothing. Profiled over
    affine softmax heads.

    Source: Gidaris, Singh, Komodakis, "Unsupervised representation learning by predicting image rotations", ICLR 2018,
    arXiv:1803.07728; deviation: one turn an example, not all four.
    """

    @property
    def n_orders(self) -> int:
        return 4

    def orders(self, input_dim: int) -> Tensor:
        side = square_side("Rotation", input_dim)
        pixels = torch.arange(input_dim).view(side, side)
        return torch.stack([torch.rot90(pixels, turns).flatten() for turns in range(4)])
