"""A checkpoint: all that measurement ever sees of a trained model, whoever trained it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from interface.core import ROW_KEY, Row


def call(module: nn.Module, x: Tensor) -> Tensor:
    """The default embedding: the module's own output."""
    return module(x)


@dataclass(frozen=True)
class Checkpoint:
    """One state of one training run.

    Args:
        run: name of the run, shared by its checkpoints: the unit of inference where there are no instances.
        step: number of training steps behind this state, >= 0.
        load: gives the module in evaluation mode, parameters in place; called when measured, not before.
        embed: (module, x) -> features (n, d).
        facts: what is known of the run. Keys that are columns of a row fill them ("lr", "pretext", ...); the others go
            into the row's `spec`.
        spec: the `Pretraining` behind it if it was trained here, else None.
        seconds: wall time of training up to here, shared equally among runs that were trained together; None if unknown.
    """

    run: str
    step: int
    load: Callable[[], nn.Module]
    embed: Callable[[nn.Module, Tensor], Tensor] = call
    facts: Mapping[str, Any] = field(default_factory=dict)
    spec: Any = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.run:
            raise ValueError("Checkpoint: run is empty; name the run that this state belongs to")
        if self.step < 0:
            raise ValueError(f"Checkpoint: step is {self.step!r}; allowed: an integer >= 0")
        measured = set(ROW_KEY) | {"value", "stderr", "how", "status", "unit", "n", "spec", "code", "device"}
        if taken := measured & set(self.facts):
            raise ValueError(f"Checkpoint: facts name {', '.join(sorted(taken))}, which measurement fills itself; rename them")

    def columns(self) -> dict[str, Any]:
        """The facts that are columns of a row."""
        return {key: value for key, value in self.facts.items() if key in Row.__dataclass_fields__}

    def remarks(self) -> dict[str, Any]:
        """The facts that are not."""
        return {key: value for key, value in self.facts.items() if key not in Row.__dataclass_fields__}
