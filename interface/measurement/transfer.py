"""What is asked of a representation: which target, which adaptation, how many labels, read where."""

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
        adaptation: the family of predictors on top of the encoder.
        replicate: index of equivalent targets (label directions of one world) or label draws that an analysis averages over.
        n_labels: number of labelled examples; None asks for the minimal adaptation loss, the limit of many labels.
        depth: layer whose output is read, 1 is the first; None is the encoder's output.
        readout: how a sequence becomes one vector; None is the encoder's own way.

    Raises:
        ValueError: if `n_labels` or `depth` is less than 1.
    """

    target: Population
    adaptation: Probe = LinearProbe()
    replicate: int | None = None
    n_labels: int | None = None
    depth: int | None = None
    readout: str | None = None

    def __post_init__(self) -> None:
        for name in ("n_labels", "depth"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Transfer: {name} is {value!r}; allowed: None or an integer >= 1")

    def key(self) -> tuple[str, str, int | None, int | None, str | None, int | None]:
        """What tells this cell from the others of a checkpoint, in the order of the row's key."""
        return fingerprint(self.target), self.adaptation.name, self.n_labels, self.depth, self.readout, self.replicate
