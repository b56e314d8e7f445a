"""Rows on disk: one Parquet file a finished run, whole or absent; reading, compacting and merging them.

A sweep's folder holds `runs/<run>.parquet`, one file a finished run, and after compaction `table.parquet` with all of them.
The run files stay, because they are what resuming looks at; reading the folder never counts a run twice. What is measured
later on a run's kept checkpoints lies beside it, as `runs/<run>+<cell>.parquet`. Pages carry checksums: a flipped bit is
found when it is read.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from interface.core import ROW_KEY, Row
from interface.table._base import COLUMNS, packed_key, refuse_duplicates, to_arrow, to_pandas
from interface.table._files import SCHEMA_VERSION, Unreadable, concatenated, metadata_of, read_file
from interface.table._folder import RUNS, TABLE, Contents

log = logging.getLogger("interface")

GROUP = 65_536  # rows that a compacted file holds together, at least
FOREIGN_LEFTOVER_S = 24 * 3600.0  # another machine's unfinished file counts as abandoned after a day


def write(rows: Iterable[Row] | pd.DataFrame, path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None) -> Path:
    """One Parquet file that is either whole or absent: temporary name, fsync, `os.replace`, fsync of the folder.

    Args:
        rows: rows of one finished run, or a long frame.
        path: the file's final name; missing folders are made.
        metadata: strings to keep beside schema=1 in the file's key-value metadata.

    Returns:
        The path written.

    Raises:
        ValueError: if there is no row, a column or type is wrong (see `to_frame`), or `metadata` is not strings or names "schema".
    """
    table = to_arrow(rows)
    if not table.num_rows:
        raise ValueError(f"write: no rows for {path}; a finished run has at least one")
    return _write([table], Path(path), dict(metadata or {}))


def read(*paths: str | os.PathLike[str]) -> pd.DataFrame:
    """The long table of files and sweep folders, one row a quantity, dtypes as in `to_frame`.

    A folder gives `table.parquet` plus the `runs/*.parquet` that it does not hold in their present content, ordered by run,
    step and original order. Columns that an older file lacks are null; leftover temporary files are ignored.

    Raises:
        FileNotFoundError: if a path does not exist or a folder holds no table.
        ValueError: if a file is unreadable, has columns that are none of a row's, or a newer schema.
    """
    if not paths:
        raise ValueError("read: no path given; name a Parquet file or a sweep's folder")
    return to_pandas(concatenated([_read_folder(p) if p.is_dir() else read_file(p) for p in map(Path, paths)]))


def readable(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds a whole table of this schema; where not, the caller recomputes that run."""
    try:
        return read_file(Path(path)).num_rows > 0
    except (ValueError, OSError):
        return False


def metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Key-value metadata of one file: schema, and what `write` was given; of a folder, that of its `table.parquet`."""
    path = Path(path)
    return metadata_of(pq.read_schema(path / TABLE if path.is_dir() else path))


def compact(folder: str | os.PathLike[str]) -> Path:
    """Merges a sweep's run files into one `table.parquet`, atomically; rows by run, step, then original order.

    Runs are read and written one after the other, so that memory does not grow with the table.

    Where a run has a file, that file is what counts, so a recomputed run replaces its old rows. A run that only the old
    `table.parquet` holds is kept. Metadata on which all run files agree is kept too. A `table.parquet` that cannot be read
    is made anew from the run files, with a warning.

    Raises:
        FileNotFoundError, ValueError: as `read`; also if two files hold the same row.
    """
    folder = Path(folder)
    try:
        return _compact(folder)
    except Unreadable as fault:
        if readable(folder / TABLE) or not (folder / TABLE).is_file():
            raise
        log.warning("%s; made anew from %s", fault, folder / RUNS)
        (folder / TABLE).unlink()
        return _compact(folder)


def sweep_temporaries(folder: str | os.PathLike[str]) -> list[Path]:
    """Removes what killed writers left in a sweep's folder; a file whose writer still runs is left alone.

    Returns:
        The files removed.
    """
    removed = []
    for path in sorted(p for place in (Path(folder), Path(folder) / RUNS) if place.is_dir() for p in place.glob(".*.tmp")):
        host, pid = path.name.split("~")[1:3]
        if _runs(int(pid)) if host == _host() else time.time() - path.stat().st_mtime < FOREIGN_LEFTOVER_S:
            continue
        path.unlink(missing_ok=True)
        removed.append(path)
    return removed


def merge(*paths: str | os.PathLike[str], keep_older: bool = False) -> pd.DataFrame:
    """One long table out of several, in the order of the paths; the same row twice counts once.

    Args:
        paths: files or sweep folders.
        keep_older: allow rows made by different code; of a row that two codes made, the later path's counts.

    Raises:
        ValueError: if rows of different `code` meet without `keep_older`, or two rows of one key and one code differ in
            value, standard error, unit or status (times, quantities that end in _s, may differ: the first counts).
    """
    frame = read(*paths)
    codes = sorted(frame["code"].dropna().unique())
    if len(codes) > 1 and not keep_older:
        raise ValueError(
            f"merge: rows were made by different code ({', '.join(codes)}); recompute the older or pass keep_older=True"
        )
    key, code = packed_key(frame, ROW_KEY), packed_key(frame, ["code"])
    if keep_older:
        keep = code == pd.Series(code).groupby(key).transform("last").to_numpy()
        frame, key = frame[keep], key[keep]
    content = frame[["value", "stderr", "unit", "status"]].assign(key=key)
    differing = ~content.duplicated().to_numpy() & ~frame["quantity"].str.endswith("_s").to_numpy()  # seconds
    refuse_duplicates(frame[differing], "merge", "the same measurement has two results")
    return frame[~pd.Series(key).duplicated().to_numpy()].reset_index(drop=True)


def _write(tables: Iterable[pa.Table], path: Path, extra: dict[str, str]) -> Path:
    """Each table becomes one group of rows in the file."""
    wrong = [key for key, value in extra.items() if not isinstance(value, str) or key == "schema"]
    if wrong:
        raise ValueError(f"write: metadata {wrong[0]!r} is {extra[wrong[0]]!r}; allowed: strings under any name but 'schema'")
    schema = pa.schema(list(COLUMNS.items()), metadata={"schema": SCHEMA_VERSION, **extra})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}~{_host()}~{os.getpid()}~{uuid.uuid4().hex[:8]}.tmp"
    try:
        with temporary.open("wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                for table in tables:
                    writer.write_table(table, row_group_size=table.num_rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # gone already unless something failed
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, survives a power cut
    finally:
        os.close(folder)
    return path


def _read_folder(folder: Path) -> pa.Table:
    contents = Contents.of(folder)
    if len(contents.files) == 1 and contents.files[0].ordered and contents.files[0].path == folder / TABLE:
        return read_file(folder / TABLE)  # nothing to put in order
    return concatenated(list(contents.by_run()) or [to_arrow([])])


def _compact(folder: Path) -> Path:
    contents = Contents.of(folder)

    def groups() -> Iterator[pa.Table]:
        for table in _joined(contents.by_run()):
            refuse_duplicates(to_pandas(table.select(list(ROW_KEY))), f"compact({folder})")
            yield table

    return _write(groups(), folder / TABLE, contents.metadata | {"runs": json.dumps(contents.digests, sort_keys=True)})


def _joined(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of at least GROUP rows, the last perhaps of fewer."""
    parts: list[pa.Table] = []
    for table in tables:
        parts.append(table)
        if sum(part.num_rows for part in parts) >= GROUP:
            yield concatenated(parts)
            parts = []
    if parts:
        yield concatenated(parts)


def _host() -> str:
    return socket.gethostname()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs, under another user
    return True
