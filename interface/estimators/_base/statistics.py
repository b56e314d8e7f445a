"""One streaming pass over features, from which every score that can be is computed; mergeable across workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from interface.estimators._base.inputs import Array, class_codes, is_tensor, numpy_of, real_targets, require_finite
from interface.estimators._base.moments import Moments

CHUNK = 1 << 21  # entries of float64 held at a time, 16 MB: fits a cache level and bounds the memory


class Statistics:
    """Sufficient statistics of a stream of rows, in memory that does not grow with their number.

    Rows are read on their own device (one product a chunk), sums are kept in float64 on the CPU.

    Args:
        blocks: random blocks of rows whose sums are kept apart, for delete-a-block standard errors; 0 keeps only the total.
        class_products: also keep X'X by class (C d^2 numbers), which TransRate needs.
        precision: "float64", or "input" to multiply in the features' own precision (faster for float32; directions
            below 1e-7 of the largest variance are then noise). bfloat16 and half are widened to float32 at least.

    Raises:
        ValueError: if `blocks` is 1 or negative, or `precision` is unknown.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> whole, half = Statistics().add(x), Statistics().add(x[:50])
        >>> merged = half.merge(Statistics().add(x[50:]))
        >>> merged.n, bool(np.allclose(merged.moments.scatter(), whole.moments.scatter()))
        (100, True)
    """

    def __init__(self, *, blocks: int = 0, class_products: bool = False, precision: str = "float64") -> None:
        if blocks < 0 or blocks == 1:
            raise ValueError(f"blocks is {blocks}; allowed: 0, or at least 2 blocks of rows")
        if precision not in ("float64", "input"):
            raise ValueError(f"precision is {precision!r}; allowed: float64, input")
        self.blocks, self.class_products, self.precision = blocks, class_products, precision
        self._parts: list[Moments | None] = [None] * max(1, blocks)
        self._n = 0
        self._pivot: Array | None = None
        self._labelled: bool | None = None

    @property
    def n(self) -> int:
        """Rows seen so far."""
        return self._n

    @property
    def moments(self) -> Moments:
        """Sums over all rows.

        Raises:
            ValueError: if nothing was added.
        """
        parts = [part for part in self._parts if part is not None]
        if not parts:
            raise ValueError("features is an empty Statistics; add rows first")
        total = parts[0]
        for part in parts[1:]:
            total = total.plus(part)
        return total

    def leave_out(self) -> Iterator[Moments]:
        """Sums over all rows but one block's, for every block."""
        if self.blocks:
            total = self.moments
            for part in self._parts:
                if part is not None and part.n < total.n:
                    yield total.plus(part, -1.0)

    def add(self, x: ArrayLike, y: ArrayLike | None = None, *, targets: ArrayLike | None = None) -> Self:
        """Take in rows x (n, d) with classes y (n,) or regression targets (n, k); returns self.

        Raises:
            ValueError: if shapes do not fit each other or earlier rows, or a value is not finite.
        """
        rows: Any = x if is_tensor(x) else numpy_of(x, "features")
        shape = tuple(rows.shape)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"features has shape {shape}; allowed: (n, d) with n, d >= 1")
        if not is_tensor(rows) and rows.dtype.kind not in "fiub":
            raise ValueError(f"features has dtype {rows.dtype}; allowed: a real numeric array")
        if self._pivot is not None and shape[1] != len(self._pivot):
            raise ValueError(f"features has {shape[1]} columns; allowed: {len(self._pivot)}, as in the rows added before")
        if self._labelled is not None and self._labelled != (y is not None):
            raise ValueError("labels must be given for all batches or for none")
        codes, classes = (None, None) if y is None else class_codes(y, shape[0])
        t = None if targets is None else real_targets(targets, shape[0])
        first = self._pivot is None
        if first:
            self._pivot = _pivot(rows)
        for block, index in self._assign(shape[0]):
            part = self._sums(rows, index, codes, classes, t)
            held = self._parts[block]
            self._parts[block] = part if held is None else held.plus(part)
        self._labelled = y is not None
        self._n += shape[0]
        return self

    def merge(self, other: Statistics) -> Statistics:
        """New statistics over the rows of both; neither is changed.

        Raises:
            ValueError: if they were gathered with different settings or numbers of columns.
        """
        if (self.blocks, self.class_products) != (other.blocks, other.class_products):
            raise ValueError("other was gathered with other blocks or class_products; merge like with like")
        if self._pivot is not None and other._pivot is not None and len(self._pivot) != len(other._pivot):
            raise ValueError(f"other has {len(other._pivot)} columns; allowed: {len(self._pivot)}")
        both = Statistics(blocks=self.blocks, class_products=self.class_products, precision=self.precision)
        both._parts = [a.plus(b) if a and b else (a or b) for a, b in zip(self._parts, other._parts, strict=True)]
        both._n, both._labelled = self._n + other._n, self._labelled if self._n else other._labelled
        both._pivot = self._pivot if self._pivot is not None else other._pivot
        return both

    def _assign(self, n: int) -> Iterator[tuple[int, np.ndarray | None]]:
        if not self.blocks:
            yield 0, None
            return
        order = np.random.default_rng(self._n).permutation(n)  # random, so that rows sorted by class do no harm
        for j in range(self.blocks):
            index = np.sort(order[(j - self._n) % self.blocks :: self.blocks])
            if len(index):
                yield j, index

    def _sums(self, rows: Any, index: np.ndarray | None, codes: Any, classes: Any, t: Array | None) -> Moments:
        assert self._pivot is not None
        if index is not None:
            rows, codes = rows[index], None if codes is None else codes[index]
            t = None if t is None else t[index]
        if self.class_products and codes is not None:
            return self._sums_by_class(rows, codes, classes, t)
        total: Moments | None = None
        step = max(256, CHUNK // rows.shape[1])
        for start in range(0, rows.shape[0], step):
            window = slice(start, start + step)
            part = self._chunk(rows[window], None if codes is None else codes[window], classes, None if t is None else t[window])
            total = part if total is None else total.plus(part)
        assert total is not None
        _require_finite_sums(total.s2, rows)
        return total

    def _sums_by_class(self, rows: Any, codes: np.ndarray, classes: np.ndarray, t: Array | None) -> Moments:
        """The same sums by one product a class: their total is X'X, so that it costs no second product."""
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(classes)).astype(np.float64)
        width = rows.shape[1]
        products = np.zeros((len(classes), width, width))
        sums, v3, q4 = np.zeros((len(classes), width)), np.zeros(width), 0.0
        targets: tuple[Array, Array, Array] | None = None
        step = max(256, CHUNK // width)
        edges = np.concatenate([[0], np.cumsum(counts)]).astype(int)
        for c in range(len(classes)):
            for start in range(edges[c], edges[c + 1], step):
                index = order[start : min(start + step, edges[c + 1])]
                part = self._chunk(rows[index], None, None, None if t is None else t[index])
                products[c] += part.s2
                sums[c] += part.s1
                v3, q4 = v3 + part.v3, q4 + part.q4
                targets = _added(targets, part.targets)
        s2 = products.sum(0)
        _require_finite_sums(s2, rows)
        squares = np.diagonal(products, axis1=1, axis2=2).copy()
        assert self._pivot is not None
        n = int(counts.sum())
        return Moments(self._pivot, n, sums.sum(0), s2, q4, v3, classes, counts, sums, squares, products, targets)

    def _chunk(self, rows: Any, codes: np.ndarray | None, classes: np.ndarray | None, t: Array | None) -> Moments:
        assert self._pivot is not None
        with np.errstate(over="ignore", invalid="ignore"):  # caught by the caller, who can name the row
            a = _centred(rows, self._pivot, self.precision)
            squared_norms = (a * a).sum(1)
            s1, s2 = _host(a.sum(0)), _host(a.T @ a)
            norms = _host(squared_norms)
            v3 = _host(a.T @ squared_norms)
            q4 = float(norms @ norms)
            targets = None
            if t is not None:
                on_device = a.new_tensor(t) if is_tensor(a) else t.astype(a.dtype, copy=False)
                targets = (t.sum(0), _host(a.T @ on_device), t.T @ t)
            if codes is None or classes is None:
                return Moments(self._pivot, rows.shape[0], s1, s2, q4, v3, targets=targets)
            counts = np.bincount(codes, minlength=len(classes)).astype(np.float64)
            sums, squares = _by_class(a, codes, len(classes))
        return Moments(self._pivot, rows.shape[0], s1, s2, q4, v3, classes, counts, sums, squares, None, targets)


def _require_finite_sums(s2: Array, rows: Any) -> None:
    if not np.isfinite(s2).all():  # far cheaper than looking at every row, and as sure
        require_finite(numpy_of(rows, "features"), "features")
        raise ValueError("features holds values so large that their squares overflow; rescale it first")


def _added(a: tuple[Array, Array, Array] | None, b: tuple[Array, Array, Array] | None) -> tuple[Array, Array, Array] | None:
    if a is None or b is None:
        return a or b
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _pivot(rows: Any) -> Array:
    """The mean of some rows, rounded to float32: any point near the data serves."""
    mean = numpy_of(rows[: 1 << 10], "features").astype(np.float64).mean(0)
    require_finite(mean[None], "features") if np.isfinite(mean).all() else require_finite(numpy_of(rows, "features"), "features")
    with np.errstate(over="ignore", under="ignore"):
        rounded = mean.astype(np.float32).astype(np.float64)
    return np.where(np.isfinite(rounded), rounded, mean)


def _centred(rows: Any, pivot: Array, precision: str) -> Any:
    """rows - pivot, a new array on the rows' own device."""
    if is_tensor(rows):
        rows = rows.detach()
        keep = precision == "input" and rows.is_floating_point() and rows.element_size() >= 4
        if not keep:
            try:
                rows = rows.float() if precision == "input" else rows.double()
            except (TypeError, RuntimeError):  # a device without float64, such as MPS: finish on the CPU
                rows = rows.cpu().double()
        return rows - rows.new_tensor(pivot)
    keep = precision == "input" and rows.dtype == np.float32
    return rows - pivot.astype(np.float32) if keep else rows.astype(np.float64, copy=False) - pivot


def _host(x: Any) -> Array:
    return x.cpu().double().numpy() if is_tensor(x) else np.asarray(x, dtype=np.float64)


def _by_class(a: Any, codes: np.ndarray, classes: int) -> tuple[Array, Array]:
    if is_tensor(a):
        where = a.new_tensor(codes).long()
        zero = a.new_zeros(classes, a.shape[1])
        return _host(zero.index_add(0, where, a)), _host(zero.index_add(0, where, a * a))
    from scipy.sparse import csr_array  # here, because it costs a third of the package's import time

    rows = len(codes)
    membership = csr_array((np.ones(rows, dtype=a.dtype), (codes, np.arange(rows))), shape=(classes, rows))
    return _host(membership @ a), _host(membership @ (a * a))
