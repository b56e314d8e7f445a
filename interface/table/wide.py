"""The wide frame: one row a checkpoint and target cell, one column a quantity; what analysis, hypotheses and report consume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from interface.core import Row
from interface.table._base import COLUMNS, packed_key, refuse_duplicates, to_frame

CHECKPOINT = ("run", "step")
CELL = ("target", "adaptation", "n_labels", "depth", "readout", "replicate")  # what is evaluated at one checkpoint
IDENTITY = (
    "run", "step", "instance", "seed", "source", "target", "shift", "shift_kind", "strength", "pretext", "encoder", "n_params",
    "n_unlabelled", "views", "lr", "optimizer", "batch", "adaptation", "n_labels", "depth", "readout", "replicate", "unit",
    "device", "code",
)  # fmt: skip
RUN_FACTS = ("l_adapt_bayes",)  # measured once a run and cell; true at every step
FIRST = (
    "l_pre",
    "l_pre_profiled",
    "l_pre_profiled_low",
    "l_pre_profiled_high",
    "l_pre_excess",
    "l_adapt",
    "l_adapt_low",
    "l_adapt_high",
)


def wide(rows: Iterable[Row] | pd.DataFrame) -> pd.DataFrame:
    """One row per run, step and target cell, with columns q, q_stderr, q_how, q_status for every quantity q.

    A row with an adaptation belongs to exactly its cell. A row without one (a pretraining loss, a score of features on a
    target) is a fact of every cell that agrees with it where it is not null; where a checkpoint has no such cell, it gets a
    row of its own, so that nothing is lost. The Bayes loss, measured once a run, is repeated at every step. Exact adaptation
    losses are their own bracket: l_adapt_low = l_adapt_high = l_adapt.

    Args:
        rows: rows, or the long frame of `table.read`.

    Returns:
        Frame ordered by run, step and first appearance. Plain dtypes: str; int64, or float64 where an integer is null
        somewhere; float64. `unit`, `code` and `device` are those of l_adapt where the cell has one.

    Raises:
        ValueError: if a column or type is wrong, or the same row occurs twice.

    Example:
        >>> cell = dict(run="r", step=0, target="t", adaptation="LinearProbe", how="exact")
        >>> pre = Row(run="r", step=0, quantity="l_pre", value=2.0, how="exact")
        >>> frame = wide([pre, Row(quantity="l_adapt", value=0.5, **cell)])
        >>> frame[["target", "l_pre", "l_adapt", "l_adapt_high"]].values.tolist()
        [['t', 2.0, 0.5, 0.5]]
    """
    long = rows.drop(columns="spec", errors="ignore") if isinstance(rows, pd.DataFrame) else rows
    long = to_frame(long).reset_index(drop=True)
    if long.empty:
        raise ValueError("wide: the table has no row")
    refuse_duplicates(long, "wide")
    level, representative = _placed(long)
    first = long.iloc[representative]
    order = np.lexsort((first["step"], pd.factorize(first["run"].astype(str), sort=True)[0]))
    representative, rank = representative[order], np.argsort(order)
    filled = _Columns(long, len(representative))
    for rows_of_level, place in level:
        filled.put(rows_of_level, rank[place])
    filled.spread(packed_key(long.iloc[representative], ("run", *CELL)))
    out = pd.concat([_identity(long, representative), filled.frame()], axis=1)
    _exact_is_its_own_bracket(out)
    _a_floor_holds_at_every_step(out)
    return out


def _placed(long: pd.DataFrame) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Where each long row goes: [(long rows, their wide rows)], the most specific first, and one long row per wide row."""
    in_cell = long["adaptation"].notna().to_numpy()
    key, adapt = packed_key(long, CHECKPOINT + CELL), (long["quantity"] == "l_adapt").to_numpy()
    cells = np.flatnonzero(in_cell)
    place, _ = pd.factorize(key[cells])
    representative = _first(place, cells)
    chosen = adapt[cells]  # l_adapt speaks for its cell
    representative[place[chosen]] = cells[chosen]
    placed = [(cells, place)]

    present = long[list(CELL)].notna().to_numpy()
    patterns = np.unique(present[~in_cell], axis=0)
    for pattern in patterns[np.argsort(-patterns.sum(1), kind="stable")]:
        members = np.flatnonzero(~in_cell & (present == pattern).all(1))
        columns = CHECKPOINT + tuple(name for name, given in zip(CELL, pattern, strict=True) if given)
        both = packed_key(long.iloc[np.concatenate([representative, members])], columns)
        here, wanted = both[: len(representative)], both[len(representative) :]
        homeless = members[~np.isin(wanted, here)]
        if len(homeless):
            new, _ = pd.factorize(wanted[~np.isin(wanted, here)])
            representative = np.concatenate([representative, _first(new, homeless)])
            here = np.concatenate([here, pd.unique(wanted[~np.isin(wanted, here)])])
        # every pair of a member and a wide row with its key: sort the wide rows by key, repeat each member over its run of them
        by_key = np.argsort(here, kind="stable")
        start, stop = np.searchsorted(here[by_key], wanted, "left"), np.searchsorted(here[by_key], wanted, "right")
        times = stop - start
        offset = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        placed.append((np.repeat(members, times), by_key[np.repeat(start, times) + offset]))
    return placed, representative


