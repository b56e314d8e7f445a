"""When to stop pretraining: rules that pick a checkpoint from a measured trajectory, and the rows that record their choice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from interface.core import ROW_KEY, Estimate, Row

PRETRAINING = ("l_pre", "l_pre_profiled")  # what validation sees; the second where the pretext has no head
CELL = tuple(name for name in ROW_KEY if name not in ("run", "step", "quantity"))


@dataclass(frozen=True)
class FixedBudget:
    """Stop after a number of steps that was fixed beforehand.

    Args:
        step: the budget.
    """

    step: int

    @property
    def quantity(self) -> str:
        return f"stop_budget_{self.step}"

    def chosen(self, steps: Sequence[int], losses: Sequence[float]) -> Estimate:
        """The last checkpoint within the budget, as its step; the first one, "not_reached", if there is none."""
        _check(steps, losses)
        within = [step for step in steps if step <= self.step]
        return _step(within[-1]) if within else _step(steps[0], "not_reached")


@dataclass(frozen=True)
class Patience:
    """Stop when the validation loss has not improved for n checks, and keep the best checkpoint so far.

    Args:
        n: checks without improvement that are borne, >= 1.
        tolerance: improvements up to this count as none, in the loss's unit.

    Source: Prechelt, "Early stopping - but when?", in Neural Networks: Tricks of the Trade, 1998: criterion UP, with checks
    compared to the best so far instead of to the one before.

    Example:
        >>> rule = Patience(2)
        >>> rule.chosen([0, 10, 20, 30, 40], [1.0, 0.5, 0.6, 0.7, 0.1])
        10 (exact)
    """

    n: int
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.n < 1 or not self.tolerance >= 0:
            raise ValueError(f"Patience: n, tolerance are {self.n!r}, {self.tolerance!r}; allowed: n >= 1, tolerance >= 0")

    @property
    def quantity(self) -> str:
        return f"stop_patience_{self.n}" + (f"_{self.tolerance:g}" if self.tolerance else "")

    def chosen(self, steps: Sequence[int], losses: Sequence[float]) -> Estimate:
        """Step of the best checkpoint when patience ran out; "not_reached" if the trajectory ended first."""
        _check(steps, losses)
        best, waited = 0, 0
        for index, loss in enumerate(losses):
            if index == 0 or loss < losses[best] - self.tolerance or not math.isfinite(losses[best]):
                best, waited = index, 0
            else:
                waited += 1
            if waited == self.n:
                return _step(steps[best])
        return _step(steps[best], "not_reached" if math.isfinite(losses[best]) else "diverged")


@dataclass(frozen=True)
class Plateau:
    """Stop when the loss falls by less than `slope` an e-fold of training over the last `window` checks.

    Training is counted as ln(1 + step), since checkpoints are spaced geometrically.

    Args:
        window: checks that the slope is taken over, >= 1.
        slope: loss an e-fold of steps, >= 0, in the loss's unit.

    Example:
        >>> Plateau(1, 0.1).chosen([0, 9, 99, 999], [2.0, 1.0, 0.9, 0.5])
        99 (exact)
    """

    window: int
    slope: float

    def __post_init__(self) -> None:
        if self.window < 1 or not self.slope >= 0:
            raise ValueError(f"Plateau: window, slope are {self.window!r}, {self.slope!r}; allowed: window >= 1, slope >= 0")

    @property
    def quantity(self) -> str:
        return f"stop_plateau_{self.window}_{self.slope:g}"

    def chosen(self, steps: Sequence[int], losses: Sequence[float]) -> Estimate:
        """Step of the first checkpoint on the plateau; the last one, "not_reached", if the loss never flattened."""
        _check(steps, losses)
        for index in range(self.window, len(steps)):
            before = index - self.window
            folds = math.log1p(steps[index]) - math.log1p(steps[before])
            if not losses[before] - losses[index] >= self.slope * folds:  # so that a loss that is no number stops too
                return _step(steps[index], "ok" if math.isfinite(losses[index]) else "diverged")
        return _step(steps[-1], "not_reached")


@dataclass(frozen=True)
class Oracle:
    """Stop where the adaptation loss is least: what no rule on the pretraining loss can beat."""

    @property
    def quantity(self) -> str:
        return "stop_oracle"

    def chosen(self, steps: Sequence[int], losses: Sequence[float]) -> Estimate:
        """Step of the least loss, the earliest of equals; the first one, "diverged", if no loss is finite."""
        _check(steps, losses)
        finite = [(loss, step) for step, loss in zip(steps, losses, strict=True) if math.isfinite(loss)]
        return _step(min(finite)[1]) if finite else _step(steps[0], "diverged")


StoppingRule = FixedBudget | Patience | Plateau | Oracle


def stopping_rows(rows: Iterable[Row], rules: Sequence[StoppingRule]) -> Iterator[Row]:
    """What each rule picks in each run: rows at the run's last step whose value is the step that was picked.

    A rule on the pretraining loss gives one row a run. `Oracle` gives one row a run and cell of `l_adapt`, with the cell's
    columns. The loss that a rule ends with is the `l_adapt` of its run at `step == value`.

    Args:
        rows: of one run or many, with `l_pre` (or `l_pre_profiled`) and `l_adapt`.
        rules: with different quantities.

    Raises:
        ValueError: if two rules give the same quantity.
    """
    names = [rule.quantity for rule in rules]
    if len(set(names)) < len(names):
        raise ValueError(f"stopping_rows: rules give the quantities {', '.join(names)}; allowed: different ones")
    trajectories: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.quantity in (*PRETRAINING, "l_adapt"):
            key = (row.run, row.quantity, *(getattr(row, name) for name in CELL))
            trajectories.setdefault(key, []).append(row)
    with_head = {run for run, quantity, *_ in trajectories if quantity == PRETRAINING[0]}
    for (run, quantity, *_), found in trajectories.items():
        if quantity == PRETRAINING[1] and run in with_head:
            continue
        found.sort(key=lambda row: row.step)
        steps, losses = [row.step for row in found], [row.value for row in found]
        for rule in rules:
            if isinstance(rule, Oracle) == (quantity == "l_adapt"):
                step = rule.chosen(steps, losses)
                last = replace(found[-1], stderr=None, n=None, unit="step", how=step.how, status=step.status)
                yield replace(last, quantity=rule.quantity, value=float(step))


def _step(step: int, status: str = "ok") -> Estimate:
    return Estimate(step, how="exact", status=status)


def _check(steps: Sequence[int], losses: Sequence[float]) -> None:
    if not steps or len(steps) != len(losses) or any(a >= b for a, b in zip(steps, steps[1:], strict=False)):
        raise ValueError(
            f"chosen: got {len(steps)} steps {list(steps)} and {len(losses)} losses; allowed: increasing steps, a loss each"
        )
