"""What an adaptation is: a family of predictors on top of frozen features, and how low their loss can get."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from interface.adaptations._samples import Labelled as Labelled
from interface.adaptations._samples import Samples, checked, is_real, problem, side
from interface.adaptations._samples import Soft as Soft
from interface.convex._base import as_features, as_tensor
from interface.convex._steady import smoothed
from interface.core import Bracket, Estimate, short_name


class Predictor(ABC):
    """A fitted head. Final subclasses are frozen records; E is the number of problems fitted together."""

    @abstractmethod
    def loss(self, features: Any, labels: Any) -> Tensor:
        """Loss of each example, (E, n), or (n,) for features (n, d) on a head that was fitted on such."""

    @abstractmethod
    def predict(self, features: Any) -> Tensor:
        """The most probable class, or the predicted value, of each example; shaped like `loss`."""


class Probe(ABC):
    """A family of heads on frozen features. Final subclasses are frozen dataclasses of plain numbers.

    `units` says which losses it has: "nats" for classes, "squared" for real labels.
    """

    units: ClassVar[tuple[str, ...]] = ("nats", "squared")

    @property
    def name(self) -> str:
        """What tables call it: the class, with what is not at its default."""
        return short_name(self)

    @property
    def fewest_labels(self) -> int:
        """Smallest N that `learn` can be given."""
        return 2

    @abstractmethod
    def n_parameters(self, d: int, n_classes: int | None) -> int:
        """Free parameters p on d features: the bias of each side of a bracket is about p / (2 n) nats."""

    @abstractmethod
    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> Predictor:
        """The head of least mean loss on a sample: features (n, d) or (E, n, d), labels (n,) or (E, n)."""

    def learn(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> Predictor:
        """The head that is used after adapting on these labels, however few: no class costs infinitely much.

        Classes are given half a count each beforehand (Krichevsky and Trofimov, 1981); real labels are fitted as they are.
        Arguments as `fit`; one class may be all that the sample holds if `n_classes` says that there are more.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        if is_real(y, x.shape[1], n_classes):
            return self.fit(features, labels, generator=generator)
        soft = smoothed(y, x.shape[1], n_classes)
        shared = soft.squeeze(0) if len(soft) == 1 else soft
        return self.fit(features, shared, generator=generator)

    @abstractmethod
    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Two-sided estimates of the population's minimal adaptation loss, one for each of E representations."""

    def bracket(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> Bracket:
        """`brackets` of one representation, features (n, d).

        Raises:
            ValueError: if the arguments hold several problems.
        """
        found = self.brackets(fit, test, soft=soft, n_classes=n_classes)
        if len(found) != 1:
            raise ValueError(f"bracket: fit and test hold {len(found)} problems; use brackets for more than one")
        return found[0]

    def risk(self, fit: Labelled, test: Labelled, *, n_classes: int | None = None) -> list[Estimate]:
        """R_N: mean test loss, in nats or squared units, of the head learnt on the N rows of `fit`, one for each of E problems.

        It is an upper estimate of the minimal adaptation loss for any N. The standard error is that of the test sample, with the
        head given: how R_N varies with the draw of N labels, replicates say (`adaptation_curve`).

        Args:
            fit: features (E, N, d) or (N, d) and labels (N,) or (E, N), from 2 rows up.
            test: the same of the test sample.
            n_classes: number of classes, if it is not the largest label of both samples + 1.

        Raises:
            ValueError: as `brackets`.
        """
        samples = checked(fit, test, None, n_classes, several=False)
        head = self.learn(samples.x_fit, samples.y_fit, n_classes=samples.n_classes)
        losses = head.loss(samples.x_test, samples.y_test)
        return [side(losses[e]) for e in range(len(losses))]


def two_sided(head: Predictor, samples: Samples, gaps: list[float], statuses: list[str]) -> list[Bracket]:
    """Brackets of empirical minimisers with proven gaps: mean loss on their own sample, and on the test sample.

    Only "vacuous_lower" is a status of the lower side: a gap has a place of its own in the bracket.
    """
    low, high = head.loss(samples.x_fit, samples.y_fit), head.loss(samples.x_test, samples.y_test)
    return [
        Bracket(side(problem(low, e), status if status == "vacuous_lower" else "ok"), side(problem(high, e)), gap=gap)
        for e, (gap, status) in enumerate(zip(gaps, statuses, strict=True))
    ]


def upper_only(head: Predictor, samples: Samples) -> list[Bracket]:
    """Brackets of heads that nobody proved to be the best of their family: `low` is a floor of every predictor's loss.

    It has the status "no_lower_side" and is 0, or with known p(y|x) the mean entropy of the fit sample: the least loss of any
    predictor given the inputs themselves. The gap is how far the head's loss on its own sample is above that floor.
    """
    low, high = head.loss(samples.x_fit, samples.y_fit), head.loss(samples.x_test, samples.y_test)
    y = samples.y_fit
    entropy = -torch.special.xlogy(y, y).sum(-1) if y.ndim == 3 else torch.zeros_like(low[:1])
    brackets = []
    for e in range(len(high)):
        own = problem(entropy, e)
        floor = side(own, "no_lower_side")
        brackets.append(Bracket(floor, side(problem(high, e)), gap=max(0.0, float(problem(low, e).mean() - own.mean()))))
    return brackets