def _first(groups: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The first of `rows` in each of the groups 0, 1, ..."""
    return rows[np.unique(groups, return_index=True)[1]] if len(rows) else rows


class _Columns:
    """Arrays (wide rows,) per quantity, filled from long rows; a more specific row, put earlier, is not overwritten."""

    def __init__(self, long: pd.DataFrame, length: int) -> None:
        self.long, self.length = long, length
        self.quantity, self.names = long["quantity"].cat.codes.to_numpy(), list(long["quantity"].cat.categories)
        self.source = {name: np.full(length, -1) for name in self.names}  # long row behind each wide value

    def put(self, rows: np.ndarray, place: np.ndarray) -> None:
        for code, name in enumerate(self.names):
            mine = self.quantity[rows] == code
            free = self.source[name][place[mine]] < 0
            self.source[name][place[mine][free]] = rows[mine][free]

    def spread(self, group: np.ndarray) -> None:
        """Gives facts of a run to all its steps; rows of one run and cell are equal in `group`."""
        for name in set(RUN_FACTS) & set(self.names):
            source = self.source[name]
            known = np.flatnonzero(source >= 0)
            first = pd.Series(source[known], index=group[known])
            first = first[~first.index.duplicated()]
            self.source[name] = first.reindex(group, fill_value=-1).to_numpy()

    def frame(self) -> pd.DataFrame:
        columns: dict[str, pd.Series | np.ndarray] = {}
        for name in _ordered(self.names):
            source = self.source[name]
            for suffix, field in (("", "value"), ("_stderr", "stderr")):
                columns[name + suffix] = np.where(source < 0, np.nan, self.long[field].to_numpy()[source])
            for field in ("how", "status"):
                column = pd.Series(self.long[field].array.take(source, allow_fill=True))  # null where the source is -1
                columns[f"{name}_{field}"] = _plain(column)
        return pd.DataFrame(columns)


def _ordered(names: Sequence[str]) -> list[str]:
    return [name for name in FIRST if name in names] + sorted(set(names) - set(FIRST))


def _identity(long: pd.DataFrame, representative: np.ndarray) -> pd.DataFrame:
    out = long.loc[representative, list(IDENTITY)].reset_index(drop=True)
    for name in IDENTITY:
        if str(COLUMNS[name]) == "int64":
            out[name] = out[name].astype("float64" if out[name].isna().any() else "int64")
        elif str(COLUMNS[name]) != "double":
            out[name] = _plain(out[name])
    return out


def _plain(column: pd.Series) -> pd.Series:
    """A categorical column as strings, a null staying null."""
    return column.astype(column.cat.categories.dtype)


def _a_floor_holds_at_every_step(out: pd.DataFrame) -> None:
    """The Bayes loss is a fact of a cell, recorded at one step of a run: it is repeated at the others."""
    if "l_adapt_bayes" not in out:
        return
    cells = pd.Series(packed_key(out, ("run", *CELL)))
    for suffix in ("", "_stderr", "_how", "_status"):
        out["l_adapt_bayes" + suffix] = out["l_adapt_bayes" + suffix].groupby(cells).transform("first")


def _exact_is_its_own_bracket(out: pd.DataFrame) -> None:
    if "l_adapt" not in out:
        return
    exact = (out["l_adapt_how"] == "exact").to_numpy()
    for side in ("l_adapt_low", "l_adapt_high"):
        for suffix in ("", "_stderr", "_how", "_status"):
            if side + suffix not in out:
                out[side + suffix] = pd.Series(np.nan, index=out.index, dtype=out["l_adapt" + suffix].dtype)
            out.loc[exact, side + suffix] = out.loc[exact, "l_adapt" + suffix]
