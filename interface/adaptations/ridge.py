"""The ridge probe: the linear head of least penalised loss, and the two numbers that it has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.adaptations._base import Labelled, Predictor, Probe, Soft, two_sided
from interface.adaptations._heads import SoftmaxPredictor, SquaredPredictor
from interface.adaptations._penalised import penalised_squares
from interface.adaptations._samples import Samples, checked, is_real, is_single, values_of
from interface.convex import fit_softmax
from interface.convex._base import as_features, as_tensor
from interface.core import Bracket, Estimate


@dataclass(frozen=True)
class Ridge(Probe):
    """The linear head that minimises loss + lam / 2 ||W||²; its intercept is free.

    It has two numbers. The least penalised value (`objectives`) is a minimum and has a two-sided bracket, but is no loss. The
    population loss of its minimiser (`brackets`) is a loss, but no minimum. Both are invariant to rotations and offsets.

    Args:
        lam: weight of the penalty, > 0, on features as they are given.

    Raises:
        ValueError: if lam is not a finite number above 0.
    """

    lam: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.lam < math.inf:
            raise ValueError(f"Ridge: lam is {self.lam!r}; allowed: a finite number > 0. Without penalty, use LinearProbe")

    def n_parameters(self, d: int, n_classes: int | None) -> int:
        return (d + 1) * (1 if n_classes is None else n_classes - 1)

    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> SoftmaxPredictor | SquaredPredictor:
        """The minimiser of the penalised mean loss; arguments as `LinearProbe.fit`."""
        x, y = as_features(features), as_tensor(labels, "labels")
        single = is_single(features, y)
        if is_real(y, x.shape[1], n_classes):
            return SquaredPredictor(penalised_squares(x, values_of(y, x.shape[1]), ridge=self.lam), single)
        return SoftmaxPredictor(fit_softmax(x, y, n_classes=n_classes, ridge=self.lam), single)

    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Brackets of the loss of the population's penalised minimiser, without its penalty, in nats or squared units.

        low is the loss of the sample's minimiser on its own sample, high on the test sample. Since the penalised values are
        ordered, E[low] <= loss holds where E||W_n||² >= ||W||², which sampling noise gives, and loss <= E[high] up to the same
        difference: an approximation, and `low.how` is "plug_in". `gap` is that of the penalised problem.

        Arguments and errors as `LinearProbe.brackets`.

        Example:
            >>> x = torch.randn(2, 400, 3, generator=torch.Generator().manual_seed(0)).double()
            >>> fit, test = (x[0], x[0].sum(1)), (x[1], x[1].sum(1))
            >>> Ridge(1.0).bracket(fit, test).high < Ridge(1.0).objectives(fit, test)[0].high
            True
        """
        return [
            Bracket(Estimate(b.low, stderr=b.low.stderr, how="plug_in", n=b.low.n, status=b.low.status), b.high, gap=b.gap)
            for b in self._found(fit, test, soft, n_classes)[0]
        ]

    def objectives(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Brackets of the least penalised value, loss + lam / 2 ||W||²: E[low] <= value <= E[high]. It is not a loss.

        Arguments and errors as `LinearProbe.brackets`. Source: as there; the penalty is part of each example's loss.
        """
        brackets, penalties = self._found(fit, test, soft, n_classes)
        return [
            Bracket(_raised(b.low, penalty), _raised(b.high, penalty), gap=b.gap)
            for b, penalty in zip(brackets, penalties.tolist(), strict=True)
        ]

    def _found(self, fit: Labelled, test: Labelled, soft: Soft | None, n_classes: int | None) -> tuple[list[Bracket], Tensor]:
        samples: Samples = checked(fit, test, soft, n_classes)
        head: Predictor = self.fit(samples.x_fit, samples.y_fit, n_classes=samples.n_classes)
        assert isinstance(head, SoftmaxPredictor | SquaredPredictor)
        solution = head.solution
        brackets = two_sided(head, samples, solution.gap.flatten().tolist(), solution.status)
        return brackets, 0.5 * self.lam * solution.weight.square().sum((1, 2))


def _raised(side: Estimate, penalty: float) -> Estimate:
    return Estimate(side + penalty, stderr=side.stderr, how=side.how, n=side.n, status=side.status)
