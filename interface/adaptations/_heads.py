"""Fitted heads: what is shared by all that predict classes, by all that predict values, and the two linear ones."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.adaptations._base import Predictor
from interface.adaptations._samples import problem, values_of
from interface.convex import SoftmaxBallFit, SoftmaxFit, SquaredFit
from interface.convex._base import as_features, class_targets


class ClassPredictor(Predictor):
    """A head that gives log-probabilities up to a constant. Final subclasses hold E heads, or a `single` one fitted on (n, d)."""

    single: bool

    @property
    @abstractmethod
    def size(self) -> tuple[int, int, int]:
        """(E, C, d): heads, classes, and the features that each one reads."""

    @abstractmethod
    def logits(self, x: Tensor, e: int) -> Tensor:
        """(C, n) of head e on features x (n, d)."""

    def loss(self, features: Any, labels: Any) -> Tensor:
        """Log loss of each example in nats, (E, n) or (n,); inf for a class to which the head gives probability 0.

        Labels may be probabilities (n, C): then it is the cross-entropy from them.
        """
        x = features_for(features, self.size[2])
        y, _ = class_targets(labels, x.shape[1], self.size[1], several=False)
        problems = _problems(heads=self.size[0], features=len(x), labels=len(y))
        losses = x.new_empty(problems, x.shape[1], dtype=torch.float64)
        for e in range(problems):  # one at a time: logits of all would be the largest tensor by far
            logits, target = self.logits(problem(x, e), e), problem(y, e).to(x.device)
            surprise = torch.logsumexp(logits, 0) - logits
            if target.ndim == 1:
                losses[e] = surprise.gather(0, target.unsqueeze(0)).squeeze(0)
            else:  # an absent class costs inf where it has probability, nothing where it has none
                losses[e] = torch.where(target.mT > 0, target.mT * surprise, 0.0).sum(0)
        return losses.squeeze(0) if self.single and problems == 1 else losses

    def predict(self, features: Any) -> Tensor:
        """Most probable class of each example, (E, n) or (n,)."""
        x = features_for(features, self.size[2])
        problems = _problems(heads=self.size[0], features=len(x))
        classes = torch.stack([self.logits(problem(x, e), e).argmax(0) for e in range(problems)])
        return classes.squeeze(0) if self.single and problems == 1 else classes


class ValuePredictor(Predictor):
    """A head that gives real values. Final subclasses hold E heads, or a `single` one fitted on (n, d)."""

    single: bool

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(E, d): heads, and the features that each one reads."""

    @abstractmethod
    def values(self, x: Tensor, e: int) -> Tensor:
        """(n,) of head e on features x (n, d)."""

    def loss(self, features: Any, labels: Any) -> Tensor:
        """Squared error of each example, (E, n) or (n,), in squared units of the label."""
        predicted = self._predicted(features)
        y = values_of(labels, predicted.shape[1]).to(predicted.device)
        problems = _problems(heads=len(predicted), labels=len(y))
        losses = (predicted - y).square()
        return losses.squeeze(0) if self.single and problems == 1 else losses

    def predict(self, features: Any) -> Tensor:
        """Predicted value of each example, (E, n) or (n,)."""
        predicted = self._predicted(features)
        return predicted.squeeze(0) if self.single and len(predicted) == 1 else predicted

    def _predicted(self, features: Any) -> Tensor:
        x = features_for(features, self.size[1])
        problems = _problems(heads=self.size[0], features=len(x))
        return torch.stack([self.values(problem(x, e), e) for e in range(problems)])


@dataclass(frozen=True)
class SoftmaxPredictor(ClassPredictor):
    """Class probabilities softmax(W z + b).

    Args:
        solution: what was fitted, E heads.
        single: whether it was fitted on features (n, d), so that losses are (n,).
    """

    solution: SoftmaxFit | SoftmaxBallFit
    single: bool = False

    @property
    def size(self) -> tuple[int, int, int]:
        heads, classes, d = self.solution.weight.shape
        return heads, classes, d

    def logits(self, x: Tensor, e: int) -> Tensor:
        """W z + b, (C, n)."""
        return problem(self.solution.weight, e) @ x.double().mT + problem(self.solution.intercept, e).unsqueeze(1)


@dataclass(frozen=True)
class SquaredPredictor(ValuePredictor):
    """Real predictions w z + b.

    Args:
        solution: what was fitted, E heads of one output.
        single: whether it was fitted on features (n, d), so that losses are (n,).
    """

    solution: SquaredFit
    single: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return len(self.solution.weight), self.solution.weight.shape[2]

    def values(self, x: Tensor, e: int) -> Tensor:
        """w z + b, (n,)."""
        return x.double() @ problem(self.solution.weight, e)[0] + problem(self.solution.intercept, e)


def features_for(features: Any, d: int) -> Tensor:
    """Checked features (E, n, d) for a head that reads d of them."""
    x = as_features(features)
    if x.shape[2] != d:
        raise ValueError(f"features have {x.shape[2]} columns, but the head was fitted on {d}")
    return x


def _problems(**numbers: int) -> int:
    """The number of problems that all agree on, 1 being shared by all."""
    problems = max(numbers.values())
    if any(number not in (1, problems) for number in numbers.values()):
        held = ", ".join(f"{name} {number}" for name, number in numbers.items())
        raise ValueError(f"numbers of problems differ ({held}); they must be equal, or 1 for what is shared")
    return problems
