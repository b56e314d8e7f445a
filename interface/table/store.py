"""Rows on disk: one Parquet file a finished run, whole or absent; reading, compacting and merging them.

A sweep's folder holds `runs/<run>.parquet`, one file a finished run, and after compaction `table.parquet` with all of them.
The run files stay, because they are what resuming looks at; reading the folder never counts a run twice. What is measured
later on a run's kept checkpoints lies beside it, as `runs/<run>+<cell>.parquet`. Pages carry checksums: a flipped bit is
found when it is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from interface.core import ROW_KEY, Row
from interface.table._base import conformed, packed_key, refuse_duplicates, to_arrow, to_pandas

log = logging.getLogger("interface")

SCHEMA_VERSION = "1"
TABLE, RUNS = "table.parquet", "runs"
FOREIGN_LEFTOVER_S = 24 * 3600.0  # another machine's unfinished file counts as abandoned after a day


class Unreadable(ValueError):
    """A file that is no whole Parquet file."""


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
    return _write(table, Path(path), dict(metadata or {}))


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
    return to_pandas(_concatenated([_read_folder(p)[0] if p.is_dir() else _read_file(p)[0] for p in map(Path, paths)]))


def readable(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds a whole table of this schema; where not, the caller recomputes that run."""
    try:
        return _read_file(Path(path))[0].num_rows > 0
    except (ValueError, OSError):
        return False


def metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Key-value metadata of one file: schema, and what `write` was given; of a folder, that of its `table.parquet`."""
    path = Path(path)
    return _metadata_of(pq.read_schema(path / TABLE if path.is_dir() else path))


def compact(folder: str | os.PathLike[str]) -> Path:
    """Merges a sweep's run files into one `table.parquet`, atomically; rows by run, step, then original order.

    Where a run has a file, that file is what counts, so a recomputed run replaces its old rows. A run that only the old
    `table.parquet` holds is kept. Metadata on which all run files agree is kept too. A `table.parquet` that cannot be read
    is made anew from the run files, with a warning.

    Raises:
        FileNotFoundError, ValueError: as `read`; also if two files hold the same row.
    """
    folder = Path(folder)
    if (folder / TABLE).is_file():
        try:
            _read_file(folder / TABLE)
        except Unreadable as fault:
            log.warning("%s; made anew from %s", fault, folder / RUNS)
            (folder / TABLE).unlink()
    table, digests, agreed = _read_folder(folder)
    refuse_duplicates(to_pandas(table.select(list(ROW_KEY))), f"compact({folder})")
    return _write(table, folder / TABLE, agreed | {"runs": json.dumps(digests, sort_keys=True)})


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


def _write(table: pa.Table, path: Path, extra: dict[str, str]) -> Path:
    wrong = [key for key, value in extra.items() if not isinstance(value, str) or key == "schema"]
    if wrong:
        raise ValueError(f"write: metadata {wrong[0]!r} is {extra[wrong[0]]!r}; allowed: strings under any name but 'schema'")
    table = table.replace_schema_metadata({"schema": SCHEMA_VERSION, **extra})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}~{_host()}~{os.getpid()}~{uuid.uuid4().hex[:8]}.tmp"
    try:
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
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


def _read_file(path: Path) -> tuple[pa.Table, dict[str, str]]:
    content = path.read_bytes()
    try:
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as fault:
        raise Unreadable(f"{path} is not a readable Parquet file ({fault}); delete it and compute it again") from fault
    found = _metadata_of(table.schema)
    if found.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise ValueError(f"{path} has schema {found['schema']}; this version reads {SCHEMA_VERSION}: install a newer one")
    return conformed({name: table[name] for name in table.column_names}, table.num_rows, str(path)), found


def _read_folder(folder: Path) -> tuple[pa.Table, dict[str, str], dict[str, str]]:
    """Rows of a sweep's folder in stable order, {run file: digest of its content}, metadata on which the run files agree."""
    files = sorted(path for path in (folder / RUNS).glob("*.parquet") if not path.name.startswith("."))
    compacted = folder / TABLE
    if not files and not compacted.is_file():
        raise FileNotFoundError(f"{folder} holds neither {TABLE} nor {RUNS}/*.parquet; name a file, or the folder of a sweep")
    parts, held, agreed = [], {}, None
    if compacted.is_file():
        table, agreed = _read_file(compacted)
        parts.append(table)
        held = json.loads(agreed.pop("runs", "{}"))
        agreed.pop("schema", None)
    present = {path.name: hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest() for path in files}
    changed = {_run_of(name) for name, digest in present.items() if digest != held.get(name)}
    digests = {name: digest for name, digest in held.items() if _run_of(name) not in changed} | present
    newer = []
    for path in files:
        if _run_of(path.name) not in changed:
            continue
        table, found = _read_file(path)
        newer.append(table)
        found.pop("schema", None)
        agreed = found if agreed is None else {key: value for key, value in agreed.items() if found.get(key) == value}
    if parts and newer:
        recomputed = pa.concat_tables([table.select(["run"]) for table in newer]).unify_dictionaries()["run"].cast(pa.string())
        parts = [parts[0].filter(pc.invert(pc.is_in(parts[0]["run"].cast(pa.string()), recomputed.unique())))]
    table = _concatenated(parts + newer)
    run = table["run"].combine_chunks()
    names = np.asarray(run.dictionary.to_pylist(), dtype=object)
    rank = np.argsort(np.argsort(names))[run.indices.to_numpy()]
    order = np.lexsort((table["step"].to_numpy(), rank))  # lexsort is stable: rows keep their order within a checkpoint
    return table.take(order), digests, agreed or {}


def _run_of(name: str) -> str:
    """The run that a file of RUNS belongs to: all files of a run are read, or none."""
    return name.removesuffix(".parquet").partition("+")[0]


def _concatenated(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _metadata_of(schema: pa.Schema) -> dict[str, str]:
    pairs = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    return {key: value for key, value in pairs.items() if key not in ("ARROW:schema", "pandas")}


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
