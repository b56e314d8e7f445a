"""One cell as a dense array: instance x learning rate x n_unlabelled x step x replicate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from interface.analysis.units import CELL, IN_DOMAIN, Groups, coordinates, numbers, require

Scale = Literal["own", "in_domain"]
SUPERVISED = "Supervised"
WITH_RANGE = ("ok", "own_range")
_LACKING = {"no in-domain rows": "in-domain rows of the same encoder", "no_step_0": "step-0 checkpoints"}
_VALUES = (
    "x", "l_adapt", "drop", "floor", "range", "floor_in_domain", "range_in_domain", "range_status", "range_in_domain_status",
    "l_pre_profiled", "l_adapt_low", "l_adapt_high",
)  # fmt: skip
_DESIGN = ("instance", "lr", "n_unlabelled", "step")


@dataclass(frozen=True)
class Cell:
    """What is analysed by itself: never pooled over, only averaged inside an instance by a claim that says so."""

    source: str
    pretext: str
    encoder: str
    shift: str = IN_DOMAIN
    strength: float = 0.0
    adaptation: str | None = None
    depth: float | None = None
    readout: str | None = None
    unit: str | None = None

    @property
    def in_domain(self) -> bool:
        return self.shift == IN_DOMAIN

    def to(self, shift: str, strength: float) -> Cell:
        """The same cell under another shift."""
        return replace(self, shift=shift, strength=strength)

    def __str__(self) -> str:
        where = "in-domain" if self.in_domain else f"{self.shift} {self.strength:g}"
        return f"{self.pretext} x {self.encoder}, {where}"


@dataclass(frozen=True, eq=False)
class Panel:
    """All runs of one cell; nan where nothing was measured. Panels of one source share their axes.

    Args:
        cell: which.
        instances: (i,) units of inference.
        lrs: (l,) learning rates, rising.
        sizes: (n,) levels of n_unlabelled, rising; inf is unlimited.
        steps: (t,) checkpoints, rising.
        x: (i, l, n, t) share of the pretraining drop still to go.
        loss: (i, l, n, t, k) L* of each replicate, in the unit of the cell; averaged over seeds.
        variance: (i, l, n, t, k) squared standard error of that loss; 0 where it is exact.
        drop: (i,) D, in units of the pretraining loss.
        floor, span: (i,) M (averaged over replicates) and R of the cell; span is nan where `status` says no_range.
        home_floor, home_span: (i,) M and R of the in-domain cell.
        status, home_status: (i,) "ok", "own_range", "no_range", "no_step_0", or "no rows".
        pre: (i, l, n, t) head-profiled L_pre in its own unit, which encoders of one pretext share.
        low, high: (i, l, n, t, k) the two sides of L*, in the unit of the cell: from the draws that a probe was fitted on, and from
            draws of their own. Equal where L* is exact; nan where the table lacks them.
    """

    cell: Cell
    instances: tuple[str, ...]
    lrs: tuple[float, ...]
    sizes: tuple[float, ...]
    steps: tuple[int, ...]
    x: np.ndarray
    loss: np.ndarray
    variance: np.ndarray
    drop: np.ndarray
    floor: np.ndarray
    span: np.ndarray
    home_floor: np.ndarray
    home_span: np.ndarray
    status: tuple[str, ...]
    home_status: tuple[str, ...]
    pre: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def y(self, scale: Scale = "own") -> np.ndarray:
        """(i, l, n, t, k) adaptation ranges above the floor: this cell's own, or the in-domain cell's to compare targets."""
        floor, span = (self.floor, self.span) if scale == "own" else (self.home_floor, self.home_span)
        lift = (slice(None), None, None, None, None)
        return (self.loss - floor[lift]) / span[lift]

    def range(self, scale: Scale = "own") -> np.ndarray:
        """(i,) R, nats or squared units a range."""
        return self.span if scale == "own" else self.home_span

    @property
    def no_range(self) -> bool:
        """Whether more instances lack an adaptation range than have one: then neither I, B nor V is printed."""
        lacking = sum(status == "no_range" for status in self.status)
        return lacking > sum(status in WITH_RANGE for status in self.status)

    def obstacle(self, scale: Scale = "own") -> str | None:
        """Why nothing can be said on this scale, whatever the runs: "no range", or what the table lacks; None if nothing."""
        if not np.isfinite(self.x).any():
            return "needs step-0 checkpoints, and runs whose L_pre falls below them"
        if scale == "own" and self.no_range:
            return "no range"
        if not np.isfinite(self.range(scale)).any():
            found = {status for status in (self.status if scale == "own" else self.home_status) if status != "no rows"}
            return "no range" if found == {"no_range"} else f"needs {_LACKING.get(min(found, default=''), 'an adaptation range')}"
        return None


Panels = Mapping[Cell, Panel]


def panels(frame: pd.DataFrame | Panels) -> Panels:
    """Every cell of a wide frame as a panel, in the units of `coordinates`; seeds are averaged inside a design point.

    Args:
        frame: wide frame, or panels already made (returned as they are).

    Raises:
        ValueError: as `coordinates`; also if two runs of one instance, lr, n_unlabelled and seed differ in something else.
    """
    if not isinstance(frame, pd.DataFrame):
        return frame
    table = coordinates(frame)
    group = Groups(table)
    _refuse_pooled(table, group)
    columns = {name: table[name].to_numpy() for name in _VALUES}
    columns["variance"] = np.nan_to_num(table["l_adapt_stderr"].to_numpy()) ** 2
    columns["replicate"] = group("replicate")
    identity = [table[name].to_numpy(dtype=object) for name in CELL]
    result = {}
    axes_of_all, cell_of_all = [_coded(table[name]) for name in _DESIGN], group(*CELL)
    for here in _split(group("source")):
        axes = [_restricted(codes[here], levels) for codes, levels in axes_of_all]
        cells = _split(cell_of_all[here])
        for rows in cells:
            values = (column[here[rows[0]]] for column in identity)
            cell = Cell(*(None if pd.isna(value) else value for value in values))  # type: ignore[arg-type]
            content = {name: column[here[rows]] for name, column in columns.items()}
            result[cell] = _panel(cell, content, [(codes[rows], levels) for codes, levels in axes])
    return result


def panel(table: pd.DataFrame) -> Panel:
    """One cell that is already in the units of x and y, as a panel.

    Args:
        table: columns instance, lr, n_unlabelled, step, x, y and optionally stderr (of y) and replicate.

    Raises:
        ValueError: if a column is missing or two rows share instance, lr, n_unlabelled, step and replicate.
    """
    require(table, (*_DESIGN, "x", "y"))
    table = table.assign(replicate=table["replicate"] if "replicate" in table.columns else 0)
    if table.duplicated([*_DESIGN, "replicate"]).any():
        raise ValueError(
            "table holds two rows of one instance, lr, step and n_unlabelled; analyse one pretext, encoder and target at a time"
        )
    n = len(table)
    error = numbers(table, "stderr") if "stderr" in table.columns else np.zeros(n)
    content = {"x": numbers(table, "x"), "l_adapt": numbers(table, "y"), "variance": np.nan_to_num(error) ** 2}
    content |= {"l_pre_profiled": content["x"], "l_adapt_low": np.full(n, np.nan), "l_adapt_high": np.full(n, np.nan)}
    content |= {name: np.ones(n) for name in ("drop", "range", "range_in_domain")}
    content |= {name: np.zeros(n) for name in ("floor", "floor_in_domain")}
    content |= {name: np.full(n, "ok", dtype=object) for name in ("range_status", "range_in_domain_status")}
    content["replicate"] = pd.factorize(table["replicate"])[0]
    return _panel(Cell("table", "table", "table"), content, [_coded(table[name]) for name in _DESIGN])


def _refuse_pooled(table: pd.DataFrame, group: Groups) -> None:
    design = (*CELL, "instance", "lr", "n_unlabelled", "step", "replicate")
    seed = group(*design, "seed")
    unique = group(*design, "seed", "optimizer", "batch", "target")
    if len(table) > seed.max(initial=-1) + 1:
        row = table[pd.Series(seed).duplicated().to_numpy()].iloc[0]
        differ = "optimizer, batch or target" if unique.max() > seed.max() else "nothing but the run"
        raise ValueError(
            f"two runs share instance {row['instance']}, lr {row['lr']:g}, n_unlabelled {row['n_unlabelled']:g} and seed, "
            f"step {row['step']}; they differ in {differ}. Analyse one optimizer, batch size and target at a time"
        )


def _split(codes: np.ndarray) -> list[np.ndarray]:
    """Positions of the rows of each group."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _coded(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    codes, levels = pd.factorize(values, sort=True)
    return codes, np.asarray(levels)


