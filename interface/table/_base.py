"""What a row's columns are, and how rows become Arrow tables and pandas frames with exactly these columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from interface.core import ROW_KEY, Row

_STRING, _INT, _FLOAT = pa.dictionary(pa.int32(), pa.string()), pa.int64(), pa.float64()
COLUMNS: dict[str, pa.DataType] = {
    "run": _STRING, "step": _INT, "instance": _STRING, "seed": _INT, "source": _STRING, "target": _STRING,
    "shift": _STRING, "shift_kind": _STRING, "strength": _FLOAT, "pretext": _STRING, "encoder": _STRING, "n_params": _INT,
    "n_unlabelled": _INT, "views": _INT, "lr": _FLOAT, "optimizer": _STRING, "batch": _INT, "adaptation": _STRING,
    "n_labels": _INT, "depth": _INT, "readout": _STRING, "replicate": _INT, "quantity": _STRING, "value": _FLOAT,
    "stderr": _FLOAT, "n": _INT, "how": _STRING, "status": _STRING, "unit": _STRING, "code": _STRING, "device": _STRING,
    "spec": _STRING,
}  # fmt: skip
REQUIRED = ("run", "step", "quantity", "value", "how", "status", "unit")  # never null
ALLOWED = {_STRING: "a string or None", _INT: "an integer or None", _FLOAT: "a number or None"}


def to_frame(rows: Iterable[Row] | pd.DataFrame) -> pd.DataFrame:
    """Rows as the long frame that `read` gives: strings categorical, `step` int64, other counts nullable Int64, numbers float64.

    Raises:
        ValueError: if a column is unknown, a required one is absent or null, or a value has the wrong type.

    Example:
        >>> frame = to_frame([Row(run="r", step=0, quantity="l_pre", value=0.5, how="exact")])
        >>> frame["value"].tolist(), str(frame["run"].dtype), str(frame["n_unlabelled"].dtype)
        ([0.5], 'category', 'Int64')
    """
    return to_pandas(to_arrow(rows))


def to_arrow(rows: Iterable[Row] | pd.DataFrame) -> pa.Table:
    if isinstance(rows, pd.DataFrame):
        return conformed({str(name): rows[name] for name in rows.columns}, len(rows), "the frame")
    rows = list(rows)
    foreign = next((row for row in rows if not isinstance(row, Row)), None)
    if foreign is not None:
        raise ValueError(f"rows hold a {type(foreign).__name__}; allowed: interface.core.Row, or a DataFrame with its columns")
    values = zip(*map(attrgetter(*COLUMNS), rows), strict=True) if rows else ([] for _ in COLUMNS)
    return conformed(dict(zip(COLUMNS, values, strict=True)), len(rows), "rows")


def conformed(columns: Mapping[str, Any], length: int, origin: str) -> pa.Table:
    unknown, absent = sorted(set(columns) - set(COLUMNS)), [name for name in REQUIRED if name not in columns]
    if unknown:
        raise ValueError(
            f"{origin}: no column of a row is called {', '.join(unknown)}; a new measurement is a new quantity, not a column"
        )
    if absent:
        raise ValueError(f"{origin} lacks the column(s) {', '.join(absent)}, which every row states")
    arrays = [
        typed(columns[name], name, kind, origin) if name in columns else pa.nulls(length, kind) for name, kind in COLUMNS.items()
    ]
    return pa.table(arrays, schema=pa.schema(list(COLUMNS.items())))


def typed(values: Any, name: str, kind: pa.DataType, origin: str) -> pa.Array | pa.ChunkedArray:
    try:
        array = values
        if not isinstance(values, (pa.Array, pa.ChunkedArray)):
            # a frame's NaN is a null, but for `value`, where it is what was measured; types are inferred and then checked:
            # told a type, Arrow would round 1.5 to an integer without a word
            array = pa.array(values, from_pandas=isinstance(values, pd.Series) and name != "value")
        found = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
        fits = (pa.types.is_string, pa.types.is_large_string) if kind == _STRING else (pa.types.is_integer, pa.types.is_floating)
        if not (pa.types.is_null(found) or any(test(found) for test in fits)):
            raise pa.ArrowTypeError(f"it holds {found}")
        array = array.cast(kind)
    except (pa.ArrowException, TypeError, OverflowError) as fault:
        raise ValueError(f"{origin}: column {name!r} has a wrong value: {fault}; allowed: {ALLOWED[kind]}") from fault
    if name in REQUIRED and array.null_count:
        raise ValueError(f"{origin}: column {name!r} is null in {array.null_count} row(s); every row states it")
    return array


def to_pandas(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame.astype({"step": "int64"})


def packed_key(frame: pd.DataFrame, columns: Iterable[str]) -> np.ndarray:
    """(rows,) int64 codes, equal where all the columns are equal; a null equals a null."""
    packed, size = np.zeros(len(frame), np.int64), 1
    for name in columns:
        codes, levels = pd.factorize(frame[name], use_na_sentinel=True)
        packed = packed * (len(levels) + 1) + codes + 1
        size *= len(levels) + 1
        if size > 2**31:  # renumber before the product can overflow
            packed = pd.factorize(packed)[0]
            size = len(packed) + 1
    return packed


def refuse_duplicates(frame: pd.DataFrame, origin: str, fault: str = "the same row occurs twice") -> None:
    twice = pd.Series(packed_key(frame, ROW_KEY)).duplicated().to_numpy()
    if twice.any():
        first = ", ".join(f"{name}={value}" for name, value in frame[twice].iloc[0][list(ROW_KEY)].dropna().items())
        raise ValueError(f"{origin}: {fault} ({twice.sum()} row(s), first {first}); keep one, as table.merge does with equal rows")
