"""A linear probe trained by descent: the head that a budget finds, where `LinearProbe` is the minimiser itself."""

from __future__ import annotations

from dataclasses import dataclass

from interface.adaptations._tuning import Head, State, Task, Tuning


@dataclass(frozen=True, kw_only=True)
class GradientProbe(Tuning):
    """A head on frozen features, from 0, by descent within a budget: what optimisation alone costs. See `Tuning` for its fields.

    Example:
        >>> GradientProbe(optimizer="gradient").name
        'GradientProbe(optimizer=gradient)'
    """

    lr: float = 1e-2

    def moved(self, task: Task) -> State:
        return {}

    def head(self, task: Task) -> Head:
        z = task.features()
        return Head(z.new_zeros(len(z), task.outputs, z.shape[2]), z.new_zeros(len(z), task.outputs))
