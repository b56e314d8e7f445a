"""What a pretraining run is: its specification, and the modules that it builds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from interface.core import fingerprint
from interface.encoders import Encoder
from interface.populations import Examples, Pool, Population
from interface.pretexts import NextToken, Pretext


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

    def build(self, blocks: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Torch's optimizer of these parameter groups."""
        return torch.optim.Adam(blocks, fused=True)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with heavy-ball momentum (Polyak 1964), in torch's form.

    Args:
        lr: learning rate, > 0.
        batch: examples a step, drawn with replacement.
        momentum: share of the last step that is kept, in [0, 1).
    """

    lr: float = 1e-2
    batch: int = 128
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"SGD: lr is {self.lr!r}; allowed: a number > 0")
        if self.batch < 2:
            raise ValueError(f"SGD: batch is {self.batch!r}; allowed: an integer >= 2")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"SGD: momentum is {self.momentum!r}; allowed: a number in [0, 1)")

    def build(self, blocks: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Torch's optimizer of these parameter groups."""
        return torch.optim.SGD(blocks, momentum=self.momentum, fused=True)


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
        ValueError: if steps do not increase from >= 0, there are fewer views than the pretext compares or more than the source has,
            or the encoder does not read the source's tokens or sees those that it is to predict.
    """

    source: Population
    pretext: Pretext
    encoder: Encoder
    n_unlabelled: int
    optimizer: Adam | SGD = Adam()
    steps: tuple[int, ...] = (0, 4, 12, 36, 100, 300, 900, 2700)
    seed: int = 0
    views: int = 1

    def __post_init__(self) -> None:
        if not self.steps or self.steps[0] < 0 or any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"Pretraining: steps are {self.steps!r}; allowed: increasing integers >= 0")
        if self.n_unlabelled < 2:
            raise ValueError(f"Pretraining: n_unlabelled is {self.n_unlabelled!r}; allowed: an integer >= 2")
        compared = max(self.views, self.pretext.n_views)
        if isinstance(self.source, Pool) and self.source.finite and compared > 1:
            raise ValueError(
                f"Pretraining: views is {self.views}, {self.pretext.name} compares {self.pretext.n_views}; allowed for the Pool "
                f"{self.source.name!r}, which holds one view of each example: 1 and 1. Give it an augmentation kernel for more"
            )
        if self.views < self.pretext.n_views:
            raise ValueError(
                f"Pretraining: views is {self.views}; {self.pretext.name} compares {self.pretext.n_views} views of an example"
            )
        if isinstance(self.pretext, NextToken) and not self.encoder.causal:
            raise ValueError(f"Pretraining: {self.encoder.name} sees the tokens that NextToken predicts; allowed: a causal encoder")
        ours, theirs = self.encoder.vocabulary, self.source.vocabulary
        if (ours is None) != (theirs is None) or (ours is not None and theirs is not None and ours < theirs):
            wanted = "None, for real input" if theirs is None else f"at least the {theirs} tokens of the source"
            raise ValueError(f"Pretraining: the vocabulary of {self.encoder.name} is {ours!r}; allowed: {wanted}")

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
        student = Pretrained(self.encoder.build(self.input_dim()), head)
        if self.pretext.momentum is not None:
            student.teacher = copy.deepcopy(student).requires_grad_(False)
        return student

    def flops(self, step: int) -> int:
        """Training flops up to `step`: three forward passes a step, the Kaplan et al. (2020) count, and one of a teacher.

        Counted where encoder and head act, at every view and position; what the loss itself computes is left out.
        """
        return _flops(self.pretext, self.encoder, self.source.input_dim, self.source.n_classes) * self.optimizer.batch * step

    def saved_bytes(self) -> int:
        """Memory that a step holds between the encoder's forward and backward pass."""
        return self.optimizer.batch * self.pretext.n_views * self.encoder.saved_bytes(self.input_dim())


class Pretrained(nn.Module):
    """An encoder with the head that it was pretrained with (None where the pretext has none).

    `teacher` is a slowly moving copy of both where the pretext has a momentum, None elsewhere.
    """

    teacher: Pretrained | None

    def __init__(self, encoder: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.teacher = None


@lru_cache(maxsize=1024)
def _flops(pretext: Pretext, encoder: Encoder, input_dim: int, n_classes: int | None) -> int:
    """Training flops of one example: counted on two, since some losses compare examples."""
    seen = pretext.visible(input_dim)
    modules = encoder.build(input_dim if seen is None else len(seen)), pretext.head(input_dim, encoder.features, n_classes)
    count = 0

    def counted(module: nn.Module | None) -> Callable[..., Tensor] | None:
        def call(x: Tensor, **reading: Any) -> Tensor:
            nonlocal count
            with FlopCounterMode(display=False) as counter:
                found = module(x, **reading)  # type: ignore[misc]
            count += counter.get_total_flops()
            return found

        return None if module is None else call

    x = torch.zeros(2, pretext.n_views, input_dim, dtype=torch.float32 if encoder.vocabulary is None else torch.int64)
    noise = pretext.noise(2, input_dim, torch.Generator().manual_seed(0))
    embed, head = (counted(module) for module in modules)
    assert embed is not None
    with torch.no_grad():
        views = pretext.labelled(embed, head, pretext.view(Examples(x, torch.zeros(2, dtype=torch.int64)), noise))
        of_teacher, count = count, 0
        pretext.loss(embed, head, views)
    return (of_teacher + 3 * count) // 2
