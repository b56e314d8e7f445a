"""What every convex problem of the folder is given: checked features, labels and targets as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

SPARSE = 1_000  # largest number of classes that labels may mean by mistake of their coding
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
        raise ValueError(f"{name} are on {x.device}, which has no float64: no gap can be proven there; use the CPU or CUDA")
    if not x.is_floating_point():
        x = x.double()
    if not torch.isfinite(torch.linalg.vector_norm(x, dtype=torch.promote_types(x.dtype, torch.float32))):
        bad = (~torch.isfinite(x)).nonzero()
        if len(bad):
            problem, row, _ = bad[0].tolist()
            where = f"row {row}" if x.shape[0] == 1 else f"row {row} of problem {problem}"
            raise ValueError(f"{name} hold a value that is not finite (first in {where}); drop or impute it first")
        if x.dtype == torch.float64:
            raise ValueError(f"{name} reach {float(x.abs().max()):.1e}, whose squares overflow; rescale them first")
    return x


def as_tensor(values: Any, name: str) -> Tensor:
    """A detached tensor from a tensor, an array or nested sequences of numbers."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        array = np.asarray(values)
        if array.dtype.kind == "u" and not (array.size and int(array.max()) > np.iinfo(np.int64).max):
            array = array.astype(np.int64)  # torch has no arithmetic for unsigned types beyond 8 bits
        if array.dtype.kind != "u":
            return torch.from_numpy(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {type(values).__name__}; allowed: a tensor or an array of numbers") from error
    raise ValueError(f"{name} lie in [{array.min()}, {array.max()}]; allowed: integers below 2**63")


def class_targets(labels: Any, n: int, n_classes: int | None, name: str = "labels", *, several: bool = True) -> tuple[Tensor, int]:
    """(integer labels (1|E, n) or soft targets (1|E, n, C), number of classes C).

    Args:
        labels: what the caller was given; n: number of rows of its features; n_classes: C, or None to infer it; name: for errors.
        several: whether each problem needs at least two classes, as a fit does and a test does not.

    Raises:
        ValueError: if shapes disagree with the n rows of the features, labels are out of range, probabilities are no
            probabilities, or fewer than two classes occur.
    """
    y = as_tensor(labels, name)
    if y.numel() == 0 or y.ndim == 0:
        raise ValueError(f"{name} has shape {tuple(y.shape)}; allowed: (n,) or (E, n) integers, (n, C) or (E, n, C) probabilities")
    if y.is_floating_point():
        return _soft_targets(y, n, n_classes, name, several)
    if y.is_complex():
        raise ValueError(f"{name} has dtype {y.dtype}; allowed: integers or probabilities")
    if y.dtype == torch.uint64 and bool((y.long() < 0).any()):
        raise ValueError(f"{name} lie in part beyond 2**63; allowed: integers from 0 to n_classes - 1")
    y = y.long()
    y = y.unsqueeze(0) if y.ndim == 1 else y
    if y.ndim != 2 or y.shape[1] != n:
        shape = tuple(as_tensor(labels, name).shape)
        raise ValueError(f"{name} has shape {shape}, but features have {n} rows; one label a row is needed")
    low, high = int(y.min()), int(y.max())
    classes = high + 1 if n_classes is None else n_classes
    if low < 0 or high >= classes:
        raise ValueError(f"{name} lie in [{low}, {high}]; allowed: integers from 0 to {classes - 1} (n_classes is {n_classes})")
    if n_classes is None and high >= max(n, SPARSE):
        raise ValueError(f"{name} reach {high} in {n} rows; allowed: 0 to C - 1 for C classes, or give n_classes")
    if several and bool((y == y[:, :1]).all(1).any()):
        raise ValueError(f"{name} hold one class only; at least two are needed")
    return y, classes


def _soft_targets(y: Tensor, n: int, n_classes: int | None, name: str, several: bool) -> tuple[Tensor, int]:
    if y.ndim == 1:
        raise ValueError(f"{name} are real numbers of shape {tuple(y.shape)}; allowed: integer classes or (n, C) probabilities")
    y = y.unsqueeze(0) if y.ndim == 2 else y
    if y.ndim != 3 or y.shape[1] != n:
        shape = tuple(y.shape)
        raise ValueError(f"{name} has shape {shape}, but features have {n} rows; allowed: (n, C) or (E, n, C) probabilities")
    if n_classes is not None and y.shape[2] != n_classes:
        raise ValueError(f"{name} have {y.shape[2]} columns, but n_classes is {n_classes}")
    y = y.double()
    total = y.sum(2, keepdim=True)
    if not (bool((y >= 0).all()) and bool(((total - 1).abs() < 1e-3).all())):
        raise ValueError(f"{name} are no probabilities: rows must be >= 0 and sum to 1")
    y = y / total  # half-precision rows miss 1 by their round-off
    if several and bool(((y.amax(1) > 0).sum(1) < 2).any()):
        raise ValueError(f"{name} hold one class only; at least two are needed")
    return y, y.shape[2]


def real_targets(targets: Any, n: int, name: str = "targets") -> Tensor:
    """Targets in float64 as (1|E, n, k): (n,) is one output, (n, k) several, (E, n, k) those of E problems.

    Raises:
        ValueError: if the shape disagrees with the n rows of the features, or a value is not a finite real number.
    """
    y = as_tensor(targets, name)
    shape = tuple(y.shape)
    y = y.reshape(1, -1, 1) if y.ndim == 1 else y.unsqueeze(0) if y.ndim == 2 else y
    if y.ndim != 3 or y.numel() == 0 or y.shape[1] != n:
        raise ValueError(f"{name} has shape {shape}, but features have {n} rows; allowed: (n,), (n, k) or (E, n, k)")
    if y.is_complex() or not (torch.isfinite(y.sum()) or torch.isfinite(y).all()):  # the sum is quicker, but may overflow
        raise ValueError(f"{name} hold a value that is not a finite real number; drop those rows first")
    return y.double()


def shared_problems(**tensors: Tensor) -> int:
    """Number of problems E that tensors with a leading axis of 1 (shared) or E agree on.

    Raises:
        ValueError: if two of them are neither equal nor shared.
    """
    problems = max(len(tensor) for tensor in tensors.values())
    if any(len(tensor) not in (1, problems) for tensor in tensors.values()):
        held = ", ".join(f"{name} {len(tensor)}" for name, tensor in tensors.items())
        raise ValueError(f"numbers of problems differ ({held}); they must be equal, or 1 for what is shared")
    return problems


def part_of(tensor: Tensor, index: Tensor) -> Tensor:
    """The problems `index` of a tensor (1|E, ...); what is shared stays shared."""
    return tensor[index] if len(tensor) > 1 else tensor
