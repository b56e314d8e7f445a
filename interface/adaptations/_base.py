"""What an adaptation is: a family of predictors on top of frozen features, and how low their loss can get."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from interface.core import Bracket, short_name

Labelled = tuple[Any, Any]  # features (E, n, d) or (n, d), labels (n,) or (E, n)
Soft = tuple[Any, Any]  # known p(y|x) of the fit and of the test rows, each (n, C), (E, n, C) or None


class Predictor(ABC):
    """A fitted head. Final subclasses are frozen records; E is the number of problems fitted together."""

    @abstractmethod
    def loss(self, features: Any, labels: Any) -> Tensor:
        """Loss of each example, (E, n), or (n,) for features (n, d) on a head that was fitted on such."""

    @abstractmethod
    def predict(self, features: Any) -> Tensor:
        """The most probable class, or the predicted value, of each example; shaped like `loss`."""


class Probe(ABC):
    """A family of heads on frozen features. Final subclasses are frozen dataclasses of plain numbers."""

    @property
    def name(self) -> str:
        """What tables call it: the class, with what is not at its default."""
        return short_name(self)

    @abstractmethod
    def n_parameters(self, d: int, n_classes: int | None) -> int:
        """Free parameters p on d features: the bias of each side of a bracket is about p / (2 n) nats."""

    @abstractmethod
    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> Predictor:
        """The head of least mean loss on a sample: features (n, d) or (E, n, d), labels (n,) or (E, n)."""

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
