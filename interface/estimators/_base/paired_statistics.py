"""One streaming pass over two representations of the same rows, for CKA, Procrustes and CCA; mergeable across workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from interface.estimators._base.inputs import Array, is_tensor, numpy_of, require_finite


@dataclass(frozen=True)
class PairedMoments:
    """Sums over rows of z = (x, y) minus a pivot, and of w = (|x - pivot|^2, |y - pivot|^2).

    Args:
        p: columns of x.
        pivot: (p + q,) what was subtracted.
        n: rows.
        s1, s2: (p + q,), (p + q, p + q) sums of z and z z'.
        wz, ww: (2, p + q), (2, 2) sums of w z' and w w'.
    """

    p: int
    pivot: Array
    n: int
    s1: Array
    s2: Array
    wz: Array
    ww: Array

    def norms(self) -> Array:
        """(2,) sums of w."""
        diagonal = np.diagonal(self.s2)
        return np.array([diagonal[: self.p].sum(), diagonal[self.p :].sum()])

    def about(self, pivot: Array) -> PairedMoments:
        """The same rows about another pivot."""
        e = self.pivot - pivot
        if not e.any():
            return self
        # z becomes z + e and w becomes w + 2 E z + c
        block = np.zeros((2, len(e)))
        block[0, : self.p], block[1, self.p :] = e[: self.p], e[self.p :]
        c = (block**2).sum(1)
        w1, es1 = self.norms(), block @ self.s1
        mixed = 2 * self.wz @ block.T + np.outer(w1 + 2 * es1, c)
        ww = self.ww + mixed + mixed.T + 4 * block @ self.s2 @ block.T + self.n * np.outer(c, c)
        wz = self.wz + 2 * block @ self.s2 + np.outer(c, self.s1) + np.outer(w1 + 2 * es1 + self.n * c, e)
        cross = np.outer(self.s1, e)
        s2 = self.s2 + cross + cross.T + self.n * np.outer(e, e)
        return replace(self, pivot=pivot, s1=self.s1 + self.n * e, s2=s2, wz=wz, ww=ww)

    def plus(self, other: PairedMoments, sign: float = 1.0) -> PairedMoments:
        """Sums over the rows of both; with sign -1, over the rows of self that are not in other."""
        other = other.about(self.pivot)
        added = {name: getattr(self, name) + sign * getattr(other, name) for name in ("s1", "s2", "wz", "ww")}
        return replace(self, n=self.n + int(sign) * other.n, **added)

    def centred(self) -> tuple[Array, Array, Array, Array]:
        """X'X (p, p), Y'Y (q, q), X'Y (p, q) and the (2, 2) sums of products of squared row norms, all centred."""
        moved = self.about(self.pivot + self.s1 / self.n)
        p = self.p
        return moved.s2[:p, :p], moved.s2[p:, p:], moved.s2[:p, p:], moved.ww


