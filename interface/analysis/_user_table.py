"""A user's own table, read and checked: whatever is wrong with it is said in one line that names the column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from interface.analysis._notes import Note, note

AdaptIs = Literal["loss", "error", "accuracy"]
_ADAPT_IS = ("loss", "error", "accuracy")


@dataclass(frozen=True, eq=False)
class UserTable:
    """Two losses a row, in the order of training inside each run.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error (lower is better).
        run, cluster: (n,) codes; run_names, cluster_names: what they stand for.
        family, size: (n,) codes and numbers, None where not given.
        names: names of the columns pre and adapt.
        adapt_is: what y is: "loss" or "error".
        cluster_kind: the column that clusters; own_cluster: whether it was given, and is not just the run.
        has_step: whether a step column fixed the order.
        notes: doubts found while reading.
    """

    x: np.ndarray
    y: np.ndarray
    run: np.ndarray
    run_names: tuple[str, ...]
    cluster: np.ndarray
    cluster_names: tuple[str, ...]
    family: np.ndarray | None
    size: np.ndarray | None
    names: tuple[str, str]
    adapt_is: Literal["loss", "error"]
    cluster_kind: str
    own_cluster: bool
    has_step: bool
    notes: tuple[Note, ...]

    def subset(self, keep: np.ndarray) -> UserTable:
        """The rows to keep, with codes numbered anew."""
        run, run_names = _renumbered(self.run[keep], self.run_names)
        cluster, cluster_names = _renumbered(self.cluster[keep], self.cluster_names)
        return replace(
            self,
            x=self.x[keep],
            y=self.y[keep],
            run=run,
            run_names=run_names,
            cluster=cluster,
            cluster_names=cluster_names,
            family=None if self.family is None else np.unique(self.family[keep], return_inverse=True)[1],
            size=None if self.size is None else self.size[keep],
        )


def read_user_table(
    frame: pd.DataFrame,
    *,
    pre: str,
    adapt: str,
    run: str,
    adapt_is: AdaptIs,
    cluster: str | None = None,
    family: str | None = None,
    size: str | None = None,
    step: str | None = None,
) -> UserTable:
    """The checked table, with accuracy turned into error and rows in the order of run and step.

    Raises:
        ValueError: if the table is empty, a column is missing, not numeric or not finite, a run is unnamed, lies in two clusters,
            families or sizes, or occurs twice at one step; if there are fewer than two runs or clusters; if a loss does not vary.
    """
    if adapt_is not in _ADAPT_IS:
        allowed = ", ".join(map(repr, _ADAPT_IS))
        raise ValueError(f"adapt_is is {adapt_is!r}; allowed: {allowed} (no default: the wrong one turns the verdict round)")
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"the table is a {type(frame).__name__}; allowed: a pandas DataFrame (pd.read_csv makes one)")
    given = {"pre": pre, "adapt": adapt, "run": run, "cluster": cluster, "family": family, "size": size, "step": step}
    for role, column in given.items():
        if column is None:
            continue
        matches = int(sum(name == column for name in frame.columns))
        if matches != 1:
            fault = "is not in the table" if not matches else f"occurs {matches} times in the table"
            raise ValueError(f"column {column!r} (given as {role}) {fault}; it has {', '.join(map(str, frame.columns))}")
    if not len(frame):
        raise ValueError("the table has no rows")
    x, y = _finite(frame, pre), _finite(frame, adapt)
    notes: list[Note] = []
    if adapt_is == "accuracy":
        notes.append(note(6))
    if adapt_is != "loss":
        if y.min() < 0 or y.max() > 1:
            fix = "divide percentages by 100" if y.min() >= 0 else "is it a loss? then say adapt_is='loss'"
            raise ValueError(f"column {adapt!r} ranges from {y.min():g} to {y.max():g}; an {adapt_is} lies in [0, 1]: {fix}")
        y = 1 - y if adapt_is == "accuracy" else y
    runs, run_names = _codes(frame, run)
    clusters, cluster_names = _codes(frame, cluster or run)
    families = _codes(frame, family)[0] if family else None
    sizes = _finite(frame, size) if size else None
    if sizes is not None and sizes.min() <= 0:
        raise ValueError(f"column {size!r} holds {sizes.min():g}; a size is a positive number, such as a parameter count")
    for column, values in ((cluster, clusters), (family, families), (size, sizes)):
        if values is not None and column and column != run:
            _refuse_split(runs, values, run_names, column)
    if len(run_names) < 2:
        raise ValueError(f"column {run!r} holds one run ({run_names[0]}); runs are the unit of inference, at least 2 are needed")
    if len(cluster_names) < 2:
        raise ValueError(f"column {cluster!r} holds one cluster ({cluster_names[0]}); at least 2 are needed, or leave cluster out")
    for column, values in ((pre, x), (adapt, y)):
        if np.ptp(values) <= 1e-12 * np.abs(values).max():
            raise ValueError(f"column {column!r} is constant ({values[0]:g}); there is nothing to relate")
    order = np.argsort(runs, kind="stable")
    if step:
        steps = _finite(frame, step)
        order = np.lexsort((steps, runs))
        if (twice := pd.DataFrame({"run": runs, "step": steps}).duplicated()).any():
            row = int(np.argmax(twice.to_numpy()))
            raise ValueError(
                f"run {run_names[runs[row]]} has two rows at {step} {steps[row]:g} ({int(twice.sum())} such row(s)); "
                "keep one, or average them, or tell the runs apart"
            )
    if repeated := int(pd.DataFrame({"x": x, "y": y}).duplicated().sum()):
        inside = int(pd.DataFrame({"r": runs, "x": x, "y": y}).duplicated().sum())
        notes.append(note(4, n=repeated, where=f"{inside} inside a run, {repeated - inside} in another"))
    return UserTable(
        x=x[order],
        y=y[order],
        run=runs[order],
        run_names=run_names,
        cluster=clusters[order],
        cluster_names=cluster_names,
        family=None if families is None else families[order],
        size=None if sizes is None else sizes[order],
        names=(pre, adapt),
        adapt_is="loss" if adapt_is == "loss" else "error",
        cluster_kind=cluster or run,
        own_cluster=cluster is not None,
        has_step=step is not None,
        notes=tuple(notes),
    )


def _finite(frame: pd.DataFrame, column: str) -> np.ndarray:
    values = pd.to_numeric(frame[column], errors="coerce")
    unread = (values.isna() & frame[column].notna()).to_numpy()
    if unread.any():
        value = frame[column].iloc[int(np.argmax(unread))]
        raise ValueError(f"column {column!r} holds {value!r}, which is not a number; clean or drop it")
    array = values.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(array)
    if bad.any():
        where = frame.index[int(np.argmax(bad))]
        count = int(bad.sum())
        raise ValueError(f"column {column!r} holds {count} value(s) that are not finite (first: row {where}); drop or impute them")
    return array


def _codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    empty = frame[column].isna().to_numpy()
    if empty.any():
        where = frame.index[int(np.argmax(empty))]
        raise ValueError(f"column {column!r} is empty in {int(empty.sum())} row(s) (first in row {where}); name them or drop them")
    codes, names = pd.factorize(frame[column])
    return codes.astype(np.int64), tuple(map(str, names))


def _refuse_split(runs: np.ndarray, values: np.ndarray, run_names: tuple[str, ...], column: str) -> None:
    kinds = pd.Series(values).groupby(runs).nunique()
    if (kinds > 1).any():
        name = run_names[int(kinds.index[kinds > 1][0])]
        raise ValueError(f"run {name} has {int(kinds.max())} values of {column!r}; a run lies in one: do two runs share a name?")


def _renumbered(codes: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    kept, new = np.unique(codes, return_inverse=True)
    return new, tuple(names[code] for code in kept)
