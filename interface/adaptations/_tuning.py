"""What a tuning is: a procedure with a budget that moves an encoder and a linear head on N labels, many problems at once."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from interface.adaptations._moving import Moving
from interface.adaptations._task import Head as Head
from interface.adaptations._task import State as State
from interface.adaptations._task import Task as Task
from interface.adaptations._task import checked_task, embedded, like, losses_of, smoothing
from interface.core import short_name

WORSE = 1e-3  # share of its first loss by which a tuning may end above it and still count as solved; mini-batches are noisy
PROBLEMS, EXAMPLES = 16, 1024  # evaluated at once, so that memory stays bounded


@dataclass(frozen=True)
class Tuned:
    """E tuned encoders with their heads.

    Args:
        encoder: the module; states: its tuned states, each (E, ...); head: the tuned heads.
        n_classes: C, or None for squared loss.
        status: of each problem: "ok", "not_converged" if the loss on its own labels ended above where it began, or "diverged" if a
            parameter or that loss is not finite; the loss of a diverged problem is inf.
        stackable: see `Task`.
    """

    encoder: nn.Module
    states: State
    head: Head
    n_classes: int | None
    status: list[str]
    stackable: bool = True

    def part(self, start: int, stop: int) -> Tuned:
        """The problems from `start` to before `stop`."""
        states = {name: value[start:stop] for name, value in self.states.items()}
        head = Head(*(value[start:stop] for value in self.head))
        return Tuned(self.encoder, states, head, self.n_classes, self.status[start:stop], self.stackable)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Loss of each example, (E, n) in float64: nats for classes, squared units of the label elsewhere.

        Args:
            x: (n, ...) shared by all problems, or (E, n, ...).
            y: (n,) or (E, n).
        """
        x = x if y.ndim == 2 else x.unsqueeze(0)
        y = y if y.ndim == 2 else y.unsqueeze(0)
        found = []
        for start in range(0, len(self.status), PROBLEMS):
            some = self.part(start, start + PROBLEMS)
            inputs, labels = (value if len(value) == 1 else value[start : start + PROBLEMS] for value in (x, y))
            parts = zip(inputs.split(EXAMPLES, 1), labels.split(EXAMPLES, 1), strict=True)
            found.append(torch.cat([some._losses(*part) for part in parts], 1))
        losses = torch.cat(found)
        diverged = torch.tensor([word == "diverged" for word in self.status])
        return torch.where(diverged.unsqueeze(1), torch.inf, losses)

    def _losses(self, x: Tensor, y: Tensor) -> Tensor:
        """(E, n) on the CPU from x (1|E, n, ...) and y (1|E, n)."""
        with torch.no_grad():
            z = embedded(self.encoder, self.states, like(x, self.head.weight), self.stackable).double()
            head = Head(*(value.double() for value in self.head))
            return losses_of(head, z, y.to(z.device), self.n_classes).cpu()


