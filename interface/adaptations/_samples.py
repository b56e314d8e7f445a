"""What every adaptation is given, checked once: a sample to fit and one to test; and what it gives back, a side of a bracket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import as_features as as_features
from interface.convex._base import as_tensor as as_tensor
from interface.convex._base import class_targets, real_targets, shared_problems
from interface.core import Estimate

Labelled = tuple[Any, Any]  # features (E, n, d) or (n, d), labels (n,) or (E, n)
Soft = tuple[Any, Any]  # known p(y|x) of the fit and of the test rows, each (n, C), (E, n, C) or None


@dataclass(frozen=True)
class Samples:
    """Two independent samples of E problems; labels with a leading axis of 1 are shared.

    Args:
        x_fit: (1|E, n, d) features; y_fit: (1|E, n) classes or values, or (1|E, n, C) probabilities.
        x_test: (1|E, n', d); y_test: the same of the test sample.
        n_classes: C, or None where labels are values and the loss is squared.
    """

    x_fit: Tensor
    y_fit: Tensor
    x_test: Tensor
    y_test: Tensor
    n_classes: int | None


def checked(fit: Labelled, test: Labelled, soft: Soft | None, n_classes: int | None, *, several: bool = True) -> Samples:
    """The samples as tensors.

    Args:
        fit, test, soft, n_classes: as `Probe.brackets` was given them.
        several: whether the fit sample needs two classes.

    Raises:
        ValueError: if a sample has fewer than two rows, shapes disagree, features are not finite or labels are not usable.
    """
    x_fit, x_test = _features(fit, "fit"), _features(test, "test")
    if x_fit.shape[2] != x_test.shape[2]:
        raise ValueError(f"test has {x_test.shape[2]} features an example, but fit has {x_fit.shape[2]}")
    if soft is not None and (not isinstance(soft, tuple | list) or len(soft) != 2):
        raise ValueError(f"soft is {type(soft).__name__}; allowed: None or a pair (p(y|x) of the fit rows, of the test rows)")
    y_fit, y_test = (
        as_tensor(sample[1] if known is None else known, f"{name} labels")
        for name, sample, known in zip(("fit", "test"), (fit, test), soft or (None, None), strict=True)
    )
    shared_problems(fit=x_fit, test=x_test)
    if is_real(y_fit, x_fit.shape[1], n_classes):
        values = (values_of(y_fit, x_fit.shape[1], "fit labels"), values_of(y_test, x_test.shape[1], "test labels"))
        return Samples(x_fit, values[0], x_test, values[1], None)
    n_classes = _number_of_classes(y_fit, y_test, n_classes)
    y_fit, n_classes = class_targets(y_fit, x_fit.shape[1], n_classes, "fit labels", several=several)
    y_test, _ = class_targets(y_test, x_test.shape[1], n_classes, "test labels", several=False)
    return Samples(x_fit, y_fit, x_test, y_test, n_classes)


def is_real(y: Tensor, n: int, n_classes: int | None) -> bool:
    """Whether labels are values (n,) or (E, n): real numbers that are no probabilities (n, C) or (E, n, C)."""
    real = y.is_floating_point() and (y.ndim == 1 or (y.ndim == 2 and len(y) != n))
    if real and n_classes is not None:
        raise ValueError(
            f"n_classes is {n_classes}, but labels are real numbers; give integers, or leave n_classes out for squared loss"
        )
    return real


def is_single(features: Any, labels: Tensor) -> bool:
    """Whether this is one problem given as such: features (n, d) with labels (n,) or probabilities (n, C)."""
    x = as_tensor(features, "features")
    return x.ndim == 2 and (labels.ndim == 1 or (labels.ndim == 2 and labels.is_floating_point() and len(labels) == len(x)))


def values_of(labels: Any, n: int, name: str = "labels") -> Tensor:
    """Values (n,) or (E, n) as (1|E, n) in float64."""
    y = as_tensor(labels, name)
    return real_targets(y.unsqueeze(-1) if y.ndim == 2 else y, n, name).squeeze(2)


def side(losses: Tensor, status: str = "ok") -> Estimate:
    """Mean of per-example losses (n,) with its standard error; "absent_class" where a loss is infinite."""
    n = len(losses)
    deviation = float(losses.std()) / n**0.5
    finite = deviation < float("inf")  # False for nan: the spread of losses that hold an inf
    mean = float(losses.mean())
    if mean == float("inf"):
        status = "absent_class"
    return Estimate(mean, stderr=deviation if finite else None, how="held_out", n=n, status=status)


def problem(tensor: Tensor, e: int) -> Tensor:
    """Problem e of a tensor (E, ...), or what all share."""
    return tensor[e if len(tensor) > 1 else 0]


def _number_of_classes(y_fit: Tensor, y_test: Tensor, n_classes: int | None) -> int | None:
    """As given, as many as the probabilities' columns, or the largest label of both samples + 1."""
    for y in (y_fit, y_test):
        if n_classes is None and y.is_floating_point() and y.ndim > 1:
            n_classes = y.shape[-1]
    if n_classes is None and y_fit.numel() and y_test.numel():
        n_classes = 1 + int(torch.maximum(y_fit.max(), y_test.max().to(y_fit.device)))
        rows = y_fit.numel() + y_test.numel()
        if n_classes > max(rows, 2):
            raise ValueError(
                f"labels go up to {n_classes - 1}, but there are {rows} of them; number classes from 0, or give n_classes"
            )
    return n_classes


def _features(sample: Labelled, name: str) -> Tensor:
    """Checked features of a sample (features, labels)."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise ValueError(f"{name} is {type(sample).__name__}; allowed: a pair (features, labels)")
    x = as_features(sample[0], f"{name} features")
    if x.shape[1] < 2:
        raise ValueError(f"{name} has {x.shape[1]} row; at least 2 are needed for a standard error")
    return x
