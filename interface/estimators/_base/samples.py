"""The rows behind a score, either at hand or as sums, with the leave-a-block-out replicates for its standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base.inputs import Array, Codes, class_codes, is_tensor, matrix, numpy_of, real_targets
from interface.estimators._base.moments import Moments
from interface.estimators._base.statistics import Statistics

BLOCKS = 24  # the jackknife over g blocks has a t distribution with about g - 1 degrees of freedom: 94.2% at 1.96
SMALL = 300_000  # n d, below which rows are kept at hand and singular values are taken from them
CHEAP = 3e9  # flops that a default standard error may cost on top of the value
EIGEN = 10.0  # flops of an eigendecomposition, in units of d^3


@dataclass
class Sample:
    """Rows as the scores see them. `x` is None where only sums were given."""

    n: int
    d: int
    x: Array | None
    codes: Codes | None
    targets: Array | None
    blocks: int
    statistics: Statistics | None = None
    raw: Any = None
    _moments: Moments | None = field(default=None, repr=False)
    by_rows: bool = False

    @property
    def small(self) -> bool:
        """Whether values and replicates are computed from the rows themselves."""
        return self.x is not None and (self.by_rows or self.n * self.d <= SMALL)

    def rows(self) -> Array | None:
        """(n, d) rows on the CPU, or None; large inputs are converted only where a score needs them."""
        if self.x is None and self.raw is not None:
            self.x = matrix(self.raw)
        return self.x

    @property
    def moments(self) -> Moments:
        if self._moments is None:
            self._moments = self.gathered().moments
        return self._moments

    def gathered(self) -> Statistics:
        """The sums over the rows, gathered in one pass when first asked for."""
        if self.statistics is None:
            source = self.x if self.x is not None else self.raw
            self.statistics = Statistics(blocks=0 if self.small else self.blocks)
            self.statistics.add(source, self.codes, targets=self.targets)
        return self.statistics

    def replicates(self) -> Iterator[Sample]:
        """The sample without one random block of rows, for every block."""
        if not self.blocks:
            return
        if self.small:
            assert self.x is not None
            for keep in kept_rows(self.n, self.blocks):
                codes = None if self.codes is None else np.unique(self.codes[keep], return_inverse=True)[1]
                targets = None if self.targets is None else self.targets[keep]
                yield Sample(len(keep), self.d, self.x[keep], codes, targets, 0, by_rows=self.by_rows)
            return
        statistics = self.gathered()
        for moments in statistics.leave_out():
            yield Sample(moments.n, self.d, None, None, None, 0, _moments=moments)


def kept_rows(n: int, blocks: int) -> Iterator[np.ndarray]:
    """Row indices without one random block, for every block; always the same for equal n."""
    order = np.random.default_rng(n).permutation(n)
    for j in range(blocks):
        yield np.sort(np.delete(order, np.s_[j::blocks]))


def sample(
    features: ArrayLike | Statistics,
    labels: ArrayLike | None = None,
    *,
    targets: ArrayLike | None = None,
    blocks: int | None = None,
    labelled: bool = False,
    by_rows: bool = False,
    cost: float = EIGEN,
) -> Sample:
    """Checked input of a score: rows with labels, or a Statistics that already saw both.

    Args:
        features: (n, d) rows, or Statistics.
        labels: (n,) classes; None with Statistics.
        targets: (n, k) regression targets; None with Statistics.
        blocks: blocks for the standard error; None takes BLOCKS where that is cheap beside the value, else 0.
        labelled: whether labels are required.
        by_rows: take rows, where given, instead of gathering sums.
        cost: flops of one evaluation from sums, in units of d^3.
    """
    if blocks is not None and (blocks < 0 or blocks == 1):
        raise ValueError(f"blocks is {blocks}; allowed: None, 0, or at least 2 blocks of rows")
    if isinstance(features, Statistics):
        if labels is not None or targets is not None:
            raise ValueError("labels must be given to Statistics.add, beside its features")
        if blocks and blocks != features.blocks:
            raise ValueError(f"blocks is {blocks}, but features was gathered with Statistics(blocks={features.blocks})")
        moments = features.moments
        if labelled and moments.classes is None:
            raise ValueError("labels is None; this score needs labels: Statistics().add(features, labels)")
        held = features.blocks if blocks is None else blocks
        return Sample(moments.n, moments.d, None, None, None, held, features, None, moments)
    raw: Any = features if is_tensor(features) else numpy_of(features, "features")
    shape = tuple(raw.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"features has shape {shape}; allowed: (n, d) with n, d >= 1")
    n, d = shape
    codes = class_codes(labels, n)[0] if labelled or labels is not None else None  # type: ignore[arg-type]
    values = None if targets is None else real_targets(targets, n)
    small = by_rows or n * d <= SMALL
    if blocks is None:
        each = cost * float(min(n, d) ** 2 * max(n if small else d, d))
        blocks = BLOCKS if BLOCKS * each <= max(CHEAP, float(n) * d * d) else 0
    blocks = blocks if n >= 2 * max(blocks, 2) else (n if n >= 4 else 0) if blocks else 0
    x = matrix(raw) if small else None
    return Sample(n, d, x, codes, values, blocks, raw=None if small else raw, by_rows=by_rows)


def jackknife(replicates: list[float]) -> float | None:
    """Delete-a-block jackknife standard error; None where a replicate is not finite or there are fewer than two.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, equation (11.5), with blocks for rows.
    """
    values = np.asarray(replicates, dtype=np.float64)
    g = len(values)
    if g < 2 or not np.isfinite(values).all():
        return None
    return float(np.sqrt((g - 1) / g * np.sum((values - values.mean()) ** 2)))


def scored(rows: Sample, value: Callable[[Sample], tuple[float, str]]) -> Estimate:
    """Estimate of `value` on the sample, with the delete-a-block standard error."""
    point, status = value(rows)
    stderr = None
    if rows.blocks and np.isfinite(point):
        stderr = jackknife([value(replicate)[0] for replicate in rows.replicates()])
    return Estimate(point, stderr=stderr, how="plug_in", n=rows.n, status=status)


def rowwise(value: Callable[[np.ndarray], float], n: int, blocks: int | None) -> float | None:
    """Delete-a-block standard error of a function of row indices; blocks None means BLOCKS."""
    if blocks is not None and (blocks < 0 or blocks == 1):
        raise ValueError(f"blocks is {blocks}; allowed: None, 0, or at least 2 blocks of rows")
    g = BLOCKS if blocks is None else blocks
    if g == 0 or n < 4:
        return None
    return jackknife([value(keep) for keep in kept_rows(n, min(g, n))])
