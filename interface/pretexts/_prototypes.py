"""What tasks share that give examples to prototypes: pseudolabels are the assignments of another view by the teacher."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import BATCH, Embed, Pairs, Pretext, decoder, whole_batches
from interface.pretexts._profiles import classification_profile, log_loss

N_BATCHES = 32


class Assigned(NamedTuple):
    first: Tensor  # (..., n, d)
    second: Tensor  # (..., n, d) another view of the same example
    first_scores: Tensor  # (..., n, prototypes) the teacher's scores of each view, from which pseudolabels are made
    second_scores: Tensor


class Cosines(Linear):
    """Cosines (..., n, out) between inputs and the rows of the weight, in [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        unit, rows = nn.functional.normalize(x, dim=-1), nn.functional.normalize(self.weight, dim=-1)
        return unit @ rows.mT


class Prototypes(Pretext):
    """Cross-entropy, in nats per example, of one view's assignment given the other view, both ways; ln(prototypes) is chance.

    Evaluated at the class's own temperatures on batches of 128, the batch being the independent unit. Profiled over affine
    softmax heads on the features, for the pseudolabels that the trained teacher gives.
    """

    prototypes: int
    projection: int
    temperature: float

    n_views: ClassVar[int] = 2
    unit: ClassVar[str] = "nats"
    n_evaluation: ClassVar[int] = BATCH * N_BATCHES
    unit_size: ClassVar[int] = BATCH

    @abstractmethod
    def assigned(self, scores: Tensor) -> Tensor:
        """Probabilities (..., n, prototypes) that the teacher's scores of one batch are turned into."""

    @property
    def profile_class_differs(self) -> bool:
        return True

    def view(self, examples: Examples, noise: Tensor | None) -> Pairs:
        return Pairs(examples.x[..., 0, :], examples.x[..., 1, :])

    def labelled(self, embed: Embed, head: Embed | None, views: Pairs) -> Assigned:
        assert head is not None
        return Assigned(*views, *(head(embed(x)).detach() for x in views))

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        projection, cosines = decoder(features, features, self.projection), Cosines(self.projection, self.prototypes, bias=False)
        return nn.Sequential(OrderedDict(projection=projection, prototypes=cosines))

    def loss(self, embed: Embed, head: Embed | None, views: Assigned) -> Tensor:
        assert head is not None
        first, second = (head(embed(x)) / self.temperature for x in (views.first, views.second))
        return self._swapped(first, second, self.assigned(views.first_scores), self.assigned(views.second_scores))

    def evaluate(self, embed: Embed, head: Embed | None, views: Assigned) -> Tensor:
        """Mean loss of each batch of 128, (..., batches)."""
        assert head is not None
        task, views = self.canonical, whole_batches(views)
        batches = (head(embed(x)).unflatten(-2, (-1, BATCH)) / task.temperature for x in (views.first, views.second))
        return task._swapped(*batches, *(t.unflatten(-2, (-1, BATCH)) for t in task._targets(views))).mean(-1)

    def profile(self, embed: Embed, fit: Assigned, test: Assigned) -> list[Bracket]:
        def crossed(views: Assigned) -> tuple[Tensor, Tensor]:
            """Both views' features (..., n, 2, k), each with the pseudolabel of the other."""
            z = torch.stack([embed(views.first), embed(views.second)], dim=-2)
            of_first, of_second = self.canonical._targets(views)
            return z, torch.stack([of_second, of_first], dim=-2)

        (z_fit, y_fit), (z_test, y_test) = crossed(whole_batches(fit)), crossed(whole_batches(test))
        return classification_profile((z_fit, z_test), (y_fit, y_test), self.prototypes)

    def _targets(self, views: Assigned) -> tuple[Tensor, Tensor]:
        """Pseudolabels (..., n, prototypes) of both views, made within batches of 128."""
        first, second = (
            self.assigned(scores.unflatten(-2, (-1, BATCH))).flatten(-3, -2) for scores in (views.first_scores, views.second_scores)
        )
        return first, second

    def _swapped(self, first: Tensor, second: Tensor, of_first: Tensor, of_second: Tensor) -> Tensor:
        return 0.5 * (log_loss(first, of_second) + log_loss(second, of_first))