def _restricted(codes: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes and levels of a part of the rows, without the levels that it lacks."""
    present = np.zeros(len(levels), bool)
    present[codes] = True
    return (np.cumsum(present) - 1)[codes], levels[present]


def _panel(cell: Cell, columns: Mapping[str, np.ndarray], axes: Sequence[tuple[np.ndarray, np.ndarray]]) -> Panel:
    """Dense arrays out of the rows of one cell; `axes` holds codes and levels of the four axes of the design."""
    codes, levels = zip(*axes, strict=True)
    replicates, kinds = pd.factorize(columns["replicate"])
    shape = tuple(len(level) for level in levels)
    point = np.asarray(np.ravel_multi_index(codes, shape))
    flat = point * len(kinds) + replicates
    size = math.prod(shape)

    def mean(name: str, index: np.ndarray, length: int) -> np.ndarray:
        count = np.bincount(index, minlength=length)
        total = np.bincount(index, columns[name], length)
        return np.divide(total, count, out=np.full(length, np.nan), where=count > 0)

    def each(name: str) -> np.ndarray:
        return mean(name, codes[0], shape[0])

    def word(name: str) -> tuple[str, ...]:
        found = np.full(shape[0], "no rows", dtype=object)
        found[codes[0]] = columns[name]
        return tuple(map(str, found))

    status, home_status = word("range_status"), word("range_in_domain_status")
    seeds = np.maximum(np.bincount(flat, minlength=size * len(kinds)), 1)
    full = (*shape, len(kinds))
    return Panel(
        cell=cell,
        instances=tuple(map(str, levels[0])),
        lrs=tuple(map(float, levels[1])),
        sizes=tuple(map(float, levels[2])),
        steps=tuple(map(int, levels[3])),
        x=mean("x", point, size).reshape(shape),
        loss=mean("l_adapt", flat, size * len(kinds)).reshape(full),
        variance=(mean("variance", flat, size * len(kinds)) / seeds).reshape(full),
        drop=each("drop"),
        floor=each("floor"),
        span=np.where([s in WITH_RANGE for s in status], each("range"), np.nan),
        home_floor=each("floor_in_domain"),
        home_span=np.where([s in WITH_RANGE for s in home_status], each("range_in_domain"), np.nan),
        status=status,
        home_status=home_status,
        pre=mean("l_pre_profiled", point, size).reshape(shape),
        low=mean("l_adapt_low", flat, size * len(kinds)).reshape(full),
        high=mean("l_adapt_high", flat, size * len(kinds)).reshape(full),
    )
