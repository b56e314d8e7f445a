"""Measuring new cells on the kept checkpoints of a finished sweep, without training anything again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from interface import adaptations, encoders, populations, pretexts, table, training
from interface.adaptations import Probe
from interface.checkpoints import CheckpointError, from_specification, kept_runs, kinds_of, read_kept
from interface.core import fingerprint
from interface.lock import claim
from interface.measurement import Transfer, measure
from interface.populations import Population
from interface.provenance import code_digest
from interface.theory.labels import LinearLabel

KINDS = kinds_of(populations, pretexts, encoders, training) | {"LinearLabel": LinearLabel}


@dataclass(frozen=True)
class Request:
    """What is asked of every kept run.

    Args:
        shifts: names and strengths of targets, as in `source.shift(name, strength)`; ("none", 0) is the source itself.
        probes: adaptations; every target meets every adaptation.
        n_labels: number of labelled examples; None asks for the minimal adaptation loss.
    """

    shifts: tuple[tuple[str, float], ...]
    probes: tuple[Probe, ...]
    n_labels: int | None = None

    def transfers(self, source: Population) -> tuple[Transfer, ...]:
        """The cells of a run on this source; none for a shift that it does not know."""
        known = [(name, strength) for name, strength in self.shifts if name == "none" or name in source.shifts]
        targets = [source if name == "none" else source.shift(name, strength) for name, strength in known]
        return tuple(Transfer(target, probe, n_labels=self.n_labels) for target in targets for probe in self.probes)


@dataclass(frozen=True)
class Added:
    """What came of one run.

    Args:
        run: its name.
        n_rows: rows that were added.
        n_known: cells that the table had already.
        status: "ok", "no_such_shift", "older_code", or "unreadable".
        message: why, where the status is not "ok".
    """

    run: str
    n_rows: int = 0
    n_known: int = 0
    status: str = "ok"
    message: str = ""


def probe_named(text: str) -> Probe:
    """An adaptation by class name, such as LinearProbe, or by its specification in JSON.

    Raises:
        ValueError: if there is no such adaptation, or it refuses its values.

    Example:
        >>> probe_named("LinearProbe") == probe_named('{"kind": "LinearProbe"}') == adaptations.LinearProbe()
        True
    """
    kinds = {name: kind for name, kind in kinds_of(adaptations).items() if hasattr(kind, "n_parameters")}
    try:
        content = json.loads(text) if text.lstrip().startswith("{") else {"kind": text}
    except json.JSONDecodeError as fault:
        raise ValueError(f"adaptation is {text!r}, which is no JSON: {fault}") from fault
    return from_specification(content, kinds)


def shift_named(text: str) -> tuple[str, float]:
    """A shift by name and strength: "rotation=1.0", or "none" for the source itself.

    Raises:
        ValueError: if the text is neither, or the strength is not in [0, 1].

    Example:
        >>> shift_named("rotation=0.5"), shift_named("none")
        (('rotation', 0.5), ('none', 0.0))
    """
    name, equals, strength = text.partition("=")
    if text == "none":
        return "none", 0.0
    try:
        value = float(strength)
    except ValueError:
        value = -1.0
    if not (name and equals and 0 <= value <= 1):
        raise ValueError(f"target is {text!r}; allowed: none, or name=strength with a strength in [0, 1], e.g. rotation=1.0")
    return name, value


def add(
    folder: Path,
    request: Request,
    *,
    device: str = "cpu",
    keep_older: bool = False,
    progress: Callable[[Iterable[str]], Iterable[str]] = lambda runs: runs,
) -> Iterator[Added]:
    """Measures what is asked on every kept run, and writes one file a run and cell beside the run's own.

    Cells that the table has already are not measured again; a run whose checkpoints cannot be read gets a status, and the
    others go on.

    Raises:
        ValueError: if the folder keeps no checkpoints.
    """
    runs = kept_runs(folder)
    if not runs:
        raise ValueError(f"{folder} keeps no checkpoints; run its sweep with --keep-checkpoints first")
    (folder / "runs").mkdir(exist_ok=True)
    with claim(folder, "additions", wait=True):  # two at once would measure the same cells twice
        for run in progress(runs):
            try:
                yield _added(folder, run, request, device, keep_older)
            except (CheckpointError, OSError, ValueError) as fault:
                yield Added(run, status="unreadable" if isinstance(fault, CheckpointError) else "failed", message=str(fault))


def _added(folder: Path, run: str, request: Request, device: str, keep_older: bool) -> Added:
    kept = read_kept(folder, run, KINDS)
    if kept.code != code_digest() and not keep_older:
        message = f"trained by other code ({kept.code}; this is {code_digest()}); train again, or accept it with --keep-older"
        return Added(run, status="older_code", message=message)
    source = kept.checkpoints[0].spec.source
    asked = request.transfers(source)
    if not asked:
        return Added(run, status="no_such_shift", message=f"{type(source).__name__} knows {', '.join(sorted(source.shifts))}")
    known = _cells(folder, run)
    new = [transfer for transfer in asked if transfer.key() not in known]
    written = 0
    for transfer in new:
        # its pretraining losses and costs are in the run's own file
        rows = [row for row in measure(kept.checkpoints, [transfer], device=device, seed=kept.seed) if row.adaptation is not None]
        name = f"{run}+{fingerprint(list(transfer.key()))}.parquet"
        table.write(rows, folder / "runs" / name, metadata={"code": code_digest()})
        written += len(rows)
    return Added(run, written, len(asked) - len(new))


def _cells(folder: Path, run: str) -> set[tuple[object, ...]]:
    """Keys of the cells of a run that the folder holds; unreadable files hold none."""
    files: Sequence[Path] = [path for path in (folder / "runs").glob(f"{run}*.parquet") if table.readable(path)]
    if not files:
        return set()
    columns = ["target", "adaptation", "n_labels", "depth", "readout", "replicate"]
    frame = table.read(*files)
    cells = frame.loc[frame["adaptation"].notna(), columns].drop_duplicates().astype(object)
    return set(cells.where(cells.notna(), None).itertuples(index=False, name=None))
