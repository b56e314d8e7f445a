"""What a tuning works on: checked problems, their features and the losses of their heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from interface.convex._base import as_tensor

State = dict[str, Tensor]  # by the encoder's own keys, the problem axis E first


@dataclass(frozen=True)
class Task:
    """E problems on G labelled samples: problem e has the encoder of state e and sample e // (E / G).

    Args:
        encoder: the module that `states` parametrise: (n, ...) -> (n, features).
        states: its parameters (and buffers), each (E, ...). They are never written to.
        x: (G, n, ...) inputs. y: (G, n) integer classes, or real values.
        n_classes: C, or None for squared loss.
        generators: one a sample; what they draw is shared by the problems of that sample.
        stackable: whether the encoder gives (E, n, features) with stacked parameters; if not it is called problem by problem.
    """

    encoder: nn.Module
    states: State
    x: Tensor
    y: Tensor
    n_classes: int | None
    generators: tuple[Generator, ...]
    stackable: bool

    @property
    def problems(self) -> int:
        return len(next(iter(self.states.values())))

    @property
    def outputs(self) -> int:
        return self.n_classes or 1

    def parameters(self) -> State:
        """Those of the states that can be trained."""
        trainable = {name for name, _ in self.encoder.named_parameters()}
        return {name: value for name, value in self.states.items() if name in trainable}

    def each(self, of_sample: Tensor) -> Tensor:
        """(G, ...) of the samples as (E, ...) of the problems."""
        return of_sample.repeat_interleave(self.problems // len(of_sample), 0)

    def normal(self, *shape: int) -> Tensor:
        """(E, *shape) standard normal numbers, drawn once a sample, on the states' device and of their type."""
        like = next(iter(self.parameters().values()), next(iter(self.states.values())))
        return self.each(torch.stack([torch.randn(shape, generator=g) for g in self.generators])).to(like)

    def features(self) -> Tensor:
        """(E, n, features) of the samples under the states as they were given."""
        with torch.no_grad():
            return self.embedded(self.states)

    def embedded(self, states: Mapping[str, Tensor]) -> Tensor:
        """(E, n, features) of the samples under these states; sample by sample, so that no input is copied for each problem."""
        size = self.problems // len(self.x)
        parts = []
        for g, x in enumerate(self.x):
            some = {name: value[g * size : (g + 1) * size] for name, value in states.items()}
            parts.append(embedded(self.encoder, some, x.unsqueeze(0), self.stackable))
        return torch.cat(parts)


class Head(NamedTuple):
    """Linear heads: weight (E, C, features) and intercept (E, C), C = 1 for real values."""

    weight: Tensor
    intercept: Tensor

    def outputs(self, z: Tensor) -> Tensor:
        """(E, n, C) from features (E, n, features)."""
        return torch.baddbmm(self.intercept.unsqueeze(1), z, self.weight.mT)


def embedded(encoder: nn.Module, states: Mapping[str, Tensor], x: Tensor, stackable: bool) -> Tensor:
    """Features (E, n, features) of inputs (G, n, ...), G dividing E."""
    problems = len(next(iter(states.values())))
    if not stackable:
        x = x.expand(problems, *x.shape[1:]) if len(x) == 1 else x.repeat_interleave(problems // len(x), 0)
        return torch.stack([functional_call(encoder, {k: v[e] for k, v in states.items()}, (x[e],)) for e in range(problems)])
    if len(x) < problems:
        x = x[0] if len(x) == 1 else x.repeat_interleave(problems // len(x), 0)
    return functional_call(encoder, dict(states), (x,))


def smoothing(n: int, n_classes: int | None) -> float:
    """Share of a label that is spread evenly over the classes in learning: half a count of each class among n labels."""
    return 0.0 if n_classes is None else 0.5 * n_classes / (n + 0.5 * n_classes)


def losses_of(head: Head, z: Tensor, y: Tensor, n_classes: int | None, share: float = 0.0) -> Tensor:
    """(E, n) losses of features (E, n, features) with labels (G, n), of which `share` is spread over the classes."""
    outputs = head.outputs(z)
    y = y.repeat_interleave(len(outputs) // len(y), 0)
    if n_classes is None:
        return (outputs.squeeze(2) - y).square()
    surprise = -outputs.log_softmax(2)
    own = surprise.gather(2, y.unsqueeze(2)).squeeze(2)
    return own if share == 0 else (1 - share) * own + share * surprise.mean(2)


def checked_task(
    encoder: nn.Module, states: Mapping[str, Tensor], x: Any, y: Any, n_classes: int | None, generator: Any, stackable: bool
) -> Task:
    """The checked arguments of `Tuning.tune`."""
    held = {name: value.detach() for name, value in states.items()}
    sizes = {len(value) for value in held.values()}
    if len(sizes) != 1:
        raise ValueError(f"tune: states have leading axes {sorted(sizes)}; allowed: one or more tensors, all (E, ...)")
    inputs, labels = as_tensor(x, "x"), as_tensor(y, "y")
    if labels.ndim == 1:
        inputs, labels = inputs.unsqueeze(0), labels.unsqueeze(0)
    problems = sizes.pop()
    if labels.ndim != 2 or inputs.shape[:2] != labels.shape or labels.numel() == 0 or problems % len(labels):
        raise ValueError(
            f"tune: x is {tuple(inputs.shape)}, y {tuple(labels.shape)}, with {problems} problems; allowed: (N, ...) and (N,), or "
            "(G, N, ...) and (G, N) with G dividing the number of problems"
        )
    if not (torch.isfinite(inputs).all() and torch.isfinite(labels).all()):
        raise ValueError("tune: x or y holds a value that is not finite; drop or impute it first")
    if n_classes is not None and (labels.is_floating_point() or int(labels.min()) < 0 or int(labels.max()) >= n_classes):
        raise ValueError(
            f"tune: labels are {labels.dtype} from {labels.min()} to {labels.max()}; allowed: integers in [0, {n_classes})"
        )
    first = next(value for value in held.values() if value.is_floating_point())
    generators = (generator,) if isinstance(generator, Generator) else tuple(generator)
    if len(generators) != len(labels):
        raise ValueError(f"tune: {len(generators)} generators for {len(labels)} samples; one a sample is needed")
    labels = labels.to(first) if n_classes is None else labels.long().to(first.device)
    return Task(encoder, held, like(inputs, first), labels, n_classes, generators, stackable)


def like(x: Tensor, parameter: Tensor) -> Tensor:
    """Inputs on the parameters' device, real ones in their type; token numbers stay integers."""
    return x.to(parameter) if x.is_floating_point() else x.to(parameter.device)
