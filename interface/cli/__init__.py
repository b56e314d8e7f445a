"""The command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from interface.cli import analyze, measure, sweep, tables
from interface.cli._guard import guarded

COMMANDS: dict[Callable[..., Any], Callable[[Any], int]] = {
    measure.MeasureOptions: measure.run,
    analyze.AnalyzeOptions: analyze.run,
    tables.MergeOptions: tables.merge,
    tables.ReportOptions: tables.report_again,
    tables.Version: tables.version,
}


def run_sweep(sweeps: Path) -> int:
    """`python studies/run_sweep.py`: the exit code."""

    def command() -> int:
        options = tyro.cli(sweep.SweepOptions, prog="run_sweep.py", description=sweep.SweepOptions.__doc__)
        return sweep.run(options, sweeps)

    return guarded("run_sweep", command)


def main() -> int:
    """`interface measure|analyze|merge|report|version ...`: the exit code."""
    names = {kind.__name__.removesuffix("Options").lower(): kind for kind in COMMANDS}
    options = tyro.extras.subcommand_cli_from_dict(names, prog="interface")
    return guarded("interface", lambda: COMMANDS[type(options)](options))
