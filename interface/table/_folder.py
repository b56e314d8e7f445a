"""A sweep's folder: which of its files count for which run, and their rows in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from interface.table._files import File, concatenated

TABLE, RUNS = "table.parquet", "runs"


@dataclass(frozen=True)
class Contents:
    """What counts in a sweep's folder.

    Args:
        files: the compacted one, then the run files that it does not hold in their present content; none without runs.
        digests: {run file: digest of its content}.
        metadata: that on which the files agree.
    """

    files: list[File]
    digests: dict[str, str]
    metadata: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Contents:
        present = sorted(path for path in (folder / RUNS).glob("*.parquet") if not path.name.startswith("."))
        if not present and not (folder / TABLE).is_file():
            raise FileNotFoundError(f"{folder} holds neither {TABLE} nor {RUNS}/*.parquet; name a file, or the folder of a sweep")
        compacted = [File.of(folder / TABLE)] if (folder / TABLE).is_file() else []
        held = json.loads(compacted[0].metadata.get("runs", "{}")) if compacted else {}
        digests = {path.name: hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest() for path in present}
        changed = {_run_of(name) for name, digest in digests.items() if digest != held.get(name)}
        newer = [File.of(path) for path in present if _run_of(path.name) in changed]
        recomputed = {run for file in newer for run in file.runs}
        older = [replace(file, runs=[run for run in file.runs if run not in recomputed]) for file in compacted]
        agreed = [{pair for pair in file.metadata.items() if pair[0] != "runs"} for file in compacted + newer]
        return cls(
            [file for file in older + newer if file.runs],
            {name: digest for name, digest in held.items() if _run_of(name) not in changed} | digests,
            dict(set.intersection(*agreed)),
        )

    def by_run(self) -> Iterator[pa.Table]:
        """The rows of one run after the other: by name, step, then original order. A file is opened when its first run is due."""
        holders: dict[str, list[File]] = {}
        for file in self.files:
            for run in file.runs:
                holders.setdefault(run, []).append(file)
        streams: dict[Path, Iterator[pa.Table]] = {}
        for run in sorted(holders):
            pieces = []
            for file in holders[run]:
                pieces.append(next(streams.setdefault(file.path, file.by_run())))
                if run == file.runs[-1]:
                    del streams[file.path]
            table = concatenated(pieces)
            yield table.take(np.argsort(table["step"].to_numpy(), kind="stable"))


def _run_of(name: str) -> str:
    """The run that a file of RUNS belongs to: all files of a run are read, or none."""
    return name.removesuffix(".parquet").partition("+")[0]
