"""`interface measure`: new cells on kept checkpoints."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from interface.cli._guard import check_device


@dataclass(frozen=True)
class MeasureOptions:
    """Measure new targets and adaptations on the kept checkpoints of a sweep, without training anything again.

    The rows join the folder's table; cells that it holds already are not measured twice.
    """

    out: Path
    """the sweep's folder, made with --keep-checkpoints"""
    target: tyro.conf.UseAppendAction[tuple[str, ...]]
    """a shift of each run's source, as name=strength (rotation=1.0), or none; may be given several times"""
    adaptation: tuple[str, ...] = ("LinearProbe",)
    """adaptations by class name, or by their specification in JSON"""
    n_labels: int | None = None
    """number of labelled examples; without it the minimal adaptation loss is asked for"""
    device: str = "cpu"
    """torch device of embedding"""
    keep_older: bool = False
    """accept checkpoints that were trained by another version of the code"""


def run(options: MeasureOptions) -> int:
    from tqdm import tqdm

    from interface import table
    from interface.additions import Request, add, probe_named, shift_named

    if not options.out.is_dir():
        raise ValueError(f"--out is {options.out}; allowed: the folder of a sweep")
    check_device(options.device)
    probes = tuple(probe_named(text) for text in dict.fromkeys(options.adaptation))
    shifts = tuple(shift_named(text) for text in dict.fromkeys(options.target))
    quiet = not sys.stderr.isatty()
    found = list(
        add(
            options.out,
            Request(shifts, probes, options.n_labels),
            device=options.device,
            keep_older=options.keep_older,
            progress=lambda runs: tqdm(runs, unit="run", disable=quiet),
        )
    )
    unknown = [added for added in found if added.status == "no_such_shift"]
    if len(unknown) == len(found):
        raise ValueError(f"no run knows any of the targets {', '.join(options.target)}; {unknown[0].message}")
    if (options.out / table.TABLE).is_file():
        table.compact(options.out)
    failed = [added for added in found if added.status not in ("ok", "no_such_shift")]
    print(
        f"{sum(a.n_rows for a in found)} rows added for {sum(a.n_rows > 0 for a in found)} runs; {sum(a.n_known for a in found)} "
        f"cells were there already; {len(unknown)} runs know none of the shifts; {len(failed)} runs failed"
    )
    for added in failed[:10]:
        print(f"  run {added.run}, {added.status}: {added.message}", file=sys.stderr)
    return 1 if failed else 0
