"""From measured losses to the two coordinates of every analysis: x for pretraining, y for adaptation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

RANGE_IN_ERRORS = 4.0  # an adaptation range below this many standard errors of one L* is noise
ROUND_OFF = 1e-9  # relative: exact losses that differ by less do not differ
IN_DOMAIN = "none"

CELL = ("source", "pretext", "encoder", "shift", "strength", "adaptation", "depth", "readout", "unit")
REQUIRED = (
    "run", "step", "instance", "source", "shift", "strength", "pretext", "encoder", "n_unlabelled", "lr",
    "l_pre_profiled", "l_adapt",
)  # fmt: skip
OPTIONAL = (
    "target", "shift_kind", "adaptation", "n_labels", "depth", "readout", "unit", "replicate", "seed", "optimizer", "batch",
    "l_adapt_stderr", "l_adapt_status", "l_adapt_bayes", "l_adapt_low", "l_adapt_high",
)  # fmt: skip
_NUMBERS = ("step", "strength", "n_unlabelled", "lr", "l_pre_profiled", "l_adapt", "l_adapt_stderr", "l_adapt_bayes",
            "l_adapt_low", "l_adapt_high")  # fmt: skip
_TARGET = ("target", "shift", "strength", "adaptation", "depth", "readout", "unit", "replicate")


def coordinates(frame: pd.DataFrame) -> pd.DataFrame:
    """x (share of the instance's pretraining drop still to go) and y (adaptation ranges above the best) of every row.

    * x = (L_prof - L_ref) / D. L_ref: lowest L_prof of any run with the largest n_unlabelled; D: mean L_prof at step 0 minus
      L_ref. Both are shared by all runs of one instance x pretext x encoder. x is not clipped to [0, 1].
    * y = (L* - M_i) / R_i. M_i, the floor: the Bayes loss where `l_adapt_bayes` gives it, else the lowest L* on the same
      target over all pretexts (supervised ones too) at the largest n_unlabelled, for this encoder shape. R_i, the range: mean
      over the *other* instances of U_j - M_j, with U_j the mean L* of their step-0 encoders of this pretext x encoder.
      With replicates (label directions) U_j - M_j is averaged over them first; M stays each replicate's own.
    * y_in_domain = (L* - M) / R with M and R of the in-domain target (strength 0; M averaged over replicates): the scale on
      which targets are compared, because a target's own M absorbs what all pretexts lack there.

    Args:
        frame: wide table, one row a checkpoint and target. Rows with a finite `n_labels` (learning curves) and rows without
            `l_adapt` are left out; an empty n_unlabelled means unlimited draws and counts as the largest.

    Returns:
        The design columns with x, y, y_in_domain, drop (D), floor and range (nats or squared units, as `unit` says),
        floor_in_domain, range_in_domain, and statuses. range_status, range_in_domain_status: "ok"; "own_range" (one instance
        only: its own range); "no_range" (R below 4 root-mean-square standard errors of one L*: y is nan); "no_step_0".
        drop_status: "ok"; "no_drop" (no run with the largest n_unlabelled falls below the start: x is nan); "no_step_0".

    Raises:
        ValueError: if a column is missing or not numeric, no row holds an L*, a checkpoint has no L_prof, or a row occurs
            twice.

    Example:
        >>> rows = [dict(run=f"{i}", step=s, instance=f"w-{i}", source="w", shift="none", strength=0.0, pretext="P", encoder="E",
        ...              n_unlabelled=8, lr=0.1, l_pre_profiled=5.0 - s, l_adapt=1.0 - s / 2) for i in "ab" for s in (0, 1)]
        >>> coordinates(pd.DataFrame(rows))[["x", "y"]].to_numpy().tolist()
        [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    """
    table = _rows(frame)
    group = Groups(table)
    if (twice := pd.Series(group("run", "step", *_TARGET)).duplicated().to_numpy()).any():
        row = table[twice].iloc[0]
        raise ValueError(
            f"frame holds {twice.sum()} row(s) twice, first run {row['run']}, step {row['step']}, shift {row['shift']}; "
            "one row a checkpoint and target is allowed: were two tables concatenated instead of merged?"
        )
    family = group("source", "instance", "pretext", "encoder")
    size = table["n_unlabelled"].to_numpy()
    largest = size == _each(family, size, "max")
    x, drop, drop_status = _pretraining(table, family, group("run", "step"), largest)

    loss = table["l_adapt"].to_numpy()
    cell = group(*CELL, "instance")
    floor = _floors(table, group("source", "instance", "encoder", *_TARGET), largest)
    span, status = _ranges(table, floor, cell, group(*CELL), group("source", "instance"))
    home = _in_domain(table, cell, group(*(c for c in CELL if c not in ("shift", "strength")), "instance"))
    known = home >= 0
    home_floor = np.where(known, _totals(cell, floor, np.ones(len(floor), bool))[home], np.nan)
    home_span = np.where(known, _representative(cell, span)[home], np.nan)
    home_status = np.where(known, _representative(cell, status)[home], "no in-domain rows")
    return table.assign(
        x=x,
        y=np.where(np.isin(status, ("ok", "own_range")), loss - floor, np.nan) / span,
        y_in_domain=np.where(np.isin(home_status, ("ok", "own_range")), loss - home_floor, np.nan) / home_span,
        drop=drop,
        drop_status=drop_status,
        floor=floor,
        range=span,
        floor_in_domain=home_floor,
        range_in_domain=home_span,
        range_status=status,
        range_in_domain_status=home_status,
    )


class Groups:
    """Integer codes of groups of rows; each column is coded once, and a missing value is a value of its own."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table, self._codes = table, dict[str, np.ndarray]()

    def __call__(self, *columns: str) -> np.ndarray:
        """(n,) codes in [0, k), numbered by first appearance: equal where all the columns are equal."""
        joint = np.zeros(len(self._table), dtype=np.int64)
        for column in columns:
            if column not in self._codes:
                self._codes[column] = pd.factorize(self._table[column], use_na_sentinel=False)[0].astype(np.int64)
            code = self._codes[column]
            joint = pd.factorize(joint * (code.max(initial=0) + 1) + code)[0].astype(np.int64)
        return joint


def numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    """(n,) float64 values of a numeric column, nan where empty.

    Raises:
        ValueError: if a value is not a number.
    """
    try:
        return frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        bad = next((v for v in frame[column] if not isinstance(v, (int, float, np.number)) and not pd.isna(v)), None)
        raise ValueError(f"column {column!r} holds {bad!r}, which is not a number; convert it with pd.to_numeric first") from None


def require(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Checks that the columns are there.

    Raises:
        ValueError: naming those that are not.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"frame lacks the column(s) {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that hold an L*, with all design columns, missing ones empty; numbers as float64."""
    require(frame, REQUIRED)
    keep = np.isfinite(numbers(frame, "l_adapt"))
    if "n_labels" in frame.columns:
        keep &= frame["n_labels"].isna().to_numpy()
    frame = frame.loc[keep, [c for c in (*REQUIRED, *OPTIONAL) if c in frame.columns]].reset_index(drop=True)
    if not len(frame):
        raise ValueError("no row of frame holds a finite l_adapt without n_labels; is it the wide table of a sweep?")
    table = frame.assign(**{c: None for c in OPTIONAL if c not in frame.columns})
    table = table.assign(**{column: numbers(table, column) for column in _NUMBERS})
    strength = np.nan_to_num(table["strength"].to_numpy())
    shift = table["shift"].astype(object)
    pre = table["l_pre_profiled"].to_numpy()
    if not np.isfinite(pre).all():
        row = table[~np.isfinite(pre)].iloc[0]
        raise ValueError(f"l_pre_profiled is not finite in run {row['run']}, step {row['step']}; measure it or drop the rows")
    return table.assign(
        strength=strength,
        shift=shift.where(shift.notna() & (strength != 0), IN_DOMAIN),
        step=table["step"].to_numpy().astype(np.int64),
        n_unlabelled=np.where(np.isnan(table["n_unlabelled"]), np.inf, table["n_unlabelled"]),
    )


def _pretraining(
    table: pd.DataFrame, family: np.ndarray, checkpoint: np.ndarray, largest: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, D and its status of every row. A checkpoint counts once, however many targets it was measured on."""
    pre, first = table["l_pre_profiled"].to_numpy(), ~pd.Series(checkpoint).duplicated().to_numpy()
    lowest = pd.Series(np.where(largest, pre, np.inf)).groupby(family).min().to_numpy()
    start = _totals(family, pre, first & (table["step"].to_numpy() == 0))
    drop = start - lowest
    status = np.select([np.isnan(drop), drop <= ROUND_OFF * np.abs(start)], ["no_step_0", "no_drop"], "ok")
    scale = np.where(status == "ok", drop, np.nan)
    return (pre - lowest[family]) / scale[family], drop[family], status[family]


def _floors(table: pd.DataFrame, target: np.ndarray, largest: np.ndarray) -> np.ndarray:
    loss, bayes = table["l_adapt"].to_numpy(), table["l_adapt_bayes"].to_numpy()
    lowest = pd.Series(np.where(largest, loss, np.inf)).groupby(target).min().to_numpy()[target]
    return np.where(np.isfinite(bayes), bayes, lowest)


def _ranges(
    table: pd.DataFrame, floor: np.ndarray, cell: np.ndarray, pooled: np.ndarray, instance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """R and its status of every row; `cell` tells instances apart, `pooled` does not."""
    loss, variance = table["l_adapt"].to_numpy(), table["l_adapt_stderr"].to_numpy() ** 2
    own = _totals(cell, loss - floor, table["step"].to_numpy() == 0)
    parent = _representative(cell, pooled)
    known = np.isfinite(own)
    total, count = np.bincount(parent, np.where(known, own, 0.0)), np.bincount(parent, known)
    others = count[parent] - known
    rest = total[parent] - np.where(known, own, 0.0)
    single = (others == 0) & known
    span = np.where(single, own, np.divide(rest, others, out=np.full(len(own), np.nan), where=others > 0))
    error = np.sqrt(np.nan_to_num(_totals(cell, variance, np.isfinite(variance))))
    level = np.abs(_totals(cell, loss, np.ones(len(loss), bool)))
    status = np.select(
        [np.isnan(span), span <= np.maximum(RANGE_IN_ERRORS * error, ROUND_OFF * level), single],
        ["no_step_0", "no_range", "own_range"],
        "ok",
    )
    return span[cell], status[cell]


def _in_domain(table: pd.DataFrame, cell: np.ndarray, home: np.ndarray) -> np.ndarray:
    """For every row the `cell` code of its in-domain counterpart, -1 where there is none."""
    at_home = (table["shift"] == IN_DOMAIN).to_numpy()
    lookup = np.full(home.max(initial=-1) + 1, -1)
    lookup[home[at_home]] = cell[at_home]
    return lookup[home]


def _each(group: np.ndarray, values: np.ndarray, how: str) -> np.ndarray:
    return pd.Series(values).groupby(group).agg(how).to_numpy()[group]


def _totals(group: np.ndarray, values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """(k,) means of the kept rows of each group, nan for a group without any."""
    k = group.max(initial=-1) + 1
    count = np.bincount(group[keep], minlength=k)
    return np.divide(np.bincount(group[keep], values[keep], k), count, out=np.full(k, np.nan), where=count > 0)


def _representative(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(k,) the value that all rows of a group share."""
    shared = np.empty(group.max(initial=-1) + 1, dtype=values.dtype)
    shared[group] = values
    return shared
