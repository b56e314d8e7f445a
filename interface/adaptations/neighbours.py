"""k nearest neighbours: what N labels are worth without any fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.adaptations._base import Labelled, Predictor, Probe, Soft, upper_only
from interface.adaptations._heads import ClassPredictor, ValuePredictor
from interface.adaptations._samples import checked, is_real, is_single, problem, values_of
from interface.convex._base import as_features, as_tensor, class_targets
from interface.core import Bracket

BLOCK = 30_000_000  # distances held at once


@dataclass(frozen=True)
class NeighbourClasses(ClassPredictor):
    """Class shares of the k nearest rows, with half a count added to each class.

    Args:
        rows: (1|E, n, d) features; shares: (1|E, n, C) probabilities; k: number of neighbours.
        single: whether it was fitted on features (n, d).
    """

    rows: Tensor
    shares: Tensor
    k: int
    single: bool = False

    @property
    def size(self) -> tuple[int, int, int]:
        return max(len(self.rows), len(self.shares)), self.shares.shape[2], self.rows.shape[2]

    def logits(self, x: Tensor, e: int) -> Tensor:
        """ln(count + 1/2) of each class, (C, n); the loss divides by their sum k + C/2."""
        return (_mean_of_nearest(x, problem(self.rows, e), problem(self.shares, e), self.k) * self.k + 0.5).log().mT


@dataclass(frozen=True)
class NeighbourValues(ValuePredictor):
    """Mean label of the k nearest rows.

    Args:
        rows: (1|E, n, d) features; labels: (1|E, n) values; k: number of neighbours.
        single: whether it was fitted on features (n, d).
    """

    rows: Tensor
    labels: Tensor
    k: int
    single: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return max(len(self.rows), len(self.labels)), self.rows.shape[2]

    def values(self, x: Tensor, e: int) -> Tensor:
        """Mean label of the neighbours, (n,)."""
        return _mean_of_nearest(x, problem(self.rows, e), problem(self.labels, e).unsqueeze(1), self.k).squeeze(1)


@dataclass(frozen=True)
class NearestNeighbours(Probe):
    """Mean over the k nearest labelled examples in Euclidean distance. Invariant to isometries and to one common scale.

    The family is everything, so that L* is the Bayes loss given the features; what is reported is the risk R_N at this k and N,
    an upper side. Classes are given half a count each, so that no loss is infinite.

    Args:
        k: number of neighbours, >= 1.

    Raises:
        ValueError: if k is not an integer >= 1.
    """

    k: int = 16

    def __post_init__(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 1:
            raise ValueError(f"NearestNeighbours: k is {self.k!r}; allowed: an integer >= 1")

    @property
    def fewest_labels(self) -> int:
        return max(self.k, super().fewest_labels)

    def n_parameters(self, d: int, n_classes: int | None) -> int:
        """As the linear probe has, so that it is given as many draws; it has none of its own."""
        return (d + 1) * (1 if n_classes is None else n_classes - 1)

    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> NeighbourClasses | NeighbourValues:
        """The sample itself, to be looked up; arguments as `LinearProbe.fit`.

        Raises:
            ValueError: if there are fewer than k rows, shapes disagree, features are not finite or labels out of range.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        n = x.shape[1]
        if n < self.k:
            raise ValueError(f"features have {n} rows; NearestNeighbours needs at least k = {self.k}")
        single = is_single(features, y)
        if is_real(y, n, n_classes):
            return NeighbourValues(x.double(), values_of(y, n).to(x.device), self.k, single)
        target, classes = class_targets(y, n, n_classes, several=False)
        shares = torch.nn.functional.one_hot(target, classes).double() if target.ndim == 2 else target
        return NeighbourClasses(x.double(), shares.to(x.device), self.k, single)

    def learn(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> Predictor:
        """As `fit`: neighbours' shares are smoothed already."""
        return self.fit(features, labels, n_classes=n_classes)

    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Upper sides: the test loss at this k and N. `low` is a floor only, with status "no_lower_side", see `upper_only`.

        Arguments and errors as `LinearProbe.brackets`, or if there are fewer than k rows to fit.

        Example:
            >>> x = torch.randn(2, 400, 3, generator=torch.Generator().manual_seed(0))
            >>> bracket = NearestNeighbours().bracket((x[0], (x[0, :, 0] > 0).long()), (x[1], (x[1, :, 0] > 0).long()))
            >>> bracket.status, float(bracket.low), bracket.high < 0.6931
            ('no_lower_side', 0.0, True)
        """
        samples = checked(fit, test, soft, n_classes)
        return upper_only(self.fit(samples.x_fit, samples.y_fit, n_classes=samples.n_classes), samples)


def _mean_of_nearest(x: Tensor, rows: Tensor, values: Tensor, k: int) -> Tensor:
    """Mean over the k rows (n, d) nearest to each x (m, d) of their values (n, c): (m, c)."""
    parts = []
    for part in x.double().split(max(1, BLOCK // len(rows))):
        nearest = torch.cdist(part, rows, compute_mode="donot_use_mm_for_euclid_dist").topk(k, largest=False).indices
        parts.append(values[nearest].mean(1))
    return torch.cat(parts)
