"""What an encoder's specification is: a frozen record that builds an `nn.Module`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from interface.theory.embedding import Embedding
from interface.theory.moments import Moments


class Encoder(ABC):
    """Specification of an encoder; the module itself is made by `build`. Final subclasses are frozen dataclasses.

    `stackable` says whether the module runs on stacked parameters. One that does not is trained and measured run by run,
    with the same result to round-off.
    """

    features: int
    vocabulary: int | None = None  # V where the input is token ids 0..V-1, and V for a masked one; None where it is real
    causal: bool = False  # whether the features of a position depend on it and those before it only
    stackable: ClassVar[bool] = True
    readouts: ClassVar[tuple[str, ...]] = ()  # ways of reading an encoder that has positions; () has one vector an example

    @abstractmethod
    def build(self, input_dim: int) -> nn.Module:
        """A module (n, input_dim) -> (n, features); with stacked parameters (r, ...) it gives (r, n, features).

        Its `forward(x, depth=None, readout=None)` gives other layers and, where there are positions, other readouts.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """Short readable name, the same for equal specifications: "MLP(64,16)"."""

    @abstractmethod
    def scaled(self, factor: int) -> Self:
        """This encoder `factor` times as wide."""

    def ladder(self, factors: tuple[int, ...] = (1, 2, 4, 8)) -> tuple[Self, ...]:
        """Sizes of one family for a study of size, the smallest first: this encoder times each factor.

        Raises:
            ValueError: if the factors are not increasing integers >= 1.
        """
        if not factors or factors[0] < 1 or any(a >= b for a, b in zip(factors, factors[1:], strict=False)):
            raise ValueError(f"ladder: factors are {factors!r}; allowed: increasing integers >= 1")
        return tuple(self.scaled(factor) for factor in factors)

    @property
    def depth(self) -> int:
        """Number of layers after which the representation can be read: `forward(x, depth=l)` gives it for 1 <= l <= depth.

        `depth=None` is the output itself. An encoder that can be read nowhere else has depth 0.
        """
        return 0

    @property
    def stacking_pays(self) -> bool:
        """Whether one stack of runs trains faster on a CPU than run after run."""
        return True

    @property
    def closed_form(self) -> bool:
        """Whether `embedding` is known on a centred Gaussian."""
        return False

    def n_params(self, input_dim: int) -> int:
        """Number of trained parameters."""
        return _size(self, input_dim).parameters

    def flops(self, input_dim: int) -> int:
        """Floating point operations of one forward pass of one example: two a multiply-add, activations left out."""
        return _size(self, input_dim).flops

    def saved_bytes(self, input_dim: int) -> int:
        """Memory that one example in training holds until its gradient has been computed."""
        return _size(self, input_dim).saved

    def check(self, depth: int | None, readout: str | None) -> None:
        """Refuses a depth or readout that this encoder does not have.

        Raises:
            ValueError: naming what is allowed.
        """
        if depth is not None and not 1 <= depth <= self.depth:
            allowed = f"None or 1 to {self.depth}" if self.depth else "None, the output"
            raise ValueError(f"{self.name}: depth is {depth!r}; allowed: {allowed}")
        if readout is not None and readout not in self.readouts:
            allowed = ", ".join(("None", *map(repr, self.readouts)))
            raise ValueError(f"{self.name}: readout is {readout!r}; allowed: {allowed}")

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


class Size(NamedTuple):
    parameters: int
    flops: int
    saved: int


@lru_cache(maxsize=1024)
def _size(encoder: Encoder, input_dim: int) -> Size:
    """Counted on a pass of one example; the global random stream is left alone."""
    with torch.random.fork_rng(devices=[]):
        module = encoder.build(input_dim).eval()
    x = torch.zeros(1, input_dim, dtype=torch.float32 if encoder.vocabulary is None else torch.int64)
    parameters = {id(p) for p in module.parameters()}
    saved = 0

    def keep(value: Tensor) -> Tensor:
        nonlocal saved
        base = value if value._base is None else value._base
        saved += 0 if id(base) in parameters else value.numel() * value.element_size()
        return value

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        module(x)
    return Size(sum(p.numel() for p in module.parameters()), counter.get_total_flops(), saved)


def scattered(weight: np.ndarray, visible: tuple[int, ...] | None, dim: int) -> np.ndarray:
    """Input weights (..., out, len(visible)) as weights on all of x (..., out, dim), 0 on what is not visible."""
    weight = np.asarray(weight, dtype=np.float64)
    if visible is None:
        return weight
    full = np.zeros((*weight.shape[:-1], dim))
    full[..., list(visible)] = weight
    return full


def positive_integers(kind: str, **values: int | None) -> None:
    """Refuses a size that is not an integer >= 1; None passes where a field allows it."""
    for name, value in values.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"{kind}: {name} is {value!r}; allowed: an integer >= 1")
