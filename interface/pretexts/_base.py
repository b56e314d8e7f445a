"""What a pretext task is: pseudolabels made from unlabelled data, a head, a loss, and the loss that the best head would reach."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket, Estimate
from interface.encoders import Linear
from interface.populations import Examples
from interface.theory.embedding import Embedding
from interface.theory.moments import Moments
from interface.theory.operators import Operator

Embed = Callable[[Tensor], Tensor]  # (..., n, d) -> (..., n, features)


class ExactLoss(NamedTuple):
    """Population pretraining losses without sampling error, each (...,): at the trained head (None without one), at the best."""

    raw: np.ndarray | None
    profiled: np.ndarray


class Pretext(ABC):
    """A task P(D_S) -> pseudolabels. Final subclasses are frozen dataclasses.

    `noise` holds all the randomness; `view` and everything after it is deterministic. Leading axes of every tensor are
    runs. The unit of a loss is "squared" (squared units of the input) or "nats".
    """

    n_views: ClassVar[int] = 1  # views of one example that the task compares
    unit: ClassVar[str] = "squared"
    needs_labels: ClassVar[bool] = False
    n_evaluation: ClassVar[int] = 4000  # independent examples in each half of a sampled evaluation

    @property
    def name(self) -> str:
        return type(self).__name__

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
        """`view` on fresh `noise`; runs on leading axes share it."""
        n, input_dim = examples.x.shape[-3], examples.x.shape[-1]
        return self.view(examples, self.noise(n, input_dim, generator))

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
        return self.loss(embed, head, views)

    @abstractmethod
    def profile(self, embed: Embed, fit: Any, test: Any) -> list[Bracket]:
        """Head-profiled loss of each run: the infimum over the profile class, bracketed by its empirical minimiser.

        Args:
            embed: (n, d) -> (r, n, features), the runs of one batch.
            fit, test: views of independent examples, shared by all runs.
        """

    def exact(self, embedding: Embedding, moments: Moments, head: Mapping[str, np.ndarray]) -> ExactLoss | None:
        """Population losses of an encoder whose moments are known; None where there is no closed form."""
        return None

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float | None:
        """Lowest profiled loss that any encoder of `rank` features (any linear one) reaches; None where unknown."""
        return None

    def operator(self, moments: Moments) -> Operator | None:
        """The pretext operator S on linear functions, with L_pre = c - tr(PS); None where there is none."""
        return None


def held_out_bracket(low: Tensor, high: Tensor, gap: Tensor | np.ndarray, status: list[str] | None = None) -> list[Bracket]:
    """Brackets of r runs from the unit losses (r, n) of their empirical minimisers on the fit half and on the test half."""

    def sides(losses: Tensor) -> list[Estimate]:
        losses = losses.double()
        n = losses.shape[-1]
        means, errors = losses.mean(-1).tolist(), (losses.std(-1) / n**0.5).tolist()
        return [Estimate(mean, stderr=error, how="held_out", n=n) for mean, error in zip(means, errors, strict=True)]

    lows, highs = sides(low), sides(high)
    if status is not None:
        lows = [Estimate(s, stderr=s.stderr, how=s.how, n=s.n, status=word) for s, word in zip(lows, status, strict=True)]
    return [Bracket(a, b, gap=float(g)) for a, b, g in zip(lows, highs, gap, strict=True)]


def decoder(features: int, hidden: int | None, outputs: int) -> nn.Module:
    """Affine map from features to outputs, or one hidden ReLU layer before it."""
    if hidden is None:
        return Linear(features, outputs)
    return nn.Sequential(OrderedDict(hidden=Linear(features, hidden), relu=nn.ReLU(), output=Linear(hidden, outputs)))


RANK_CUT = 1e-10  # relative eigenvalue below which a direction of the features counts as absent


def symmetric_pinv(matrix: Tensor) -> Tensor:
    """Moore-Penrose inverse of symmetric PSD matrices (..., k, k), directions below RANK_CUT of the largest dropped."""
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    keep = eigenvalues > RANK_CUT * eigenvalues[..., -1:].clamp_min(torch.finfo(matrix.dtype).tiny)
    inverse = torch.where(keep, 1 / eigenvalues.where(keep, torch.ones_like(eigenvalues)), torch.zeros_like(eigenvalues))
    return (vectors * inverse.unsqueeze(-2)) @ vectors.mT


def whitening(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (..., 1, k) and map (..., k, k) that make the covariance of features (..., n, k) the identity, in their dtype.

    Directions without variance are mapped to 0.
    """
    mean = z.double().mean(-2, keepdim=True)
    centred = z.double() - mean
    eigenvalues, vectors = torch.linalg.eigh(centred.mT @ centred / z.shape[-2])
    keep = eigenvalues > RANK_CUT * eigenvalues[..., -1:].clamp_min(torch.finfo(torch.float64).tiny)
    roots = torch.where(keep, eigenvalues.where(keep, torch.ones_like(eigenvalues)).rsqrt(), torch.zeros_like(eigenvalues))
    return mean.to(z.dtype), (vectors * roots.unsqueeze(-2)).to(z.dtype)


def with_constant(z: Tensor) -> Tensor:
    """Features (..., n, k) with a column of ones, in float64."""
    return torch.cat([z.double(), torch.ones_like(z[..., :1], dtype=torch.float64)], dim=-1)


def linear_prediction_profile(embed: Embed, inputs: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> list[Bracket]:
    """Profile over affine heads of the squared error of predicting targets (n, k) from embed(inputs), summed over k."""
    fit, test = (with_constant(embed(x)) for x in inputs)
    y_fit, y_test = (t.double() for t in targets)
    weight = symmetric_pinv(fit.mT @ fit) @ (fit.mT @ y_fit)
    low = torch.stack([(z @ w - y_fit).square().sum(-1) for z, w in zip(fit, weight, strict=True)])
    high = torch.stack([(z @ w - y_test).square().sum(-1) for z, w in zip(test, weight, strict=True)])
    return held_out_bracket(low, high, np.zeros(len(low)))
