"""`interface merge`, `report` and `version`: what needs a table or less."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class MergeOptions:
    """Merge tables into one file; the same row twice counts once, two results for one row are refused."""

    tables: tyro.conf.Positional[tuple[Path, ...]]
    """Parquet files, or folders of sweeps"""
    out: Path
    """the Parquet file to write"""
    keep_older: bool = False
    """allow rows of different code; of a row that two codes made, the later table's counts"""


@dataclass(frozen=True)
class ReportOptions:
    """Judge and draw the table of a sweep's folder once more."""

    folder: tyro.conf.Positional[Path]
    """the sweep's folder; the report is written into it"""


@dataclass(frozen=True)
class Version:
    """Print the version and the digest of the measuring code."""


def version(_options: Version) -> int:
    from interface import __version__
    from interface.provenance import code_digest

    print(f"interface {__version__}, measuring code {code_digest()}")
    return 0


def merge(options: MergeOptions) -> int:
    from interface import table

    frame = table.merge(*options.tables, keep_older=options.keep_older)
    print(f"{len(frame)} rows: {table.write(frame, options.out)}")
    return 0


def report_again(options: ReportOptions) -> int:
    from interface import table
    from interface.report.study import report

    print(report(table.read(options.folder), options.folder, name=options.folder.resolve().name))
    return 0
