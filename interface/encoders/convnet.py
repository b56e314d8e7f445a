"""The convolutional encoder of square images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from torch import Tensor, nn
from torch.nn import functional as F

from interface.core import short_name
from interface.encoders._base import Encoder, positive_integers
from interface.encoders.layers import Linear, over_runs
from interface.encoders.network import Network

KERNEL, STRIDE = 3, 2


class _ConvNetwork(Network):
    """A convolution is one `Linear` over all patches; images are (..., n, side, side, channels)."""

    def __init__(self, colours: int, side: int, encoder: ConvNet) -> None:
        super().__init__("mean")
        self.shape = (colours, side, side)
        before = colours
        self.convolutions = nn.ModuleList()
        for channels in encoder.channels:
            self.convolutions.extend([Linear(KERNEL**2 * before, channels), nn.ReLU()])
            before = channels
        self.output = Linear(before, encoder.features)

    def layers(self, x: Tensor) -> Iterator[Tensor]:
        if self.output.weight.ndim == 3:
            x = over_runs(x, self.output.weight)
        h = x.unflatten(-1, self.shape).movedim(-3, -1)
        for index in range(0, len(self.convolutions), 2):
            h = self.convolutions[index + 1](self.convolutions[index](_patches(h)))
            yield h.flatten(-3, -2)


def _patches(h: Tensor) -> Tensor:
    """(..., side, side, channels) -> (..., places, places, 9 channels): windows of 3 x 3 at every second pixel, zeros outside."""
    padded = F.pad(h, (0, 0, 1, 1, 1, 1))
    return padded.unfold(-3, KERNEL, STRIDE).unfold(-3, KERNEL, STRIDE).flatten(-3)


@dataclass(frozen=True)
class ConvNet(Encoder):
    """3 x 3 convolutions with stride 2 and ReLU, the mean over places, an affine output.

    Args:
        channels: of each convolution, all >= 1; `depth=l` reads the l-th, the mean over its places.
        features: dimension of the representation, >= 1.
        side: pixels of a side; the input is (colours, side, side), flattened. None: one colour, a square.

    Raises:
        ValueError: if a size is not positive, or the input is not a square image.

    Source: Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for simplicity: the all convolutional net", ICLR 2015
    workshop: strides instead of pooling, a global mean at the end.
    """

    channels: tuple[int, ...]
    features: int
    side: int | None = None

    readouts: ClassVar[tuple[str, ...]] = ("mean", "all")

    def __post_init__(self) -> None:
        positive_integers("ConvNet", features=self.features, side=self.side)
        if not self.channels:
            raise ValueError("ConvNet: channels is empty; allowed: at least one convolution")
        for number in self.channels:
            positive_integers("ConvNet", channels=number)

    @property
    def name(self) -> str:
        return short_name(self)

    @property
    def depth(self) -> int:
        return len(self.channels)

    def scaled(self, factor: int) -> Self:
        return replace(self, channels=tuple(factor * number for number in self.channels))

    def build(self, input_dim: int) -> Network:
        side = self.side or math.isqrt(input_dim)
        colours, rest = divmod(input_dim, side * side)
        if rest or (self.side is None and colours != 1):
            wanted = "a square" if self.side is None else f"a multiple of side² = {side * side}"
            raise ValueError(f"ConvNet: the input has {input_dim} entries; allowed: {wanted}")
        return _ConvNetwork(colours, side, self)
