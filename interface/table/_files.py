"""One Parquet file of rows: read whole, or run by run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interface.table._base import COLUMNS, conformed, typed

SCHEMA_VERSION = "1"


class Unreadable(ValueError):
    """A file that is no whole Parquet file."""


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    with path.open("rb") as file:
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            version = metadata_of(parquet.schema_arrow).get("schema", SCHEMA_VERSION)
            if version != SCHEMA_VERSION:
                raise ValueError(f"{path} has schema {version}; this version reads {SCHEMA_VERSION}: install a newer one")
            yield parquet
        except (pa.ArrowException, OSError) as fault:
            raise Unreadable(f"{path} is not a readable Parquet file ({fault}); delete it and compute it again") from fault


def _conformed(table: pa.Table, path: Path) -> pa.Table:
    return conformed({name: table[name] for name in table.column_names}, table.num_rows, str(path))


def read_file(path: Path) -> pa.Table:
    with opened(path) as file:
        return _conformed(file.read(), path)


@dataclass(frozen=True)
class File:
    """A file of rows.

    Args:
        runs: those that count in it, by name.
        ordered: whether all its rows lie in that order and by step, as a compacted file's do.
        metadata: its key-value metadata but for the schema.
    """

    path: Path
    runs: list[str]
    ordered: bool
    metadata: dict[str, str]

    @classmethod
    def of(cls, path: Path) -> File:
        found: list[str] = []
        ordered, last = True, ("", 0)
        with opened(path) as file:
            pairs = metadata_of(file.schema_arrow)
            absent = {"run", "step"} - set(file.schema_arrow.names)
            if absent:
                raise ValueError(f"{path} lacks the column(s) {', '.join(sorted(absent))}, which every row states")
            for number in range(file.num_row_groups):
                group = file.read_row_group(number, ["run", "step"])
                steps = typed(group["step"], "step", COLUMNS["step"], str(path)).to_numpy()
                for run, start, stop in _pieces(typed(group["run"], "run", COLUMNS["run"], str(path))):
                    found.append(run)
                    ordered &= last <= (run, steps[start]) and bool((np.diff(steps[start:stop]) >= 0).all())
                    last = (run, steps[stop - 1])
        pairs.pop("schema", None)
        return cls(path, sorted(set(found)), ordered, pairs)

    def by_run(self) -> Iterator[pa.Table]:
        """The rows of one run after the other, by name; of an ordered file a group of rows is held at a time."""
        wanted, run = set(self.runs), None
        parts: list[pa.Table] = []
        with opened(self.path) as file:
            for table in _groups(file, self.path) if self.ordered else [_by_name(_conformed(file.read(), self.path))]:
                for name, start, stop in _pieces(table["run"]):
                    if name != run and parts:
                        yield concatenated(parts)
                        parts = []
                    run = name
                    if run in wanted:
                        parts.append(table.slice(start, stop - start))
        if parts:
            yield concatenated(parts)


def _groups(file: pq.ParquetFile, path: Path) -> Iterator[pa.Table]:
    return (_conformed(file.read_row_group(number), path) for number in range(file.num_row_groups))


def _pieces(runs: pa.ChunkedArray) -> list[tuple[str, int, int]]:
    """(run, start, stop) of neighbouring rows of one run."""
    encoded = pc.run_end_encode(runs.cast(pa.string()).combine_chunks())
    ends = encoded.run_ends.to_pylist()
    return list(zip(encoded.values.to_pylist(), [0, *ends], ends, strict=False))


def _by_name(table: pa.Table) -> pa.Table:
    """Rows by run, then in their order."""
    return table.take(pc.sort_indices(table["run"].cast(pa.string())))


def concatenated(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def metadata_of(schema: pa.Schema) -> dict[str, str]:
    pairs = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    return {key: value for key, value in pairs.items() if key not in ("ARROW:schema", "pandas")}
