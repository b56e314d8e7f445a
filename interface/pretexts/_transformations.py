"""What tasks share that ask which of some known rearrangements was applied to the input."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, Pretext
from interface.pretexts._profiles import classification_profile, log_loss


class Transformed(NamedTuple):
    x: Tensor  # (..., n, d) rearranged input
    which: Tensor  # (..., n) integer: the rearrangement, the pseudolabel


class Transformation(Pretext):
    """Cross-entropy in nats per example of naming the rearrangement, all equally likely; profiled over affine softmax heads."""

    unit: ClassVar[str] = "nats"

    @property
    @abstractmethod
    def n_orders(self) -> int:
        """Number of rearrangements."""

    @abstractmethod
    def orders(self, input_dim: int) -> Tensor:
        """Rearrangements (n, d): entry i of the result is entry orders[., i] of x."""

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        return torch.randint(self.n_orders, (n,), generator=generator)

    def view(self, examples: Examples, noise: Tensor | None) -> Transformed:
        assert noise is not None
        x = examples.x[..., 0, :]
        order = self.orders(x.shape[-1]).to(x.device)[noise]
        return Transformed(x.gather(-1, order.expand(x.shape)), noise)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        self.orders(input_dim)  # refuses an input that it cannot rearrange before anything is trained
        return Linear(features, self.n_orders)

    def loss(self, embed: Embed, head: Embed | None, views: Transformed) -> Tensor:
        assert head is not None
        return log_loss(head(embed(views.x)), views.which)

    def profile(self, embed: Embed, fit: Transformed, test: Transformed) -> list[Bracket]:
        return classification_profile((embed(fit.x), embed(test.x)), (fit.which, test.which), self.n_orders)
