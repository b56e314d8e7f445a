"""A user's own table, read and checked: whatever is wrong with it is said in one line that names the column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from interface.analysis._notes import Note, note

AdaptIs = Literal["loss", "error", "accuracy"]
Draws = Literal["unknown", "independent", "shared"]
_ADAPT_IS = ("loss", "error", "accuracy")
_DRAWS = ("unknown", "independent", "shared")
_CONVERGED = ("ok", "true", "converged", "1", "1.0")
LARGEST, SMALLEST = 1e50, 1e-50  # beyond these a square of squares is no longer a number, or 0
SHOWN = 60  # characters of a name in a message
COLUMNS_SHOWN = 20  # columns in a message


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
    status: str | None = None,
    draws: Draws = "unknown",
) -> UserTable:
    """The checked table, with accuracy turned into error and rows in the order of run and step.

    Raises:
        ValueError: if the table is empty, a column is missing, not numeric or not finite, a run is unnamed, lies in two clusters,
            families or sizes, or occurs twice at one step; if there are fewer than two runs or clusters; if a loss does not vary.
    """
    if draws not in _DRAWS:
        raise ValueError(f"draws is {draws!r}; allowed: {', '.join(map(repr, _DRAWS))}")
    if adapt_is not in _ADAPT_IS:
        allowed = ", ".join(map(repr, _ADAPT_IS))
        raise ValueError(f"adapt_is is {adapt_is!r}; allowed: {allowed} (no default: the wrong one turns the verdict round)")
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"the table is a {type(frame).__name__}; allowed: a pandas DataFrame (pd.read_csv makes one)")
    given = {"pre": pre, "adapt": adapt, "run": run, "cluster": cluster, "family": family, "size": size, "step": step}
    given["status"] = status
    for role, column in given.items():
        if column is None:
            continue
        matches = int(sum(name == column for name in frame.columns))
        if matches != 1:
            fault = "is not in the table" if not matches else f"occurs {matches} times in the table"
            raise ValueError(f"column {column!r} (given as {role}) {fault}; it has {listed(frame.columns)}")
    if not len(frame):
        raise ValueError("the table has no rows")
    x, y = _finite(frame, pre), _finite(frame, adapt)
    notes: list[Note] = {"unknown": [note(3)], "shared": [note(19)]}.get(draws, [])
    if status is not None:
        notes += _unconverged(frame[status])
    if adapt_is == "accuracy":
        notes.append(note(6))
    if adapt_is != "loss":
        if y.min() < 0 or y.max() > 1:
            fix = "divide percentages by 100" if y.min() >= 0 else "is it a loss? then say adapt_is='loss'"
            raise ValueError(f"column {adapt!r} ranges from {y.min():g} to {y.max():g}; an {adapt_is} lies in [0, 1]: {fix}")
        y = 1 - y if adapt_is == "accuracy" else y
    runs, run_names = _codes(frame, run)
    clusters, cluster_names = _codes(frame, run if cluster is None else cluster)
    families = None if family is None else _codes(frame, family)[0]
    sizes = None if size is None else _finite(frame, size)
    if sizes is not None and sizes.min() <= 0:
        raise ValueError(f"column {size!r} holds {sizes.min():g}; a size is a positive number, such as a parameter count")
    for column, values in ((cluster, clusters), (family, families), (size, sizes)):
        if values is not None and column is not None and column != run:
            _refuse_split(runs, values, run_names, column)
    if len(run_names) < 2:
        raise ValueError(
            f"column {run!r} holds one run ({shown(run_names[0])}); runs are the unit of inference, at least 2 are needed"
        )
    if len(cluster_names) < 2:
        raise ValueError(
            f"column {cluster!r} holds one cluster ({shown(cluster_names[0])}); at least 2 are needed, or leave cluster out"
        )
    for column, values in ((pre, x), (adapt, y)):
        if np.ptp(values) <= 1e-12 * np.abs(values).max():
            raise ValueError(f"column {column!r} is constant ({values[0]:g}); there is nothing to relate")
        if np.ptp(values) < SMALLEST:
            raise ValueError(f"column {column!r} varies by {np.ptp(values):.2g} only; squares of that are rounded to 0: rescale it")
    order = np.argsort(runs, kind="stable")
    if step is not None:
        steps = _finite(frame, step)
        order = np.lexsort((steps, runs))
        if (twice := pd.DataFrame({"run": runs, "step": steps}).duplicated()).any():
            row = int(np.argmax(twice.to_numpy()))
            raise ValueError(
                f"run {shown(run_names[runs[row]])} has two rows at {shown(step)} {steps[row]:g} ({int(twice.sum())} such row(s)); "
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
        names=(shown(pre), shown(adapt)),
        adapt_is="loss" if adapt_is == "loss" else "error",
        cluster_kind=shown(run if cluster is None else cluster),
        own_cluster=cluster is not None,
        has_step=step is not None,
        notes=tuple(notes),
    )


def shown(name: object, length: int = SHOWN) -> str:
    """A name on one line of at most `length` characters, whatever it holds."""
    text = str(name)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text if len(text) <= length else text[: length - 3] + "..."


def listed(names: Iterable[object]) -> str:
    """The first names, and how many more there are."""
    texts = [shown(name) for name in names]
    more = len(texts) - COLUMNS_SHOWN
    return ", ".join(texts[:COLUMNS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _finite(frame: pd.DataFrame, column: str) -> np.ndarray:
    values = frame[column]
    if values.dtype.kind in "bcmM":
        what = {"b": "true or false", "c": "complex numbers"}.get(values.dtype.kind, "dates or durations")
        raise ValueError(f"column {column!r} holds {what}; allowed: numbers")
    try:
        read = pd.to_numeric(values, errors="coerce")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"column {column!r} cannot be read as numbers: {shown(error)}") from None
    unread = (read.isna() & values.notna()).to_numpy()
    if unread.any():
        value = values.iloc[int(np.argmax(unread))]
        raise ValueError(f"column {column!r} holds {shown(repr(value))}, which is not a number ({int(unread.sum())} such row(s))")
    if read.dtype.kind == "c":
        raise ValueError(f"column {column!r} holds complex numbers; allowed: numbers")
    array = read.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(array)
    if bad.any():
        where = shown(frame.index[int(np.argmax(bad))])
        count = int(bad.sum())
        raise ValueError(f"column {column!r} holds {count} value(s) that are not finite (first: row {where}); drop those rows")
    if (largest := float(np.abs(array).max())) > LARGEST:
        raise ValueError(f"column {column!r} holds {largest:.2g}; squares of such numbers overflow: rescale it")
    return array


def _codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    values = frame[column]
    try:
        codes, names = pd.factorize(values)
    except TypeError:
        raise ValueError(f"column {column!r} holds lists or dicts; allowed: names or numbers") from None
    blank = np.array([isinstance(name, str) and not name.strip() for name in names] + [True])  # the last is for what is missing
    if (empty := blank[codes]).any():
        where = shown(frame.index[int(np.argmax(empty))])
        raise ValueError(f"column {column!r} is empty in {int(empty.sum())} row(s) (first in row {where}); name them or drop them")
    texts = tuple(map(str, names))
    if len(set(texts)) < len(texts):
        twice = pd.Series(texts)[pd.Series(texts).duplicated()].iloc[0]
        raise ValueError(f"column {column!r} holds {shown(twice)} both as text and as a number; make it one type")
    return codes.astype(np.int64), texts


def _unconverged(status: pd.Series) -> list[Note]:
    """Note 18, if a row is not marked as converged."""
    words = status.astype(str).str.strip().str.lower().where(status.notna(), "empty")
    bad = words[~words.isin(_CONVERGED)]
    if not len(bad):
        return []
    kinds = ", ".join(f"{shown(word)} {count}" for word, count in bad.value_counts().head(5).items())
    return [note(18, n=len(bad), of=len(words), kinds=kinds)]


def _refuse_split(runs: np.ndarray, values: np.ndarray, run_names: tuple[str, ...], column: str) -> None:
    kinds = pd.Series(values).groupby(runs).nunique()
    if (kinds > 1).any():
        name = shown(run_names[int(kinds.index[kinds > 1][0])])
        raise ValueError(f"run {name} has {int(kinds.max())} values of {column!r}; a run lies in one: do two runs share a name?")


def _renumbered(codes: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    kept, new = np.unique(codes, return_inverse=True)
    return new, tuple(names[code] for code in kept)
