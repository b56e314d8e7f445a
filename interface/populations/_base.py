"""What a population is: a distribution p(x, y) that can be sampled, shifted and, where possible, answered exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from interface.core import Estimate, Kind, Shift
from interface.theory.moments import Moments


class Examples(NamedTuple):
    """x (n, *shape) or, with views, (n, k, *shape); y (n,): integer classes, or float targets."""

    x: Tensor
    y: Tensor


class Support(NamedTuple):
    """Everything that can happen: x (k, *shape), its probability p (k,), and p(y | x) (k, c). Every expectation is then a sum."""

    x: Tensor
    p: Tensor
    y: Tensor


class Population(ABC):
    """A distribution over examples. Final subclasses are frozen dataclasses of plain numbers.

    `applied` is the shift that separates this population from its source; `shifts` names those that it can apply.
    """

    shifts: ClassVar[Mapping[str, Kind]] = {}
    applied: Shift

    @property
    @abstractmethod
    def instance(self) -> str:
        """Readable name of the draw of the world's parameters: the unit of inference. Shifts leave it alone."""

    @property
    @abstractmethod
    def input_dim(self) -> int:
        """Length d of one flattened example."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example before it was flattened: (d,) for vectors and sequences, (side, side) for images."""
        return (self.input_dim,)

    @property
    def vocabulary(self) -> int | None:
        """Number of tokens where x is a sequence of token ids 0..V-1 (int64); None where x is real."""
        return None

    @property
    def finite(self) -> bool:
        """Whether this is a fixed set of examples, which measuring cuts into disjoint parts; elsewhere draws have no end."""
        return False

    @property
    @abstractmethod
    def n_classes(self) -> int | None:
        """Number of classes; None where y is a real target and the loss is squared."""

    @abstractmethod
    def views(self, n: int, k: int, generator: torch.Generator) -> Examples:
        """n independent examples, each in k views that share its content: x (n, k, d), y (n,)."""

    def sample(self, n: int, generator: torch.Generator) -> Examples:
        """n independent examples: x (n, d), y (n,)."""
        x, y = self.views(n, 1, generator)
        return Examples(x[:, 0], y)

    def shift(self, name: str, strength: float) -> Self:
        """This population moved by `strength`; strength 0 returns self.

        Raises:
            ValueError: if `name` is not one of `shifts`, or the strength is outside [0, 1].
        """
        if name not in self.shifts:
            raise ValueError(f"shift: name is {name!r}; {type(self).__name__} knows {', '.join(sorted(self.shifts))}")
        if not 0 <= strength <= 1:
            raise ValueError(f"shift: strength is {strength!r}; allowed: a number in [0, 1]")
        return self if strength == 0 else self._shifted(name, float(strength))

    def _shifted(self, name: str, strength: float) -> Self:
        raise AssertionError(f"{type(self).__name__} declares the shift {name!r} and does not implement it")

    def moments(self) -> Moments | None:
        """Exact second moments where x is Gaussian and y linear in it; None elsewhere."""
        return None

    def support(self) -> Support | None:
        """All inputs with their probabilities where x is finite and y a class; None elsewhere, or where they are too many."""
        return None

    def bayes_risk(self) -> Estimate | None:
        """Lowest loss that any predictor of y from x can reach; None where it is not known."""
        return None
