"""A user's table from a file: only the columns that are asked for, names as text, and one line for whatever is wrong."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from interface.analysis._user_table import listed, shown

SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "none", "#N/A"]


def read_user_file(path: str | Path, *, names: Iterable[str], numbers: Iterable[str]) -> pd.DataFrame:
    """The columns of a CSV, TSV or Parquet file that an analysis needs.

    Args:
        path: .csv (commas), .tsv (tabs) or .parquet; text in UTF-8.
        names: columns that name things (run, cluster, family): kept as text, so that 12e4567 or 007 is no number and a run
            called NA is not missing.
        numbers: columns of numbers; what cannot be read as one is left as text, for `analyze` to name.

    Raises:
        ValueError: one line, if there is no such file, it is empty or cannot be read, or a column is missing or occurs twice.
    """
    path, as_names = Path(path), list(names)
    wanted = list(dict.fromkeys([*as_names, *numbers]))
    if not path.is_file():
        raise ValueError(f"table is {_shown(path)}; allowed: an existing .csv, .tsv or .parquet file")
    try:
        if path.suffix.lower() in PARQUET:
            return _parquet(path, wanted)
        return _text(path, wanted, as_names, SEPARATORS.get(path.suffix.lower(), ","))
    except UnicodeDecodeError as error:
        raise ValueError(f"{_shown(path)} is not text in UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ValueError(f"{_shown(path)} cannot be read: {error.strerror or shown(error)}") from None
    except (pd.errors.ParserError, csv.Error) as error:
        raise ValueError(f"{_shown(path)} is no regular table: {_one_line(error)}") from None


def _text(path: Path, wanted: list[str], names: list[str], separator: str) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file, delimiter=separator), [])
    if not header:
        raise ValueError(f"{_shown(path)} is empty")
    others = [name for sign, name in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")) if sign in header[0]]
    if len(header) == 1 and others and not set(wanted) <= set(header):
        raise ValueError(f"{_shown(path)} has one column; is it separated by {others[0]}? allowed: commas (.csv) or tabs (.tsv)")
    _check(path, header, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would shift the columns
        try:
            table = pd.read_csv(
                path, sep=separator, encoding="utf-8-sig", index_col=False, dtype=dict.fromkeys(names, "str"),
                keep_default_na=False, na_values={name: [""] if name in names else MISSING for name in wanted},
            )  # fmt: skip
            return table[wanted]
        except pd.errors.ParserWarning as error:
            raise ValueError(f"{_shown(path)} is no regular table: {_one_line(error)}") from None


def _parquet(path: Path, wanted: list[str]) -> pd.DataFrame:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _check(path, file.schema_arrow.names, wanted)
            return file.read(columns=wanted).to_pandas()
    except pyarrow.ArrowException as error:
        raise ValueError(f"{_shown(path)} is no Parquet file: {_one_line(error)}") from None


def _check(path: Path, header: list[str], wanted: list[str]) -> None:
    for column in wanted:
        if (times := header.count(column)) != 1:
            fault = "is not in" if not times else f"occurs {times} times in"
            raise ValueError(f"column {column!r} {fault} {_shown(path)}; it has {listed(header)}")


def _shown(path: Path) -> str:
    return shown(path, length=400)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
