"""What a pretraining run is: its specification, and the modules that it builds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from interface.core import fingerprint
from interface.encoders import Encoder
from interface.populations import Population
from interface.pretexts import Pretext


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) with beta = (.9, .999), eps 1e-8.

    Args:
        lr: learning rate, > 0.
        batch: examples a step, drawn with replacement.
    """

    lr: float = 1e-3
    batch: int = 128

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"Adam: lr is {self.lr!r}; allowed: a number > 0")
        if self.batch < 2:
            raise ValueError(f"Adam: batch is {self.batch!r}; allowed: an integer >= 2")


@dataclass(frozen=True)
class Pretraining:
    """Specification of one pretraining run; its fingerprint names the run.

    Args:
        source: population of the unlabelled data.
        pretext: the task.
        encoder: specification of the encoder.
        n_unlabelled: number of base examples that the run ever sees.
        optimizer: learning rate and batch size.
        steps: training steps at which a checkpoint is kept, increasing; the last is the length of training.
        seed: of the data, the batches and the initialisation. Runs of equal source and seed share batches, whatever
            their pretext, learning rate or size.
        views: random views kept of each base example.

    Raises:
        ValueError: if steps do not increase from >= 0, or there are fewer views than the pretext compares.
    """

    source: Population
    pretext: Pretext
    encoder: Encoder
    n_unlabelled: int
    optimizer: Adam = Adam()
    steps: tuple[int, ...] = (0, 4, 12, 36, 100, 300, 900, 2700)
    seed: int = 0
    views: int = 1

    def __post_init__(self) -> None:
        if not self.steps or self.steps[0] < 0 or any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"Pretraining: steps are {self.steps!r}; allowed: increasing integers >= 0")
        if self.n_unlabelled < 2:
            raise ValueError(f"Pretraining: n_unlabelled is {self.n_unlabelled!r}; allowed: an integer >= 2")
        if self.views < self.pretext.n_views:
            raise ValueError(
                f"Pretraining: views is {self.views}; {self.pretext.name} compares {self.pretext.n_views} views of an example"
            )

    @property
    def run(self) -> str:
        """Name of the run."""
        return fingerprint(self)

    def input_dim(self) -> int:
        """Number of entries of the input that the encoder sees."""
        seen = self.pretext.visible(self.source.input_dim)
        return self.source.input_dim if seen is None else len(seen)

    def build(self) -> Pretrained:
        """The untrained modules, not initialised."""
        head = self.pretext.head(self.source.input_dim, self.encoder.features, self.source.n_classes)
        return Pretrained(self.encoder.build(self.input_dim()), head)

    def flops(self, step: int) -> int:
        """Training flops up to `step`: three forward passes a step, the Kaplan et al. (2020) count."""
        head = self.build().head
        per_head = sum(2 * m.in_features * m.out_features for m in head.modules() if isinstance(m, nn.Linear)) if head else 0
        forward = self.pretext.n_views * (self.encoder.flops(self.input_dim()) + per_head)
        return 3 * forward * self.optimizer.batch * step


class Pretrained(nn.Module):
    """An encoder with the head that it was pretrained with (None where the pretext has none)."""

    def __init__(self, encoder: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
