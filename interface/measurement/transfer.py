"""What is asked of a representation: which target, which adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from interface.adaptations import LinearProbe, Probe
from interface.core import fingerprint
from interface.populations import Population


@dataclass(frozen=True)
class Transfer:
    """One evaluation cell; pretraining never sees it.

    Args:
        target: the population to adapt to, e.g. `source.shift("rotation", 1.0)`.
        adaptation: the family of predictors on top of the frozen encoder.
        replicate: index of equivalent targets (label directions of one world) that an analysis averages over.
    """

    target: Population
    adaptation: Probe = LinearProbe()
    replicate: int | None = None

    def key(self) -> tuple[str, str, int | None]:
        """What tells this cell from the others of a checkpoint: target, adaptation, replicate."""
        return fingerprint(self.target), type(self.adaptation).__name__, self.replicate
