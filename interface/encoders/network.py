"""How every encoder is read: at its output or after one of its layers, and how its positions become one vector."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn

from interface.encoders.layers import Linear


class Network(nn.Module):
    """Layers in order, then an affine output. Subclasses say what the layers give.

    Args:
        output: the last layer.
        readout: how (..., n, t, width) becomes (..., n, width) unless the caller says otherwise; None without positions.
    """

    def __init__(self, readout: str | None = None) -> None:
        super().__init__()
        self.readout = readout
        self.output: Linear

    @abstractmethod
    def layers(self, x: Tensor) -> Iterator[Tensor]:
        """The layers' outputs one after the other, each (..., n, width) or (..., n, t, width)."""

    def last(self, h: Tensor) -> Tensor:
        """What the output layer is given of the last layer's output."""
        return h

    def forward(self, x: Tensor, depth: int | None = None, readout: str | None = None) -> Tensor:
        """Representation (..., n, features), or that after layer `depth`; readout "all" keeps positions: (..., n, t, features).

        Raises:
            ValueError: if there is no such layer or readout.
        """
        h, reached = x, 0
        for h in self.layers(x):
            reached += 1
            if reached == depth:
                return self._read(h, readout)
        if depth is not None:
            raise ValueError(f"depth is {depth!r}; allowed: None or 1 to {reached}")
        return self.output(self._read(self.last(h), readout))

    def _read(self, h: Tensor, readout: str | None) -> Tensor:
        if self.readout is None:
            if readout is not None:
                raise ValueError(f"readout is {readout!r}; allowed: None, since {type(self).__name__} has no positions")
            return h
        match readout or self.readout:
            case "last":
                return h[..., -1, :]
            case "mean":
                return h.mean(-2)
            case "all":
                return h
        raise ValueError(f"readout is {readout!r}; allowed: None, 'last', 'mean', 'all'")
