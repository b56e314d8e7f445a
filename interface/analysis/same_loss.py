"""Same loss, different transfer: pairs of runs whose L_pre agree and whose brackets on L*_adapt do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from interface.analysis._user_table import listed, shown

COMPARABLE = (
    "source", "instance", "pretext", "target", "shift", "strength", "adaptation", "n_labels", "depth", "readout", "replicate",
    "unit",
)  # fmt: skip
TREATMENTS = ("encoder", "n_unlabelled", "views", "lr", "optimizer", "batch", "seed", "step")
MOST_PAIRS = 50_000_000  # pairs of checkpoints looked at; beyond it memory ends before patience does


@dataclass(frozen=True, eq=False)
class SameLoss:
    """Pairs of runs that pretraining loss does not tell apart and transfer does.

    Args:
        pairs: one row a pair, the widest gap first: what both share, run_a, run_b (a transfers better), pre_a, pre_b, low_a,
            high_a, low_b, high_b, gap (low_b - high_a, in the unit of L*_adapt), NAME_a and NAME_b for each treatment that
            differs somewhere, and `differs`: in words what differs between the two.
        compared: pairs of runs that pass within the tolerance; each is compared once, where their losses are nearest.
        tolerance: largest difference in L_pre that counts as equal.
    """

    pairs: pd.DataFrame
    compared: int
    tolerance: float

    def __str__(self) -> str:
        head = f"{len(self.pairs)} of {self.compared} pairs of runs within {self.tolerance:g} in L_pre "
        head += "have brackets that do not overlap"
        rows = self.pairs.head(10).itertuples()
        lines = [f"  gap {row.gap:.3g}: {shown(row.run_a)} better than {shown(row.run_b)}; {row.differs}" for row in rows]
        more = len(self.pairs) - len(lines)
        return "\n".join([head, *lines, *([f"  and {more} more"] if more > 0 else [])])


def same_loss(
    frame: pd.DataFrame,
    *,
    tolerance: float,
    margin: float = 0.0,
    pre: str = "l_pre_profiled",
    low: str | None = None,
    high: str | None = None,
    run: str = "run",
    within: Sequence[str] | None = None,
    treatments: Sequence[str] | None = None,
) -> SameLoss:
    """Pairs of runs within `tolerance` in L_pre whose brackets on L*_adapt do not overlap, with what differs between them.

    Two runs are compared at the pair of checkpoints whose losses are nearest: a choice that does not look at transfer. Where the
    bracket's sides are 95% limits, one pair of runs with equal L*_adapt is listed by chance in well under 5% of cases; with many
    pairs expect some.

    Args:
        frame: wide table, one row a checkpoint and target; or any table, with the columns named.
        tolerance: largest difference in L_pre, in its unit.
        margin: gap between the brackets that a pair must exceed, in the unit of L*_adapt. Exact losses have brackets of no width:
            there any two runs differ, and the margin says by how much matters.
        pre: column of the pretraining loss.
        low, high: columns of the bracket; by default l_adapt_lcb and l_adapt_ucb where they are finite (95% limits), else
            l_adapt_low and l_adapt_high.
        run: column of the run; checkpoints of one run are never compared.
        within: columns that must agree; by default what makes losses comparable: world, instance, pretext and target cell.
        treatments: columns that may differ and are listed; by default encoder, n_unlabelled, lr and the like.

    Raises:
        ValueError: if a column is missing, tolerance or margin is no number >= 0, a bracket is upside down, or pairs are too many.

    Example:
        >>> rows = [("a", 1.00, 0.2, 0.3, 32), ("b", 1.01, 0.5, 0.6, 128), ("c", 2.0, 0.9, 1.0, 32)]
        >>> table = pd.DataFrame(rows, columns=["run", "loss", "low", "high", "n"])
        >>> print(same_loss(table, tolerance=0.05, pre="loss", low="low", high="high", within=[], treatments=["n"]))
        1 of 1 pairs of runs within 0.05 in L_pre have brackets that do not overlap
          gap 0.2: a better than b; n 32 / 128
    """
    for name, value in (("tolerance", tolerance), ("margin", margin)):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"same_loss: {name} is {value!r}; allowed: a finite number >= 0")
    shared = [name for name in COMPARABLE if name in frame.columns] if within is None else list(within)
    varied = [name for name in TREATMENTS if name in frame.columns] if treatments is None else list(treatments)
    missing = [name for name in (pre, run, *shared, *varied, *((low, high) if low and high else ())) if name not in frame.columns]
    if missing or (low is None) != (high is None):
        raise ValueError(f"same_loss: the table lacks {listed(missing) or 'a second side: give low and high'}")
    values, bottom, top = _bracket(frame, pre, low, high)
    keep = np.isfinite(values) & np.isfinite(bottom) & np.isfinite(top)
    table, values, bottom, top = frame[keep].reset_index(drop=True), values[keep], bottom[keep], top[keep]
    if (bottom > top).any():
        row = int(np.argmax(bottom > top))
        where = f"{bottom[row]:g} above {top[row]:g}, run {shown(table[run].iloc[row])}"
        raise ValueError(f"same_loss: a bracket is upside down ({where})")
    one, two, compared = _nearest(values, pd.factorize(table[run])[0], _group(table, shared), tolerance)
    apart = np.maximum(bottom[two] - top[one], bottom[one] - top[two]) > margin
    one, two = one[apart], two[apart]
    worse = bottom[one] > top[two]
    one, two = np.where(worse, two, one), np.where(worse, one, two)
    gap = bottom[two] - top[one]
    order = np.argsort(-gap, kind="stable")
    one, two, gap = one[order], two[order], gap[order]
    pairs = table[shared].iloc[one].reset_index(drop=True)
    for name, column in ((run, "run"), (pre, "pre")):
        pairs[f"{column}_a"], pairs[f"{column}_b"] = table[name].to_numpy()[one], table[name].to_numpy()[two]
    pairs = pairs.assign(low_a=bottom[one], high_a=top[one], low_b=bottom[two], high_b=top[two], gap=gap)
    return SameLoss(_described(pairs, table, varied, one, two), compared, float(tolerance))


def _bracket(frame: pd.DataFrame, pre: str, low: str | None, high: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def number(column: str) -> np.ndarray:
        if column not in frame.columns:
            return np.full(len(frame), np.nan)
        return np.asarray(pd.to_numeric(frame[column], errors="coerce"), dtype=np.float64)

    if low is not None and high is not None:
        return number(pre), number(low), number(high)
    sides = [(number(f"l_adapt_{limit}"), number(f"l_adapt_{point}")) for limit, point in (("lcb", "low"), ("ucb", "high"))]
    stated = np.isfinite(sides[0][0]) & np.isfinite(sides[1][0])
    bottom, top = (np.where(stated, limit, point) for limit, point in sides)
    crossed = ~stated & (bottom > top)  # point values of the two sides may cross by chance
    return number(pre), np.where(crossed, top, bottom), np.where(crossed, bottom, top)


def _group(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """(n,) codes: equal where all the columns are equal; missing is a value of its own."""
    joint = np.zeros(len(table), dtype=np.int64)
    for column in columns:
        code = pd.factorize(table[column], use_na_sentinel=False)[0].astype(np.int64)
        joint = pd.factorize(joint * (code.max(initial=0) + 1) + code)[0].astype(np.int64)
    return joint


def _nearest(x: np.ndarray, run: np.ndarray, group: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows (one, two) of each pair of runs of a group, where their x are nearest and within the tolerance; and how many."""
    order = np.lexsort((x, group))
    x, run, group = x[order], run[order], group[order]
    last = np.empty(len(x), dtype=np.int64)
    edges = [*np.flatnonzero(np.diff(group, prepend=-1)), len(x)]
    for first, end in pairwise(edges):
        last[first:end] = first + np.searchsorted(x[first:end], x[first:end] + tolerance, side="right")
    ahead = last - np.arange(len(x)) - 1
    if (total := int(ahead.sum())) > MOST_PAIRS:
        raise ValueError(f"same_loss: {total} pairs of checkpoints lie within {tolerance:g}; lower it (at most {MOST_PAIRS} pairs)")
    one = np.repeat(np.arange(len(x)), ahead)
    two = one + 1 + np.arange(total) - np.repeat(np.cumsum(ahead) - ahead, ahead)
    other = run[one] != run[two]
    one, two = one[other], two[other]
    low, high = np.minimum(run[one], run[two]), np.maximum(run[one], run[two])
    nearest = np.lexsort((x[two] - x[one], high, low, group[one]))
    one, two, key = one[nearest], two[nearest], np.stack([group[one], low, high])[:, nearest]
    new = np.ones(len(one), dtype=bool)
    new[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    return order[one[new]], order[two[new]], int(new.sum())


def _described(pairs: pd.DataFrame, table: pd.DataFrame, varied: list[str], one: np.ndarray, two: np.ndarray) -> pd.DataFrame:
    words = [list[str]() for _ in one]
    for name in varied:
        a, b = table[name].iloc[one].reset_index(drop=True), table[name].iloc[two].reset_index(drop=True)
        differ = ~((a == b) | (a.isna() & b.isna())).to_numpy(dtype=bool)
        if differ.any():
            pairs = pairs.assign(**{f"{name}_a": a, f"{name}_b": b})
        for index in np.flatnonzero(differ):
            words[index].append(f"{name} {shown(a.iloc[index])} / {shown(b.iloc[index])}")
    return pairs.assign(differs=["; ".join(parts) or "nothing that the table names" for parts in words])
