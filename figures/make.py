"""Draws the figures of this folder from a sweep's table, as PDF and PNG.

Command: `python figures/make.py --table out/default --out figures` (a minute at most). A figure is a file here with
`draw(table, ...)` and VARIANTS, {name of the output: arguments of draw}; a new file needs no registration. SWEEP names the sweep
that feeds it, where that is not `default`: it is drawn from a folder of that name. A folder of any other name feeds the
figures of the default sweep.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import tyro

HERE = Path(__file__).parent
DEFAULT = "default"


@dataclass(frozen=True)
class Options:
    """Draw every figure from a sweep's table."""

    table: Path
    """a sweep's folder, or a Parquet file of rows"""
    out: Path
    """folder for the figures"""
    numbers: Path | None = None
    """also write the manuscript's macros to this file, such as paper/numbers.tex"""
    readme: Path | None = None
    """also write the answer of the verdicts between the answer marks of this file"""
    only: tuple[str, ...] = ()
    """names of outputs to draw; all by default"""


def modules() -> dict[str, ModuleType]:
    """{name: module} of every figure file in this folder."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        if path.name == Path(__file__).name:
            continue
        spec = importlib.util.spec_from_file_location(f"figures_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.stem] = module
    return found


def variants(sweep: str | None = None) -> dict[str, tuple[ModuleType, dict[str, Any]]]:
    """{name of the output: (figure file, arguments of its draw)}, of one sweep or of all."""
    found = modules().values()
    feeds = {sweep_of(module) for module in found}
    wanted = sweep if sweep is None or sweep in feeds else DEFAULT
    return {
        name: (module, arguments)
        for module in found
        if wanted is None or sweep_of(module) == wanted
        for name, arguments in module.VARIANTS.items()
    }


def sweep_of(module: ModuleType) -> str:
    """The sweep that feeds a figure file."""
    return getattr(module, "SWEEP", DEFAULT)


def draw_all(
    wide: pd.DataFrame,
    out: Path,
    *,
    verdicts: Any,
    summary: pd.DataFrame | None,
    sweep: str = DEFAULT,
    only: tuple[str, ...] = (),
) -> tuple[list[Path], dict[str, str]]:
    """Files written, and for every output that this table cannot feed the reason.

    Raises:
        ValueError: if `only` names an output that no file here makes.
    """
    from interface.report import save

    known = variants(sweep)
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(f"--only names {', '.join(unknown)}; allowed: {', '.join(known)}")
    supplied = {"verdicts": verdicts, "summary": summary}
    paths, left_out = [], {}
    for name in only or known:
        module, arguments = known[name]
        takes = inspect.signature(module.draw).parameters
        try:
            figure = module.draw(wide, **arguments, **{key: value for key, value in supplied.items() if key in takes})
        except ValueError as reason:  # a table of one world has no figures of the other
            left_out[name] = str(reason)
            continue
        paths += save(figure, out, name)
    return paths, left_out


def main(options: Options) -> int:
    """Draws, writes the macros if asked, and says where things are."""
    from interface import table
    from interface.analysis import summarize
    from interface.hypotheses import judge
    from interface.report import answer, numbers, write_answer, write_numbers

    wide = table.wide(table.read(options.table))
    verdicts, summary = judge(wide), summarize(wide)
    sweep = options.table.stem
    paths, left_out = draw_all(wide, options.out, verdicts=verdicts, summary=summary, sweep=sweep, only=options.only)
    for path in paths:
        print(path)
    for name, reason in left_out.items():
        print(f"not drawn: {name} ({reason})", file=sys.stderr)
    if options.numbers is not None:
        print(write_numbers(numbers(wide, verdicts=verdicts, summary=summary), options.numbers))
    if options.readme is not None:
        print(write_answer(answer(verdicts), options.readme))
    return 0 if paths else 2


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
