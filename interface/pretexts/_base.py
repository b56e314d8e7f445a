"""What a pretext task is: pseudolabels made from unlabelled data, a head, a loss, and the loss that the best head would reach."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from interface.core import Bracket, Estimate
from interface.encoders import Linear
from interface.populations import Examples, Population
from interface.theory.embedding import Embedding
from interface.theory.moments import Moments
from interface.theory.operators import Operator

Embed = Callable[..., Tensor]  # (..., n, d) -> (..., n, features); of every position of a sequence with readout="all"

Views = TypeVar("Views", bound=tuple[Tensor, ...])

BATCH = 128  # examples of one batch in the canonical evaluation of tasks whose loss couples a batch


class ExactLoss(NamedTuple):
    """Population pretraining losses without sampling error, each (...,): at the trained head (None without one), at the best."""

    raw: np.ndarray | None
    profiled: np.ndarray


class Pairs(NamedTuple):
    first: Tensor  # (..., n, d)
    second: Tensor  # (..., n, d) another view of the same example


class Pretext(ABC):
    """A task P(D_S) -> pseudolabels. Final subclasses are frozen dataclasses.

    `noise` holds all the randomness; `view` and everything after it is deterministic. Leading axes of every tensor are
    runs. The unit of a loss is "squared" (squared units of the input), "nats", or "unitless". A field may define what is
    predicted, or only how it is trained; `canonical` puts the latter to the values at which all are evaluated.
    """

    n_views: ClassVar[int] = 1  # views of one example that the task compares
    unit: ClassVar[str] = "squared"
    n_evaluation: ClassVar[int] = 4000  # examples in each half of a sampled evaluation
    unit_size: ClassVar[int] = 1  # examples of one independent unit of `evaluate`

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def needs_labels(self) -> bool:
        """Whether pseudolabels are made from the source's labels."""
        return False

    @property
    def canonical(self) -> Self:
        """This task at the one setting in which runs of its class are evaluated, so that their losses share a yardstick."""
        return self

    @property
    def closed_form(self) -> bool:
        """Whether `exact` is known where the encoder's moments are."""
        return False

    @property
    def profile_class_differs(self) -> bool:
        """Whether the training head lies outside the class over which the loss is profiled, so that the two are not ordered."""
        return False

    def visible(self, input_dim: int) -> tuple[int, ...] | None:
        """Indices of the input that the encoder is ever given, in pretraining and after; None is all of them."""
        return None

    def inputs(self, x: Tensor) -> Tensor:
        """What the encoder sees of x (..., d)."""
        seen = self.visible(x.shape[-1])
        return x if seen is None else x[..., list(seen)]

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor | None:
        """All the randomness of the task for n examples, (n, ...); None where the task has none."""
        return None

    @abstractmethod
    def view(self, examples: Examples, noise: Tensor | None) -> Any:
        """Input and pseudolabel of x (..., n, n_views, d), y (..., n): a NamedTuple of tensors."""

    def draw(self, examples: Examples, generator: torch.Generator) -> Any:
        """What `evaluate` and `profile` take: the canonical `view` on fresh `noise`; runs on leading axes share it."""
        n, input_dim, task = examples.x.shape[-3], examples.x.shape[-1], self.canonical
        return task.view(examples, task.noise(n, input_dim, generator))

    @abstractmethod
    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module | None:
        """The head that pretraining trains and then discards; None where the loss acts on the features."""

    @abstractmethod
    def loss(self, embed: Embed, head: Embed | None, views: Any) -> Tensor:
        """Loss of each example, (..., n), in `unit`; deterministic given the views."""

    @property
    def momentum(self) -> float | None:
        """Share m that a teacher keeps of itself at each step, teacher <- m teacher + (1 - m) student; None without a teacher."""
        return None

    def labelled(self, embed: Embed, head: Embed | None, views: Any) -> Any:
        """Views with the pseudolabels that a teacher gives them; without a teacher they are unchanged.

        Called before `loss`, without gradient, with the teacher's functions where `momentum` is not None.
        """
        return views

    def evaluate(self, embed: Embed, head: Embed | None, views: Any) -> Tensor:
        """Loss of each independent unit, (..., units), under the task's one canonical evaluation."""
        return self.canonical.loss(embed, head, views)

    def logits(self, embed: Embed, head: Embed | None, views: Any) -> tuple[Tensor, Tensor] | None:
        """Scores (r, n, ..., C) and labels (n, ...) or (r, n, ...) of n units, whose mean cross-entropy `evaluate` gives.

        None where the loss is no cross-entropy of classes. Overriding it has the loss at its best temperature recorded, too.
        """
        return None

    def input_moments(self, moments: Moments) -> Moments:
        """Moments of what the encoder reads in pretraining, under which the embedding that `exact` takes is computed."""
        return moments

    @abstractmethod
    def profile(self, embed: Embed, fit: Any, test: Any) -> list[Bracket]:
        """Head-profiled loss of each run: the infimum over the profile class, bracketed by its empirical minimiser.

        Args:
            embed: (n, d) -> (r, n, features), the runs of one batch.
            fit, test: views of independent examples, shared by all runs.
        """

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss | None:
        """Population losses of an encoder whose moments are known; None where there is no closed form.

        Args:
            embedding: of the encoder under `input_moments(moments)`.
            moments: of the source.
            head: the head's parameters by their state_dict keys.
        """
        return None

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float | None:
        """Lowest profiled loss that any encoder of `rank` features (any linear one) reaches; None where unknown."""
        return None

    def least_loss(self, source: Population) -> Estimate | None:
        """Lowest canonical loss that any encoder and any head reach on a source without moments; None where unknown."""
        return None

    def operator(self, moments: Moments) -> Operator | None:
        """The pretext operator S on linear functions, with L_pre = c - tr(PS); None where there is none."""
        return None


def whole_batches(views: Views) -> Views:
    """Views with tensors (..., n, .) cut to whole batches of 128: an incomplete last batch is not evaluated.

    Raises:
        ValueError: if there are fewer than two batches, so that no standard error could be stated.
    """
    n = views[0].shape[-2] // BATCH * BATCH
    if n < 2 * BATCH:
        raise ValueError(f"the evaluation has {views[0].shape[-2]} examples; allowed: at least {2 * BATCH}, two batches")
    return type(views)(*(tensor[..., :n, :] for tensor in views))


def decoder(features: int, hidden: int | None, outputs: int) -> nn.Module:
    """Affine map from features to outputs, or one hidden ReLU layer before it."""
    if hidden is None:
        return Linear(features, outputs)
    return nn.Sequential(OrderedDict(hidden=Linear(features, hidden), relu=nn.ReLU(), output=Linear(hidden, outputs)))


def squared_error(prediction: Tensor, target: Tensor, counted: Tensor | None = None) -> Tensor:
    """Squared error (...,) of a prediction (..., d), summed over the d entries, in one pass forwards and one backwards.

    Args:
        prediction: (..., d); target: the same, or (n, d) that leading runs share.
        counted: 1 at the entries to sum, 0 at the others, of a target's shape; None sums all.
    """
    squares = mse_loss(prediction, target.expand(prediction.shape), reduction="none")
    return (squares if counted is None else squares * counted).sum(-1)


def square_side(kind: str, input_dim: int, divisor: int = 1) -> int:
    """Side of a square image of input_dim pixels.

    Raises:
        ValueError: if the input is no square, or `divisor` does not divide its side.
    """
    side = math.isqrt(input_dim)
    if side * side != input_dim or side % divisor:
        raise ValueError(f"{kind}: the input has {input_dim} entries; allowed: square images whose side {divisor} divides")
    return side
