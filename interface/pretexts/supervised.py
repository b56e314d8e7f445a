"""Supervised pretraining: the pseudolabel is the source's own label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from interface.core import Bracket, Estimate
from interface.encoders import Linear
from interface.populations import Examples, Population
from interface.pretexts._base import Embed, Pretext
from interface.pretexts._profiles import classification_profile, log_loss


class Labelled(NamedTuple):
    x: Tensor  # (..., n, d)
    y: Tensor  # (..., n) integer classes


@dataclass(frozen=True)
class Supervised(Pretext):
    """Cross-entropy of the source's label under an affine softmax head; nats per example.

    Source: Bommasani et al. 2021, "On the opportunities and risks of foundation models", section 4.10, where
    pseudolabels that are labels give the classical case.
    """

    unit: ClassVar[str] = "nats"

    @property
    def needs_labels(self) -> bool:
        return True

    def view(self, examples: Examples, noise: Tensor | None) -> Labelled:
        return Labelled(examples.x[..., 0, :], examples.y)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        if n_classes is None:
            raise ValueError("Supervised: the source has real-valued labels (n_classes is None); allowed: a source with classes")
        return Linear(features, n_classes)

    def loss(self, embed: Embed, head: Embed | None, views: Labelled) -> Tensor:
        return log_loss(*self.logits(embed, head, views))

    def logits(self, embed: Embed, head: Embed | None, views: Labelled) -> tuple[Tensor, Tensor]:
        assert head is not None
        return head(embed(views.x)), views.y

    def profile(self, embed: Embed, fit: Labelled, test: Labelled) -> list[Bracket]:
        return classification_profile((embed(fit.x), embed(test.x)), (fit.y, test.y))

    def least_loss(self, source: Population) -> Estimate | None:
        return source.bayes_risk()
