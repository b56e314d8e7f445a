"""Many supervised tasks at once: real-valued tasks of the input or of the label, as diverse as a dial says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, ExactLoss, Pretext, squared_error
from interface.pretexts._profiles import linear_prediction_profile
from interface.seeds import generator
from interface.theory.embedding import Embedding
from interface.theory.losses import tasks_loss
from interface.theory.moments import Moments
from interface.theory.operators import Operator, tasks_operator

MOST_CLASSES = 1024


class Tasks(NamedTuple):
    x: Tensor  # (..., n, d)
    target: Tensor  # (..., n, tasks) the pseudolabels


@dataclass(frozen=True)
class MultiTask(Pretext):
    """Squared error of T real tasks, averaged over tasks, in squared units of a task. Head and profile class are affine.

    Task j has coefficients (1 - diversity) g_0 + diversity g_j with independent standard normal g: on the input, divided by
    the root of its length, it is linear in x; on the label it is one number a class. At diversity 0 all tasks are one, and
    pretraining sees a single direction; at 1 they span min(T, d) of them.

    Source: Tripuraneni, Jordan, Jin, "On the theory of transfer learning: the importance of task diversity", NeurIPS 2020,
    arXiv:2006.11650; the dial is ours.

    Args:
        tasks: number T of tasks, >= 1.
        diversity: dial in [0, 1].
        of: "input" or "label", which must then be a class.
        seed: of the coefficients.
    """

    tasks: int = 16
    diversity: float = 1.0
    of: Literal["input", "label"] = "input"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tasks < 1:
            raise ValueError(f"MultiTask: tasks is {self.tasks!r}; allowed: an integer >= 1")
        if not 0 <= self.diversity <= 1:
            raise ValueError(f"MultiTask: diversity is {self.diversity!r}; allowed: a number in [0, 1]")
        if self.of not in ("input", "label"):
            raise ValueError(f"MultiTask: of is {self.of!r}; allowed: 'input', 'label'")

    @property
    def closed_form(self) -> bool:
        return self.of == "input"

    @property
    def needs_labels(self) -> bool:
        return self.of == "label"

    def coefficients(self, length: int) -> Tensor:
        """(tasks, length): one row a task, one column an entry of the input, or a class."""
        return _coefficients(self.tasks, self.diversity, self.seed, length)

    def view(self, examples: Examples, noise: Tensor | None) -> Tasks:
        x = examples.x[..., 0, :]
        if self.of == "label":
            return Tasks(x, self.coefficients(MOST_CLASSES).mT.to(x.device)[examples.y])
        return Tasks(x, x @ self._directions(x.shape[-1]).mT.to(x.device))

    def _directions(self, input_dim: int) -> Tensor:
        return self.coefficients(input_dim) / input_dim**0.5

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        if self.of == "label" and (n_classes is None or n_classes > MOST_CLASSES):
            raise ValueError(
                f"MultiTask: the source has n_classes {n_classes}; allowed for tasks of the label: 2 to {MOST_CLASSES}"
            )
        return Linear(features, self.tasks)

    def loss(self, embed: Embed, head: Embed | None, views: Tasks) -> Tensor:
        assert head is not None
        return squared_error(head(embed(views.x)), views.target) / self.tasks

    def profile(self, embed: Embed, fit: Tasks, test: Tasks) -> list[Bracket]:
        scale = self.tasks**-0.5  # the profile sums over targets, the task averages
        return linear_prediction_profile(embed, (fit.x, test.x), (scale * fit.target, scale * test.target))

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss:
        tasks = self._exact_directions(moments)
        raw = tasks_loss(embedding, moments, tasks, head=(head["weight"], head["bias"])) if head else None
        return ExactLoss(raw, tasks_loss(embedding, moments, tasks))

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float | None:
        operator = self.operator(moments)
        return None if operator is None else operator.floor(rank, linear=linear)

    def operator(self, moments: Moments) -> Operator | None:
        return tasks_operator(moments, self._exact_directions(moments)) if self.of == "input" else None

    def _exact_directions(self, moments: Moments) -> np.ndarray:
        return self._directions(len(moments.covariance)).double().numpy()


@cache
def _coefficients(tasks: int, diversity: float, seed: int, length: int) -> Tensor:
    own = torch.randn(tasks + 1, length, generator=generator("tasks", seed, length))
    return (1 - diversity) * own[:1] + diversity * own[1:]
