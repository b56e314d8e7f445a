"""Partial tuning: the layers above a depth, and a head."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
from torch.func import functional_call

from interface.adaptations._tuning import State, Task, Tuning


@dataclass(frozen=True, kw_only=True)
class PartialTuning(Tuning):
    """What of the encoder lies above the reading at `from_depth`, and a head that starts at random. See `Tuning` for its fields.

    Args:
        from_depth: layers from the input on that stay as pretrained, >= 1: what `forward(x, depth=from_depth)` depends on.

    Example:
        >>> PartialTuning(from_depth=2).name
        'PartialTuning(from_depth=2)'
    """

    from_depth: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.from_depth < 1:
            raise ValueError(f"PartialTuning: from_depth is {self.from_depth!r}; allowed: an integer >= 1")

    def moved(self, task: Task) -> State:
        if "depth" not in inspect.signature(task.encoder.forward).parameters:
            kind = type(task.encoder).__name__
            raise ValueError(f"PartialTuning: {kind} cannot be read at a depth; allowed: an encoder with forward(x, depth=...)")
        one = {name: value[0].clone().requires_grad_() for name, value in task.parameters().items()}
        reading = functional_call(task.encoder, one, (task.x[0, :2],), {"depth": self.from_depth})
        with torch.enable_grad():
            slopes = torch.autograd.grad(reading.sum(), list(one.values()), allow_unused=True)
        above = {name for name, slope in zip(one, slopes, strict=True) if slope is None}
        return {name: value for name, value in task.parameters().items() if name in above}