class PairedStatistics:
    """Sufficient statistics of a stream of paired rows x (n, p), y (n, q); memory (p + q)^2, whatever n.

    Args:
        blocks: random blocks of rows whose sums are kept apart, for delete-a-block standard errors; 0: only the total.

    Raises:
        ValueError: if `blocks` is 1 or negative.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> halves = [PairedStatistics().add(x[i::2], x[i::2] + 1) for i in (0, 1)]
        >>> halves[0].merge(halves[1]).n
        100
    """

    def __init__(self, *, blocks: int = 0) -> None:
        if blocks < 0 or blocks == 1:
            raise ValueError(f"blocks is {blocks}; allowed: 0, or at least 2 blocks of rows")
        self.blocks = blocks
        self._parts: list[PairedMoments | None] = [None] * max(1, blocks)
        self._n = 0

    @property
    def n(self) -> int:
        """Rows seen so far."""
        return self._n

    @property
    def moments(self) -> PairedMoments:
        """Sums over all rows.

        Raises:
            ValueError: if nothing was added.
        """
        parts = [part for part in self._parts if part is not None]
        if not parts:
            raise ValueError("x is an empty PairedStatistics; add rows first")
        total = parts[0]
        for part in parts[1:]:
            total = total.plus(part)
        return total

    def leave_out(self) -> Iterator[PairedMoments]:
        """Sums over all rows but one block's, for every block."""
        if self.blocks:
            total = self.moments
            for part in self._parts:
                if part is not None and part.n < total.n:
                    yield total.plus(part, -1.0)

    def add(self, x: ArrayLike, y: ArrayLike) -> Self:
        """Take in paired rows, on x's device; returns self.

        Raises:
            ValueError: if shapes do not fit each other or earlier rows, or a value is not finite.
        """
        a, b = _rows(x, "x"), _rows(y, "y")
        if a.shape[0] != b.shape[0]:
            raise ValueError(f"y has {b.shape[0]} rows; allowed: {a.shape[0]}, paired with the rows of x")
        held = next((part for part in self._parts if part is not None), None)
        if held is not None and (a.shape[1], b.shape[1]) != (held.p, len(held.pivot) - held.p):
            raise ValueError(f"x and y have {a.shape[1]} and {b.shape[1]} columns, which differs from the rows added before")
        n = a.shape[0]
        pivot = held.pivot if held is not None else np.concatenate([_mean(a), _mean(b)])
        order = np.random.default_rng(self._n).permutation(n) if self.blocks else np.arange(n)
        for j in range(max(1, self.blocks)):
            index = order[(j - self._n) % self.blocks :: self.blocks] if self.blocks else order
            step = max(256, (1 << 21) // len(pivot))
            for start in range(0, len(index), step):
                part = _chunk(a, b, index[start : start + step], pivot)
                old = self._parts[j]
                self._parts[j] = part if old is None else old.plus(part)
        self._n += n
        return self

    def merge(self, other: PairedStatistics) -> PairedStatistics:
        """New statistics over the rows of both; neither is changed.

        Raises:
            ValueError: if they were gathered with different blocks.
        """
        if self.blocks != other.blocks:
            raise ValueError(f"other has {other.blocks} blocks; allowed: {self.blocks}")
        both = PairedStatistics(blocks=self.blocks)
        both._parts = [a.plus(b) if a and b else (a or b) for a, b in zip(self._parts, other._parts, strict=True)]
        both._n = self._n + other._n
        return both


def _rows(x: Any, name: str) -> Any:
    rows: Any = x.detach() if is_tensor(x) else numpy_of(x, name)
    if len(rows.shape) != 2 or 0 in rows.shape:
        raise ValueError(f"{name} has shape {tuple(rows.shape)}; allowed: (n, d) with n, d >= 1")
    if not is_tensor(rows):
        if rows.dtype.kind not in "fiub":
            raise ValueError(f"{name} has dtype {rows.dtype}; allowed: a real numeric array")
        require_finite(rows, name)
    elif not bool((rows == rows).all()) or bool((rows.double() if rows.element_size() < 4 else rows).abs().max() == float("inf")):
        require_finite(numpy_of(rows, name), name)
    return rows


def _mean(rows: Any) -> Array:
    """The mean of some rows: any point near the data serves as pivot."""
    return np.asarray(numpy_of(rows[:1024], "x").astype(np.float64).mean(0))


def _chunk(a: Any, b: Any, index: np.ndarray, pivot: Array) -> PairedMoments:
    p = a.shape[1]
    if is_tensor(a) and is_tensor(b):
        try:
            wide = (a[index].double(), b[index].to(a.device).double())
        except (TypeError, RuntimeError):  # a device without float64
            wide = (a[index].cpu().double(), b[index].cpu().double())
        x, y = wide[0] - wide[0].new_tensor(pivot[:p]), wide[1] - wide[1].new_tensor(pivot[p:])
        xx, yy, xy = x.T @ x, y.T @ y, x.T @ y
        u, v = (x * x).sum(1), (y * y).sum(1)
        pieces = [t.cpu().numpy() for t in (x.sum(0), y.sum(0), xx, yy, xy, x.T @ u, x.T @ v, y.T @ u, y.T @ v, u, v)]
    else:
        x = numpy_of(a[index], "x").astype(np.float64) - pivot[:p]
        y = numpy_of(b[index], "y").astype(np.float64) - pivot[p:]
        u, v = (x * x).sum(1), (y * y).sum(1)
        pieces = [x.sum(0), y.sum(0), x.T @ x, y.T @ y, x.T @ y, x.T @ u, x.T @ v, y.T @ u, y.T @ v, u, v]
    sx, sy, xx, yy, xy, xu, xv, yu, yv, u, v = pieces
    w = np.stack([u, v])
    s2 = np.block([[xx, xy], [xy.T, yy]])
    wz = np.stack([np.concatenate([xu, yu]), np.concatenate([xv, yv])])
    return PairedMoments(p, pivot, len(index), np.concatenate([sx, sy]), s2, wz, w @ w.T)
