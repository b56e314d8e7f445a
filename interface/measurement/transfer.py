"""What is asked of a representation: which target, which adaptation, how many labels, read where."""

from __future__ import annotations

from dataclasses import dataclass

from interface.adaptations import LinearProbe, Probe, Tuning
from interface.core import fingerprint
from interface.populations import Population


@dataclass(frozen=True)
class Transfer:
    """One evaluation cell; pretraining never sees it.

    Args:
        target: the population to adapt to, e.g. `source.shift("rotation", 1.0)`.
        adaptation: the family of predictors on top of the encoder, or a way to tune the encoder too.
        replicate: index of equivalent targets (label directions of one world) or label draws that an analysis averages over.
        n_labels: number of labelled examples; None asks for the minimal adaptation loss, the limit of many labels.
        depth: layer whose output is read, 1 is the first; None is the encoder's output.
        readout: how a sequence becomes one vector; None is the encoder's own way.
        adapted_on: population that the labelled examples come from, the loss being that on `target`; None is the target itself.
            Adapting on the source and reading off under shift is one use. It is no part of a row's key: cells that differ in it
            alone cannot be measured together.

    Raises:
        ValueError: if `n_labels` or `depth` is less than 1, or `n_labels` less than the probe can learn from; if a tuning is asked
            for without `n_labels`, or at another depth or readout than the encoder's own; if `adapted_on` comes without `n_labels`
            or has other labels than the target.
    """

    target: Population
    adaptation: Probe | Tuning = LinearProbe()
    replicate: int | None = None
    n_labels: int | None = None
    depth: int | None = None
    readout: str | None = None
    adapted_on: Population | None = None

    def __post_init__(self) -> None:
        for name in ("n_labels", "depth"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Transfer: {name} is {value!r}; allowed: None or an integer >= 1")
        if isinstance(self.adaptation, Probe) and self.n_labels is not None and self.n_labels < self.adaptation.fewest_labels:
            fewest = self.adaptation.fewest_labels
            raise ValueError(
                f"Transfer: n_labels is {self.n_labels}; allowed for {self.adaptation.name}: None or an integer >= {fewest}"
            )
        if isinstance(self.adaptation, Tuning):
            if self.n_labels is None:
                raise ValueError(
                    f"Transfer: {self.adaptation.name} needs n_labels. With unlimited labels and updates it reaches the least loss "
                    "of the whole class of networks from every checkpoint, so that its minimum says nothing about pretraining"
                )
            if self.depth is not None or self.readout is not None:
                raise ValueError(
                    f"Transfer: {self.adaptation.name} with depth {self.depth!r}, readout {self.readout!r}; allowed: None, since a "
                    "tuning reads the encoder's output"
                )
        if self.adapted_on is not None:
            if self.n_labels is None:
                raise ValueError("Transfer: adapted_on needs n_labels; the minimal adaptation loss is the target's own")
            ours, theirs = ((p.input_dim, p.n_classes) for p in (self.target, self.adapted_on))
            if ours != theirs:
                raise ValueError(f"Transfer: adapted_on has input_dim, n_classes {theirs}; allowed: those of the target, {ours}")

    def key(self) -> tuple[str, str, int | None, int | None, str | None, int | None]:
        """What tells this cell from the others of a checkpoint, in the order of the row's key."""
        return fingerprint(self.target), self.adaptation.name, self.n_labels, self.depth, self.readout, self.replicate

    def minimum(self) -> Transfer:
        """The cell of the minimal adaptation loss that this one's risk is compared to: a linear probe's, if labels are counted."""
        if self.n_labels is None:
            return self
        return Transfer(self.target, LinearProbe(), depth=self.depth, readout=self.readout)
