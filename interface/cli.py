"""The command line. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from interface.sweep import Sweep


@dataclass(frozen=True)
class SweepOptions:
    """Pretrain, measure, judge and draw. Running again resumes: finished runs are not computed twice."""

    sweep: tyro.conf.Positional[str] = "default"
    """name of a sweep in studies/sweeps, or path to your own file with cells(scale) -> Sweep"""
    list: Annotated[bool, tyro.conf.arg(name="list")] = False
    """list the sweeps and stop"""
    dry_run: bool = False
    """say how many runs and rows there would be, how long they would take, and stop"""
    jobs: int = 0
    """one-thread processes; 0 is one a processor"""
    device: str = "cpu"
    """torch device of training and embedding"""
    scale: float = 1.0
    """multiplies the size of the sweep"""
    out: Path | None = None
    """folder of results; by default out/<name of the sweep>"""
    keep_older: bool = False
    """accept stored runs that were measured by another version of the code"""


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


def run_sweep(sweeps: Path) -> int:
    """`python studies/run_sweep.py`: the exit code."""
    return _guarded(
        "run_sweep", lambda: _sweep(tyro.cli(SweepOptions, prog="run_sweep.py", description=SweepOptions.__doc__), sweeps)
    )


def main() -> int:
    """`interface analyze ...`: the exit code."""
    options = tyro.extras.subcommand_cli_from_dict({"analyze": AnalyzeOptions, "version": Version}, prog="interface")
    return _guarded("interface", lambda: _analyze(options) if isinstance(options, AnalyzeOptions) else _version())


@dataclass(frozen=True)
class Version:
    """Print the version and the digest of the measuring code."""


def _version() -> int:
    from interface import __version__
    from interface.provenance import code_digest

    print(f"interface {__version__}, measuring code {code_digest()}")
    return 0


def _guarded(program: str, command: Callable[[], int]) -> int:
    """Run a command; what the user can mend ends in one line and exit code 2, never in a traceback."""
    from interface.provenance import check_not_shadowed

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        check_not_shadowed()
        return command()
    except (ValueError, ImportError, FileNotFoundError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2


def _analyze(options: AnalyzeOptions) -> int:
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


def _sweep(options: SweepOptions, sweeps: Path) -> int:
    names = {path.stem: path for path in sorted(sweeps.glob("*.py"))}
    if options.list:
        for name, path in names.items():
            print(f"{name:12s} {_first_line(path)}")
        return 0
    path = _sweep_file(options.sweep, names)
    _check(options)

    from interface.sweep import BYTES_A_ROW, load, missing

    sweep = load(path, options.scale)
    folder = options.out or Path("out") / sweep.name
    todo = missing(sweep, sweep.pretrainings, folder, keep_older=options.keep_older)
    jobs = min(options.jobs or os.cpu_count() or 1, len(sweep.jobs))
    share = len(todo) / len(sweep.pretrainings)
    print(
        f"{sweep.name}: {len(sweep.pretrainings)} runs in {len(sweep.jobs)} jobs, {sweep.n_rows} rows; "
        f"{len(todo)} runs are missing in {folder}\n"
        f"about {_duration(share * sweep.seconds / jobs)} with {jobs} process(es) on {options.device}, "
        f"{2 * sweep.n_rows * BYTES_A_ROW / 1e6:.0f} MB on disk",
        flush=True,
    )
    if options.dry_run:
        return 0
    return _execute(options, sweep, path, folder, jobs)


def _execute(options: SweepOptions, sweep: Sweep, path: Path, folder: Path, jobs: int) -> int:
    from tqdm import tqdm

    from interface import table
    from interface.workers import Work, execute

    (folder / "runs").mkdir(parents=True, exist_ok=True)
    table.sweep_temporaries(folder / "runs")
    work = Work(path, options.scale, folder, options.device, options.keep_older)
    form = "{percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s of work, {elapsed} gone, {remaining} left, {rate_fmt}"
    try:
        with tqdm(total=round(sweep.seconds), unit="s", bar_format=form, disable=not sys.stderr.isatty()) as bar:
            execute(work, sweep, jobs=jobs, progress=bar.update)
    except KeyboardInterrupt:
        print(f"\ninterrupted; finished runs are in {folder}. The same command resumes.", file=sys.stderr)
        return 130
    return _finish(sweep, folder, path)


def _finish(sweep: Sweep, folder: Path, path: Path) -> int:
    """Compact, judge, draw, and say where everything is."""
    from interface import table
    from interface.report.study import report

    runs = {run.run for run in sweep.pretrainings}
    table.compact(folder)
    frame = table.read(folder)
    frame = frame[frame["run"].isin(runs)]
    if len(frame) != sweep.n_rows:
        raise AssertionError(f"the table has {len(frame)} rows where {sweep.n_rows} were announced")
    print(report(frame, folder, name=sweep.name), flush=True)
    return 0


def _first_line(path: Path) -> str:
    """First line of a file's docstring, without running the file."""
    import ast

    return (ast.get_docstring(ast.parse(path.read_text())) or "no description").splitlines()[0]


def _sweep_file(name: str, names: dict[str, Path]) -> Path:
    if name in names:
        return names[name]
    path = Path(name)
    if path.suffix == ".py" and path.is_file():
        return path
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"sweep is {name!r}; allowed: {', '.join(names)}, or the path of a .py file{hint}")


def _check(options: SweepOptions) -> None:
    """Refuse bad values before work is done."""
    if options.jobs < 0:
        raise ValueError(f"--jobs is {options.jobs}; allowed: an integer >= 0")
    if not 0 < options.scale <= 100:
        raise ValueError(f"--scale is {options.scale}; allowed: a number in (0, 100]")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out is {options.out}, a file; allowed: a folder")
    import torch

    try:
        torch.empty(1, device=options.device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device is {options.device!r}, which torch cannot use here: {str(error).splitlines()[0]}") from None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
