"""What every convex problem of the folder is given: checked features, labels and targets as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

BUDGET = 300_000_000  # bytes of temporary tensors that one chunk of problems may take


def as_features(features: Any, name: str = "features") -> Tensor:
    """Features as a detached tensor (E, n, d); (n, d) becomes (1, n, d).

    Raises:
        ValueError: if they are not real numbers, have another shape, are empty or not finite, or their device has no float64.
    """
    x = as_tensor(features, name)
    if x.ndim == 2:
        x = x.unsqueeze(0)
    if x.ndim != 3 or x.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(as_tensor(features, name).shape)}; allowed: (n, d) or (E, n, d), none of them 0")
    if x.is_complex():
        raise ValueError(f"{name} has dtype {x.dtype}; allowed: real numbers")
    if x.device.type == "mps":
        raise ValueError(f"{name} are on {x.device}, which has no float64: no gap can be proven there; move them to the CPU or a CUDA device")
    if not x.is_floating_point():
        x = x.double()
    if not torch.isfinite(x).all():
        problem, row, _ = (~torch.isfinite(x)).nonzero()[0].tolist()
        where = f"row {row}" if x.shape[0] == 1 else f"row {row} of problem {problem}"
        raise ValueError(f"{name} hold a value that is not finite (first in {where}); drop or impute it first")
    return x


def as_tensor(values: Any, name: str) -> Tensor:
    """A detached tensor from a tensor, an array or nested sequences of numbers."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        array = np.asarray(values)
        # torch has no arithmetic for unsigned types beyond 8 bits, and none at all for objects and strings
        return torch.from_numpy(np.ascontiguousarray(array.astype(np.int64) if array.dtype.kind == "u" else array))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {type(values).__name__}; allowed: a tensor or an array of numbers") from error


def class_targets(labels: Any, n: int, n_classes: int | None, name: str = "labels") -> tuple[Tensor, int]:
    """(integer labels (1|E, n) or soft targets (1|E, n, C), number of classes C).

    Raises:
        ValueError: if shapes disagree with the n rows of the features, labels are out of range, probabilities are no
            probabilities, or fewer than two classes occur.
    """
    y = as_tensor(labels, name)
    if y.numel() == 0 or y.ndim == 0:
        raise ValueError(f"{name} has shape {tuple(y.shape)}; allowed: (n,) or (E, n) integers, (n, C) or (E, n, C) probabilities")
    if y.is_floating_point():
        return _soft_targets(y, n, n_classes, name)
    y = y.long()
    y = y.unsqueeze(0) if y.ndim == 1 else y
    if y.ndim != 2 or y.shape[1] != n:
        raise ValueError(f"{name} has shape {tuple(as_tensor(labels, name).shape)}, but features have {n} rows; one label a row is needed")
    low, high = int(y.min()), int(y.max())
    classes = high + 1 if n_classes is None else n_classes
    if low < 0 or high >= classes:
        raise ValueError(f"{name} lie in [{low}, {high}]; allowed: integers from 0 to {classes - 1} (n_classes is {n_classes})")
    if bool((y == y[:, :1]).all(1).any()):
        raise ValueError(f"{name} hold one class only; at least two are needed")
    return y, classes


def _soft_targets(y: Tensor, n: int, n_classes: int | None, name: str) -> tuple[Tensor, int]:
    if y.ndim == 1:
        raise ValueError(f"{name} are real numbers of shape {tuple(y.shape)}; a log loss needs integer classes or (n, C) probabilities")
    y = y.unsqueeze(0) if y.ndim == 2 else y
    if y.ndim != 3 or y.shape[1] != n:
        raise ValueError(f"{name} has shape {tuple(y.shape)}, but features have {n} rows; allowed: (n, C) or (E, n, C) probabilities")
    if n_classes is not None and y.shape[2] != n_classes:
        raise ValueError(f"{name} have {y.shape[2]} columns, but n_classes is {n_classes}")
    y = y.double()
    total = y.sum(2, keepdim=True)
    if not (bool((y >= 0).all()) and bool(((total - 1).abs() < 1e-3).all())):
        raise ValueError(f"{name} are no probabilities: rows must be >= 0 and sum to 1")
    y = y / total  # half-precision rows miss 1 by their round-off
    if bool(((y.amax(1) > 0).sum(1) < 2).any()):
        raise ValueError(f"{name} hold one class only; at least two are needed")
    return y, y.shape[2]
