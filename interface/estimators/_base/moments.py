"""Sums over rows, about a fixed pivot, from which every moment-based score is computed; additive, so mergeable."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from interface.estimators._base.inputs import Array


@dataclass(frozen=True)
class Moments:
    """Sums of a = x - pivot over rows. The pivot, near the mean, keeps a large offset from costing digits.

    Args:
        pivot: (d,) what was subtracted.
        n: number of rows.
        s1, s2: (d,) and (d, d) sums of a and of a a'.
        q4, v3: sums of |a|^4 and of |a|^2 a (d,), which Ledoit-Wolf shrinkage needs.
        classes: (C,) sorted class labels, or None without labels.
        counts, sums, squares: (C,), (C, d), (C, d) rows, sums of a and of a^2 by class.
        products: (C, d, d) sums of a a' by class, or None.
        targets: sums (k,), (d, k), (k, k) of t, a t' and t t' for regression targets t, or None.
    """

    pivot: Array
    n: int
    s1: Array
    s2: Array
    q4: float
    v3: Array
    classes: np.ndarray | None = None
    counts: Array | None = None
    sums: Array | None = None
    squares: Array | None = None
    products: Array | None = None
    targets: tuple[Array, Array, Array] | None = None

    # ---- algebra ---------------------------------------------------------------------------------------------

    def about(self, pivot: Array) -> Moments:
        """The same rows about another pivot."""
        if np.array_equal(pivot, self.pivot):
            return self
        e = self.pivot - pivot  # the new a is a + e
        ee, trace, s1e = float(e @ e), float(np.trace(self.s2)), float(self.s1 @ e)
        cross = np.outer(self.s1, e)
        s2 = self.s2 + cross + cross.T + self.n * np.outer(e, e)
        q4 = self.q4 + 4 * self.v3 @ e + 4 * e @ self.s2 @ e + 2 * ee * trace + 4 * ee * s1e + self.n * ee**2
        v3 = self.v3 + trace * e + 2 * self.s2 @ e + 2 * s1e * e + ee * self.s1 + self.n * ee * e
        moved = replace(self, pivot=pivot, s1=self.s1 + self.n * e, s2=s2, q4=float(q4), v3=v3)
        if self.counts is not None and self.sums is not None and self.squares is not None:
            sums = self.sums + self.counts[:, None] * e
            squares = self.squares + 2 * self.sums * e + self.counts[:, None] * e**2
            products = self.products
            if products is not None:
                by_class = self.sums[:, :, None] * e
                products = products + by_class + by_class.transpose(0, 2, 1) + self.counts[:, None, None] * np.outer(e, e)
            moved = replace(moved, sums=sums, squares=squares, products=products)
        if self.targets is not None:
            t, xt, tt = self.targets
            moved = replace(moved, targets=(t, xt + np.outer(e, t), tt))
        return moved

    def over(self, classes: np.ndarray) -> Moments:
        """The same sums indexed by a superset of the classes."""
        if self.classes is None or np.array_equal(classes, self.classes):
            return self
        where = np.searchsorted(classes, self.classes)

        def spread(array: Array | None) -> Array | None:
            if array is None:
                return None
            wide = np.zeros((len(classes), *array.shape[1:]))
            wide[where] = array
            return wide

        return replace(
            self,
            classes=classes,
            counts=spread(self.counts),
            sums=spread(self.sums),
            squares=spread(self.squares),
            products=spread(self.products),
        )

    def plus(self, other: Moments, sign: float = 1.0) -> Moments:
        """Sums over the rows of both; with sign -1, over the rows of self that are not in other."""
        other = other.about(self.pivot)
        first = self
        if self.classes is not None and other.classes is not None and not np.array_equal(self.classes, other.classes):
            union = np.union1d(self.classes, other.classes)
            first, other = self.over(union), other.over(union)

        def add(a: Array | None, b: Array | None) -> Array | None:
            return None if a is None or b is None else a + sign * b

        return Moments(
            pivot=first.pivot,
            n=first.n + int(sign) * other.n,
            s1=first.s1 + sign * other.s1,
            s2=first.s2 + sign * other.s2,
            q4=first.q4 + sign * other.q4,
            v3=first.v3 + sign * other.v3,
            classes=first.classes,
            counts=add(first.counts, other.counts),
            sums=add(first.sums, other.sums),
            squares=add(first.squares, other.squares),
            products=add(first.products, other.products),
            targets=None
            if first.targets is None or other.targets is None
            else tuple(a + sign * b for a, b in zip(first.targets, other.targets, strict=True)),  # type: ignore[arg-type]
        )

    # ---- views -----------------------------------------------------------------------------------------------

    @property
    def d(self) -> int:
        return len(self.pivot)

    @property
    def shift(self) -> Array:
        """(d,) mean minus pivot."""
        return self.s1 / self.n

    @property
    def mean(self) -> Array:
        """(d,) mean of the features."""
        return self.pivot + self.shift

    def scatter(self) -> Array:
        """(d, d) sum of (x - mean)(x - mean)'."""
        scatter = self.s2 - np.outer(self.s1, self.shift)
        return 0.5 * (scatter + scatter.T)

    def gram(self) -> Array:
        """(d, d) X'X, not centred."""
        cross = np.outer(self.pivot, self.s1)
        gram = self.s2 + cross + cross.T + self.n * np.outer(self.pivot, self.pivot)
        return 0.5 * (gram + gram.T)

    def fourth(self) -> float:
        """Sum of |x - mean|^4."""
        return replace(self, products=None).about(self.mean).q4

    def present(self) -> np.ndarray:
        """Indices of the classes that have rows.

        Raises:
            ValueError: if the statistics were gathered without labels.
        """
        if self.counts is None:
            raise ValueError("labels is None; this score needs labels: Statistics().add(features, labels)")
        return np.flatnonzero(self.counts > 0)

    def class_counts(self) -> Array:
        """(C,) rows of every class present."""
        present = self.present()
        assert self.counts is not None
        return self.counts[present]

    def class_means(self) -> Array:
        """(C, d) class means minus the overall mean, of the classes present."""
        present = self.present()
        assert self.sums is not None
        assert self.counts is not None
        return self.sums[present] / self.counts[present, None] - self.shift

    def class_variances(self) -> Array:
        """(C, d) variances within every class present, divided by its number of rows."""
        present = self.present()
        assert self.sums is not None
        assert self.counts is not None
        assert self.squares is not None
        counts = self.counts[present, None]
        return np.maximum(self.squares[present] / counts - (self.sums[present] / counts) ** 2, 0.0)

    def between(self) -> Array:
        """(d, d) scatter of the class means, weighted by class counts."""
        means = self.class_means() * np.sqrt(self.class_counts())[:, None]
        return means.T @ means
