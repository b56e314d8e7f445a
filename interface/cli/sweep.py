"""`python studies/run_sweep.py`: the main job."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from interface.cli._guard import check_device

if TYPE_CHECKING:
    from interface.jobs import Failure, Work
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
    keep_checkpoints: bool = False
    """write the checkpoints, too, for `interface measure`; a finished run without them is trained again"""
    max_minutes: float = float("inf")
    """begin no job later than this; the report is made from what is there, and the same command goes on"""


def run(options: SweepOptions, sweeps: Path) -> int:
    names = {path.stem: path for path in sorted(sweeps.glob("*.py"))}
    if options.list:
        for name, path in names.items():
            print(f"{name:12s} {_first_line(path)}")
        return 0
    path = _sweep_file(options.sweep, names)
    _check(options)

    from interface import table
    from interface.jobs import Work, missing, run_file
    from interface.sweep import BYTES_A_ROW, load

    sweep = load(path, options.scale)
    folder = options.out or Path("out") / sweep.name
    work = Work(path, options.scale, folder, options.device, options.keep_older, options.keep_checkpoints)
    todo = missing(sweep, sweep.pretrainings, work)
    jobs = min(options.jobs or os.cpu_count() or 1, len(sweep.jobs))
    share = len(todo) / len(sweep.pretrainings)
    print(
        f"{sweep.name}: {len(sweep.pretrainings)} runs in {len(sweep.jobs)} jobs, {sweep.n_rows} rows; "
        f"{len(todo)} runs are missing in {folder}\n"
        f"about {_duration(share * sweep.seconds / jobs)} with {jobs} process(es) on {options.device}, "
        f"{2 * sweep.n_rows * BYTES_A_ROW / 1e6:.0f} MB on disk",
        flush=True,
    )
    damaged = [file for run in todo if (file := run_file(folder, run)).exists() and not table.readable(file)]
    if damaged:
        print(f"{len(damaged)} unreadable file(s) count as missing: {', '.join(map(str, damaged))}", flush=True)
    return 0 if options.dry_run else _execute(work, sweep, jobs, options.max_minutes)


def _execute(work: Work, sweep: Sweep, jobs: int, max_minutes: float) -> int:
    from tqdm import tqdm

    from interface import table
    from interface.workers import execute

    table.sweep_temporaries(work.folder)
    form = "{percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s of work, {elapsed} gone, {remaining} left, {rate_fmt}"
    try:
        with tqdm(total=round(sweep.seconds), unit="s", bar_format=form, disable=not sys.stderr.isatty()) as bar:
            _, failures = execute(work, sweep, jobs=jobs, progress=bar.update, seconds=60 * max_minutes)
    except KeyboardInterrupt:
        print(f"\ninterrupted; finished runs are in {work.folder}. The same command resumes.", file=sys.stderr)
        return 130
    return _finish(sweep, work, failures)


def _finish(sweep: Sweep, work: Work, failures: list[Failure]) -> int:
    """Compact, judge, draw, and say where everything is, and what is missing."""
    from interface import table
    from interface.jobs import missing
    from interface.lock import claim
    from interface.report.study import report

    folder = work.folder
    absent = {run.run for run in missing(sweep, sweep.pretrainings, work)}
    runs = {run.run for run in sweep.pretrainings} - absent
    failures = [failure for failure in failures if failure.run in absent]  # another process may have succeeded since
    with claim(folder, "report", wait=True):
        _write_failures(folder / "failures.csv", failures)
        if absent:
            files = [file for run in sorted(runs) for file in sorted((folder / "runs").glob(f"{run}*.parquet"))]
            if files:
                title = f"{sweep.name}, incomplete: {len(runs)} of {len(sweep.pretrainings)} runs"
                print(_drawn(lambda: report(table.read(*files), folder, name=title)), flush=True)
        else:
            table.compact(folder)
            frame = table.read(folder)
            print(report(frame[frame["run"].isin(runs)], folder, name=sweep.name), flush=True)
            lost = frame.loc[frame["status"].isin(["diverged", "not_finite"]), "run"].nunique()
            if lost:
                print(f"{lost} run(s) diverged; their rows say so and hold no number")
    if absent:
        where = Counter((run.source.instance, run.pretext.name) for run in sweep.pretrainings if run.run in absent)
        named = [f"{count} {pretext} on {instance}" for (instance, pretext), count in where.items()]
        listed = ", ".join(named[:6]) + (f" and {len(named) - 6} more groups" if len(named) > 6 else "")
        print(f"INCOMPLETE: {len(absent)} of {len(sweep.pretrainings)} runs are missing ({listed}). The same command resumes.")
    if failures:
        print(f"{len(failures)} of them were tried and failed, see {folder / 'failures.csv'}:", file=sys.stderr)
        for failure in failures[:10]:
            print(f"  {failure.pretext} on {failure.instance}, run {failure.run}: {failure.reason}", file=sys.stderr)
    return 1 if absent else 0


def _drawn(draw: Callable[[], str]) -> str:
    """The report, or why there is none: a part of a sweep need not be enough for one, and the disk may be full."""
    try:
        return draw()
    except (ValueError, OSError) as reason:
        return f"no report yet: {reason}"


def _write_failures(path: Path, failures: list[Failure]) -> None:
    """One line a run that was tried and has no result; no file where there is none."""
    import csv
    from dataclasses import astuple, fields

    path.unlink(missing_ok=True)
    if failures:
        try:
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([[f.name for f in fields(failures[0])], *map(astuple, failures)])
        except OSError as fault:  # the disk that the runs failed on may still be full: the list is printed anyway
            print(f"{path} cannot be written: {fault.strerror}", file=sys.stderr)


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
    if not options.max_minutes > 0:
        raise ValueError(f"--max-minutes is {options.max_minutes}; allowed: a number > 0")
    check_device(options.device)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