@dataclass(frozen=True, kw_only=True)
class Tuning(ABC):  # noqa: B024 - every part has a default: that of full fine-tuning
    """A way to adapt that moves the encoder too. Final subclasses are frozen dataclasses of plain numbers.

    The budget is part of it: with none, the least loss of full fine-tuning is that of the whole class of networks, the same for
    every checkpoint, and says nothing about pretraining. What it gives is a risk after N labels, an upper side of any minimum.
    With classes, half a count of each is added to the labels, as in `Probe.learn`, so that probes and tunings learn from the same.

    Args:
        steps: updates, >= 0; 0 is the head that tuning starts from.
        lr: learning rate, > 0.
        batch: labels an update, drawn with replacement; all of them where there are no more than that.
        radius: None, or the farthest that what moves may go from its start, as a share of the norm of the encoder and the head
            at the start; updates are projected onto that ball.
        optimizer: "adam" (Kingma and Ba 2015), or "gradient" for plain gradient descent.

    Raises:
        ValueError: if one of them is out of its range.
    """

    steps: int = 300
    lr: float = 1e-3
    batch: int = 64
    radius: float | None = None
    optimizer: Literal["adam", "gradient"] = "adam"

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, least in (("steps", 0), ("batch", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{kind}: {name} is {value!r}; allowed: an integer >= {least}. A tuning always has a budget")
        if not (0 < self.lr < float("inf")):
            raise ValueError(f"{kind}: lr is {self.lr!r}; allowed: a number > 0")
        if self.radius is not None and not self.radius >= 0:
            raise ValueError(f"{kind}: radius is {self.radius!r}; allowed: None or a number >= 0")
        if self.optimizer not in ("adam", "gradient"):
            raise ValueError(f"{kind}: optimizer is {self.optimizer!r}; allowed: 'adam', 'gradient'")

    @property
    def name(self) -> str:
        """What tables call it: the class, with what is not at its default."""
        return short_name(self)

    @property
    def reads_encoder(self) -> bool:
        """Whether the result depends on the pretrained states."""
        return True

    def moved(self, task: Task) -> State:
        """What of the encoder moves, at its start: (E, ...) each."""
        return task.parameters()

    def assembled(self, task: Task, moved: Mapping[str, Tensor]) -> State:
        """The encoder's states when what moves is at `moved`."""
        return {**task.states, **moved}

    def head(self, task: Task) -> Head:
        """The head that tuning starts from: normal weights of variance 1 / features, intercepts 0."""
        features = task.features().shape[2]
        weight = task.normal(task.outputs, features) / features**0.5
        return Head(weight, weight.new_zeros(task.problems, task.outputs))

    def tune(
        self,
        encoder: nn.Module,
        states: Mapping[str, Tensor],
        x: Any,
        y: Any,
        *,
        n_classes: int | None,
        generator: Generator | Sequence[Generator],
        stackable: bool = True,
    ) -> Tuned:
        """E encoders and heads after the budget, on the mean log loss (smoothed labels) or squared loss of N labels each.

        Random numbers (head, mini-batches) are common to the problems of one sample, so that a problem's result does not depend
        on its neighbours, and differences between checkpoints are not blurred by them.

        Args:
            encoder: see `Task`; it is not changed.
            states: its parameters, each (E, ...); not changed.
            x: (N, ...) inputs shared by all problems, or (G, N, ...) where G divides E: see `Task`.
            y: (N,) or (G, N); integers where `n_classes` is given, real numbers where it is None.
            n_classes: C, or None for squared loss.
            generator: one, or one a sample.
            stackable: False for a module that cannot run on stacked parameters: it is called problem by problem.

        Raises:
            ValueError: if shapes do not fit, labels are out of range, inputs are not finite, or no gradient reaches the encoder.
        """
        task = checked_task(encoder, states, x, y, n_classes, generator, stackable)
        moved, head = self.moved(task), self.head(task)
        names = list(moved)
        with torch.no_grad():
            first = self.assembled(task, moved)
            size = _norms([value for name, value in first.items() if name in task.parameters()] + list(head))
            z = None if names else task.features()  # a frozen encoder is evaluated once
            begun = _mean_losses(task, first, head, z)
        limit = None if self.radius is None else self.radius * size
        moving = Moving([*moved.values(), *head], lr=self.lr, adam=self.optimizer == "adam", limit=limit)

        def current() -> tuple[State, Head]:
            values = moving.values
            return self.assembled(task, dict(zip(names, values, strict=False))), Head(values[-2], values[-1])

        n, samples = task.x.shape[1], len(task.x)
        share = smoothing(n, n_classes)
        rows = None if n <= self.batch else [torch.randint(n, (self.steps, self.batch), generator=g) for g in task.generators]
        numbers = torch.arange(samples).unsqueeze(1)
        for step in range(self.steps):
            chosen = slice(None) if rows is None else torch.stack([drawn[step] for drawn in rows])
            part = (slice(None), chosen) if rows is None else (numbers, chosen)
            encoder_states, now = current()
            if z is None:
                features = embedded(encoder, encoder_states, task.x[part], stackable)
                if not features.requires_grad:
                    raise ValueError("tune: no gradient reaches the encoder's parameters; does its embedding run under no_grad?")
            else:
                by_sample = z.unflatten(0, (samples, -1)).transpose(1, 2)[part]  # (G, batch, E / G, features)
                features = by_sample.transpose(1, 2).flatten(0, 1)
            losses_of(now, features, task.y[part], n_classes, share).mean(1).sum().backward()
            moving.update()
        with torch.no_grad():
            last, head = current()
            ended = _mean_losses(task, last, head, z)
        last = {name: value.detach() for name, value in last.items()}
        finite = moving.finite() & torch.isfinite(ended)
        improved = ended <= begun + WORSE * begun.abs() + 1e-6
        words = ["diverged" if not ok else "ok" if better else "not_converged" for ok, better in zip(finite, improved, strict=True)]
        return Tuned(encoder, last, Head(*(value.detach() for value in head)), n_classes, words, stackable)


def _mean_losses(task: Task, states: State, head: Head, z: Tensor | None) -> Tensor:
    """(E,) mean losses on all labels; `z` are the features where the encoder is frozen."""
    z = task.embedded(states) if z is None else z
    return losses_of(head, z, task.y, task.n_classes, smoothing(task.x.shape[1], task.n_classes)).mean(1)


def _norms(values: Sequence[Tensor]) -> Tensor:
    """(E,) Euclidean norms over everything but the problem axis."""
    return torch.stack([value.flatten(1).square().sum(1) for value in values]).sum(0).sqrt()
