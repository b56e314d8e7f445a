"""What callers hand in, as float64 on the CPU: arrays, torch tensors on any device, or anything array-like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


def is_tensor(x: Any) -> bool:
    """Whether x is a torch tensor, told by its methods so that torch need not be imported."""
    return hasattr(x, "detach") and hasattr(x, "cpu")


def numpy_of(x: Any, name: str) -> np.ndarray:
    """x as a NumPy array of its own values; bfloat16 and half tensors are widened, because NumPy lacks bfloat16.

    Raises:
        ValueError: if x is ragged or not numeric.
    """
    if is_tensor(x):
        tensor = x.detach().cpu()
        return np.asarray((tensor.double() if tensor.is_floating_point() else tensor).numpy())
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} is not rectangular ({error}); allowed: a numeric array") from None
    if array.dtype == object or array.dtype.kind in "cMm":
        raise ValueError(f"{name} has dtype {array.dtype}; allowed: a real numeric array")
    return array


def matrix(x: ArrayLike, name: str = "features", *, min_rows: int = 1) -> Array:
    """x (n, d) in float64, finite; a view where x already is float64, so it must not be written to.

    Raises:
        ValueError: if x is not two-dimensional, has fewer than `min_rows` rows, no column, or a value that is not finite.
    """
    array = numpy_of(x, name)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; allowed: a real numeric array")
    if array.ndim != 2 or array.shape[0] < min_rows or array.shape[1] < 1:
        raise ValueError(f"{name} has shape {array.shape}; allowed: (n, d) with n >= {min_rows}, d >= 1")
    array = array.astype(np.float64, copy=False)
    require_finite(array, name)
    return array


def require_finite(array: np.ndarray, name: str) -> None:
    """Raise a ValueError that names the first row with a value that is not finite."""
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"{name} holds a value that is not finite (first in row {row}); drop or impute it first")


def vector(x: ArrayLike, name: str, *, n: int | None = None) -> Array:
    """x (n,) in float64, finite.

    Raises:
        ValueError: if x is not one-dimensional, empty, of another length than n, or not finite.
    """
    array = numpy_of(x, name)
    if array.ndim != 1 or array.size == 0 or (n is not None and len(array) != n):
        raise ValueError(f"{name} has shape {array.shape}; allowed: ({'n' if n is None else n},), not empty")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; allowed: a real numeric array")
    array = array.astype(np.float64, copy=False)
    require_finite(array, name)
    return array


def class_codes(y: ArrayLike, n: int, name: str = "labels") -> tuple[Codes, np.ndarray]:
    """Codes 0..C-1 of the classes *present* in y (n,), and those classes sorted; integers, booleans or strings.

    Raises:
        ValueError: if y is absent, of another length than the features, or real-valued.
    """
    if y is None:
        raise ValueError(f"{name} is None; this score needs one class a row")
    array = numpy_of(y, name)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}; allowed: ({n},), one class for every row of features")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.round(array)).any():
            raise ValueError(f"{name} holds values that are no class numbers; allowed: integers, booleans or strings")
        array = array.astype(np.int64)
    if array.dtype.kind in "iu" and n:  # counting is five times faster than sorting, where the range allows it
        low, high = int(array.min()), int(array.max())
        if high - low <= 4 * n + 1024:
            shifted = (array - low).astype(np.intp)
            present = np.flatnonzero(np.bincount(shifted))
            position = np.zeros(high - low + 1, dtype=np.intp)
            position[present] = np.arange(len(present))
            return position[shifted], present + low
    classes, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.intp, copy=False), classes


def real_targets(y: ArrayLike, n: int, name: str = "targets") -> Array:
    """Regression targets (n, k) in float64, finite; (n,) becomes (n, 1).

    Raises:
        ValueError: if y has another number of rows than the features, or a value that is not finite.
    """
    array = numpy_of(y, name)
    array = array[:, None] if array.ndim == 1 else array
    array = matrix(array, name)
    if len(array) != n:
        raise ValueError(f"{name} has {len(array)} rows; allowed: {n}, one for every row of features")
    return array


def paired(x: ArrayLike, y: ArrayLike, names: tuple[str, str], *, min_rows: int = 1) -> tuple[Array, Array]:
    """Two matrices whose rows belong together.

    Raises:
        ValueError: if either is no valid matrix or the numbers of rows differ.
    """
    first, second = matrix(x, names[0], min_rows=min_rows), matrix(y, names[1], min_rows=min_rows)
    if len(first) != len(second):
        raise ValueError(f"{names[1]} has {len(second)} rows; allowed: {len(first)}, paired with the rows of {names[0]}")
    return first, second


def two_samples(x: ArrayLike, y: ArrayLike, names: tuple[str, str], *, min_rows: int = 2) -> tuple[Array, Array]:
    """Two samples (n, d) and (m, d) in the same space.

    Raises:
        ValueError: if either is no valid matrix or the numbers of columns differ.
    """
    first, second = matrix(x, names[0], min_rows=min_rows), matrix(y, names[1], min_rows=min_rows)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"{names[1]} has {second.shape[1]} columns; allowed: {first.shape[1]}, as {names[0]}")
    return first, second


def one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    """value, if it is allowed.

    Raises:
        ValueError: otherwise, with the choices.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    return value


def positive(value: float, name: str, *, zero: bool = False) -> float:
    """value as a float, if it is finite and > 0 (>= 0 with zero=True).

    Raises:
        ValueError: otherwise.
    """
    if not np.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} is {value!r}; allowed: a finite number {'>=' if zero else '>'} 0")
    return float(value)
