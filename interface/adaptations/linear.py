"""The linear probe W z + b: log loss of classes, squared loss of real labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.adaptations._base import Labelled, Predictor, Probe, Soft
from interface.convex import SoftmaxFit, SquaredFit, fit_softmax, fit_squared
from interface.convex._base import as_features, as_tensor, class_targets, real_targets, shared_problems
from interface.core import Bracket, Estimate


@dataclass(frozen=True)
class SoftmaxPredictor(Predictor):
    """Class probabilities softmax(W z + b).

    Args:
        solution: what was fitted, E heads.
        single: whether it was fitted on features (n, d), so that losses are (n,).
    """

    solution: SoftmaxFit
    single: bool = False

    def loss(self, features: Any, labels: Any) -> Tensor:
        """Log loss of each example in nats, (E, n) or (n,); inf for a class that never occurred in the fit.

        Labels may be probabilities (n, C): then it is the cross-entropy from them.
        """
        x = _features_for(self.solution, features)
        y, _ = class_targets(labels, x.shape[1], self.solution.weight.shape[1], several=False)
        problems = shared_problems(heads=self.solution.weight, features=x, labels=y)
        losses = x.new_empty(problems, x.shape[1], dtype=torch.float64)
        for e in range(problems):  # one at a time: logits of all would be the largest tensor by far
            logits, target = self._logits(x, e), _problem(y, e).to(x.device)
            surprise = torch.logsumexp(logits, 0) - logits
            if target.ndim == 1:
                losses[e] = surprise.gather(0, target.unsqueeze(0)).squeeze(0)
            else:  # an absent class costs inf where it has probability, nothing where it has none
                losses[e] = torch.where(target.mT > 0, target.mT * surprise, 0.0).sum(0)
        return losses.squeeze(0) if self.single and problems == 1 else losses

    def predict(self, features: Any) -> Tensor:
        """Most probable class of each example, (E, n) or (n,)."""
        x = _features_for(self.solution, features)
        problems = shared_problems(heads=self.solution.weight, features=x)
        classes = torch.stack([self._logits(x, e).argmax(0) for e in range(problems)])
        return classes.squeeze(0) if self.single and problems == 1 else classes

    def _logits(self, x: Tensor, e: int) -> Tensor:
        """(C, n) of problem e."""
        return _problem(self.solution.weight, e) @ _problem(x, e).double().mT + _problem(self.solution.intercept, e).unsqueeze(1)


@dataclass(frozen=True)
class SquaredPredictor(Predictor):
    """Real predictions w z + b.

    Args:
        solution: what was fitted, E heads of one output.
        single: whether it was fitted on features (n, d), so that losses are (n,).
    """

    solution: SquaredFit
    single: bool = False

    def loss(self, features: Any, labels: Any) -> Tensor:
        """Squared error of each example, (E, n) or (n,), in squared units of the label."""
        predicted = self._predicted(features)
        y = _real_labels(labels, predicted.shape[1]).squeeze(2).to(predicted.device)
        problems = shared_problems(heads=predicted, labels=y)
        losses = (predicted - y).square()
        return losses.squeeze(0) if self.single and problems == 1 else losses

    def predict(self, features: Any) -> Tensor:
        """Predicted value of each example, (E, n) or (n,)."""
        predicted = self._predicted(features)
        return predicted.squeeze(0) if self.single and len(predicted) == 1 else predicted

    def _predicted(self, features: Any) -> Tensor:
        x = _features_for(self.solution, features)
        shared_problems(heads=self.solution.weight, features=x)
        return (x.double() @ self.solution.weight.mT).squeeze(2) + self.solution.intercept


@dataclass(frozen=True)
class LinearProbe(Probe):
    """All affine functions of the features: L* = inf over W, b of the population loss of W z + b.

    Integer labels make it multinomial logistic (nats), real ones least squares (squared units). L* is invariant to invertible
    affine maps of the features. The family is unbounded, so a bracket's interval is approximate (`lower_limit` is None).

    Example:
        >>> probe = LinearProbe()
        >>> probe.n_parameters(16, 10), probe.n_parameters(16, None)
        (153, 17)
    """

    def n_parameters(self, d: int, n_classes: int | None) -> int:
        return (d + 1) * (1 if n_classes is None else n_classes - 1)

    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> Predictor:
        """The empirical minimiser, a `SoftmaxPredictor` for integer labels or a `SquaredPredictor` for real ones.

        Args:
            features: (n, d) or (E, n, d).
            labels: (n,) or (E, n); integers are classes, real numbers are values.
            n_classes: number of classes, if it is not the largest label + 1.
            generator: not used: the minimum is a deterministic function of the sample.

        Raises:
            ValueError: as `fit_softmax` and `fit_squared`.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        single = as_tensor(features, "features").ndim == 2 and y.ndim == 1
        return _fitted(x, y, n_classes, single=single)

    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Brackets of the minimal adaptation loss of E representations, in nats or squared units.

        E[low] <= L* <= E[high]: low is the least mean loss on the fit sample, high the mean loss of its minimiser on the test
        sample. Both samples must be independent draws of the target, and the features chosen without them.

        Args:
            fit: features (E, n, d), or (n, d) for one, and labels (n,), shared, or (E, n).
            test: the same of the test sample: (E, n', d) and (n',) or (E, n').
            soft: known p(y|x) of both samples, (n, C) and (n', C), in place of drawn labels; either may be None.
            n_classes: number of classes, if it is not the largest label + 1.

        Returns:
            E brackets. `low.status` is "vacuous_lower" where the fit sample is separated or has no more rows than coefficients;
            `high` is inf with status "absent_class" where the test sample holds a class that the fit sample lacks. A gap above
            1e-6 makes the bracket's status "not_converged".

        Raises:
            ValueError: if a sample has fewer than two rows, shapes disagree, features are not finite or labels out of range.

        Source: Norkin, Pflug, Ruszczynski, Mathematical Programming 83 (1998), and Mak, Morton, Wood, Operations Research
            Letters 24 (1999), for the two sides; with `soft` the lower side rises, by Jensen's inequality given x.

        Example:
            >>> g = torch.Generator().manual_seed(0)
            >>> x = torch.randn(2, 400, 3, generator=g)
            >>> y = (x[..., 0] + torch.randn(2, 400, generator=g) > 0).long()
            >>> bracket = LinearProbe().bracket((x[0], y[0]), (x[1], y[1]))
            >>> lower, upper = bracket.interval()
            >>> bracket.solved, lower < upper < 0.6931
            (True, True)
        """
        x_fit, x_test = _sample(fit, "fit"), _sample(test, "test")
        if x_fit.shape[2] != x_test.shape[2]:
            raise ValueError(f"test has {x_test.shape[2]} features an example, but fit has {x_fit.shape[2]}")
        y_fit, y_test = (
            as_tensor(sample[1] if known is None else known, f"{name} labels")
            for name, sample, known in zip(("fit", "test"), (fit, test), soft or (None, None), strict=True)
        )
        if _is_real(y_fit, x_fit.shape[1], n_classes):
            _real_labels(y_test, x_test.shape[1], "test labels")
        else:
            n_classes = _number_of_classes(y_fit, y_test, n_classes)
            class_targets(y_fit, x_fit.shape[1], n_classes, "fit labels")
            class_targets(y_test, x_test.shape[1], n_classes, "test labels", several=False)
        shared_problems(fit=x_fit, test=x_test)
        head = _fitted(x_fit, y_fit, n_classes)
        low, high = head.loss(x_fit, y_fit), head.loss(x_test, y_test)
        certificates = zip(head.solution.gap.flatten().tolist(), head.solution.status, strict=True)
        return [
            # a gap has its own place in the bracket, so that only "vacuous_lower" is a status of the lower side
            Bracket(
                _side(_problem(low, e), status if status == "vacuous_lower" else "ok"),
                _side(_problem(high, e), "ok" if torch.isfinite(_problem(high, e)).all() else "absent_class"),
                gap=gap,
            )
            for e, (gap, status) in enumerate(certificates)
        ]


def _fitted(x: Tensor, y: Tensor, n_classes: int | None, *, single: bool = False) -> SoftmaxPredictor | SquaredPredictor:
    if _is_real(y, x.shape[1], n_classes):
        return SquaredPredictor(fit_squared(x, _real_labels(y, x.shape[1])), single)
    return SoftmaxPredictor(fit_softmax(x, y, n_classes=n_classes), single)


def _is_real(y: Tensor, n: int, n_classes: int | None) -> bool:
    """Whether labels are values (n,) or (E, n): real numbers that are no probabilities (n, C) or (E, n, C)."""
    real = y.is_floating_point() and (y.ndim == 1 or (y.ndim == 2 and len(y) != n))
    if real and n_classes is not None:
        raise ValueError(
            f"n_classes is {n_classes}, but labels are real numbers; give integers, or leave n_classes out for squared loss"
        )
    return real


def _real_labels(labels: Any, n: int, name: str = "labels") -> Tensor:
    """Values (n,) or (E, n) as one-output targets (1|E, n, 1)."""
    y = as_tensor(labels, name)
    return real_targets(y.unsqueeze(-1) if y.ndim == 2 else y, n, name)


def _number_of_classes(y_fit: Tensor, y_test: Tensor, n_classes: int | None) -> int | None:
    """As given, as many as the probabilities' columns, or the largest label of both samples + 1."""
    for y in (y_fit, y_test):
        if n_classes is None and y.is_floating_point():
            n_classes = y.shape[-1]
    if n_classes is None and y_fit.numel() and y_test.numel():
        n_classes = 1 + int(torch.maximum(y_fit.max(), y_test.max().to(y_fit.device)))
    return n_classes


def _sample(sample: Labelled, name: str) -> Tensor:
    """Checked features of a sample (features, labels)."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise ValueError(f"{name} is {type(sample).__name__}; allowed: a pair (features, labels)")
    x = as_features(sample[0], f"{name} features")
    if x.shape[1] < 2:
        raise ValueError(f"{name} has {x.shape[1]} row; at least 2 are needed for a standard error")
    return x


def _features_for(solution: SoftmaxFit | SquaredFit, features: Any) -> Tensor:
    x, d = as_features(features), solution.weight.shape[2]
    if x.shape[2] != d:
        raise ValueError(f"features have {x.shape[2]} columns, but the head was fitted on {d}")
    return x


def _problem(tensor: Tensor, e: int) -> Tensor:
    """Problem e of a tensor (E, ...), or what all share."""
    return tensor[e if len(tensor) > 1 else 0]


def _side(losses: Tensor, status: str) -> Estimate:
    """Mean of per-example losses (n,) with its standard error."""
    n = len(losses)
    deviation = float(losses.std()) / n**0.5
    finite = deviation < float("inf")  # False for nan: the spread of losses that hold an inf
    return Estimate(float(losses.mean()), stderr=deviation if finite else None, how="held_out", n=n, status=status)
