"""`interface analyze`: somebody else's table."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class AnalyzeOptions:
    """Analyse a table that somebody else made: the three numbers, the verdict in words, and what is doubtful."""

    table: tyro.conf.Positional[Path]
    """CSV or Parquet file, one row a checkpoint or a model"""
    pre: str
    """column of the pretraining loss"""
    adapt: str
    """column of the adaptation result"""
    adapt_is: Literal["loss", "error", "accuracy"]
    """what that column is: there is no default, because accuracy for error flips a verdict silently"""
    run: str
    """column that names the training run"""
    cluster: str | None = None
    """column of the unit of inference; by default the run"""
    family: str | None = None
    """column of the model family, for cross-sections"""
    size: str | None = None
    """column of the model size"""
    step: str | None = None
    """column of the training step"""
    status: str | None = None
    """column that says ok, converged or true where the adaptation result is at its minimum"""
    draws: Literal["unknown", "independent", "shared"] = "unknown"
    """whether the two losses were measured on the same draws"""
    html: Path | None = None
    """write a self-contained page with the numbers, the figure and the notes to this file"""


def run(options: AnalyzeOptions) -> int:
    from interface.analysis import analyze, read_user_file

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names need not fit the terminal's encoding
    columns = {name: getattr(options, name) for name in (*_NUMBERS, *_NAMES, "adapt_is", "draws")}
    numbers, names = ([columns[name] for name in roles if columns[name] is not None] for roles in (_NUMBERS, _NAMES))
    result = analyze(read_user_file(options.table, names=names, numbers=numbers), **columns)
    print(result)
    if options.html is not None:
        from interface.report import write_analysis_page

        try:
            print(f"page: {write_analysis_page(options.html, result, title=options.table.name)}")
        except OSError as error:
            raise ValueError(f"--html is {options.html}, which cannot be written: {error.strerror}") from None
    return 0


_NUMBERS = ("pre", "adapt", "size", "step")
_NAMES = ("run", "cluster", "family", "status")
