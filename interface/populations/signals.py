"""Signals: short smooth shapes somewhere in a noisy sequence, a population of signals that is sampled without end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from torch import Generator, Tensor

from interface.core import Estimate, Kind, Shift
from interface.populations._base import Examples, Population
from interface.seeds import generator as stream

NO_SHIFT = Shift()
CLASSES, POINTS = 10, 12  # templates, and points of each
SHORTEST, LONGEST = 48.0, 72.0  # points of the padded signal before it is resampled to `length`
LOUDNESS, SLOPE = 0.2, 0.375  # ranges around 1 and 0
NEAR = 0.05  # range of a view's own move, as a share of the free room
SMOOTHNESS = 2.0  # points: standard deviation of the kernel that correlates the noise
WHITE = 0.02  # standard deviation of the uncorrelated noise
LOUDER_NOISE, STEEPER = 4.0, 2.0  # of the shifts noise and shear at strength 1


@dataclass(frozen=True)
class Signals(Population):
    """Which of ten shapes is hidden in this signal? Sequences of 40 real numbers, after MNIST-1D.

    An example is a template of 12 points, uniform among ten, in a padded signal of 48 to 72 points, somewhere in the first
    half of the free room, scaled by .8 to 1.2, plus a linear trend of slope within ±.375, resampled to `length` points,
    plus noise: correlated (smoothed over 2 points) and a little white. Views move it by ±5% of the room and have their
    own noise. Templates are smooth, of root mean square 1, and drawn once for each index, the unit of inference.

    The shifts, at strength s:
        noise: the correlated noise's standard deviation is multiplied by 1 + 4 s.
        translation: the place is moved towards the end by s/2 of the free room.
        shear: the trend's slope is raised by 2 s.
        random_label: with probability s the label is drawn anew, independently of the signal.
    Equal generators give equal content whatever the shift.

    Args:
        index: which draw of the ten templates.
        length: points of a signal.
        noise: standard deviation of the correlated noise, in units of a template's root mean square.
        applied: the shift that separates this population from its source; made by `shift`.

    Raises:
        ValueError: if an argument is out of range, the applied shift is not known, or a second shift is asked for.

    Source: the process of Greydanus (2020), "Scaling down deep learning", arXiv:2011.14439, section 2; deviations: templates
        are random and smooth instead of drawn by hand, signals do not wrap around, and places keep to the first half.

    Example:
        >>> x, y = Signals(3).views(5, 2, torch.Generator().manual_seed(0))
        >>> x.shape, y.shape, Signals(3).shift("shear", 1.0).applied.kind
        (torch.Size([5, 2, 40]), torch.Size([5]), 'covariate')
    """

    index: int = 0
    length: int = 40
    noise: float = 0.1
    applied: Shift = NO_SHIFT

    shifts: ClassVar[Mapping[str, Kind]] = MappingProxyType(
        {"noise": "covariate", "translation": "covariate", "shear": "covariate", "random_label": "concept"}
    )

    def __post_init__(self) -> None:
        if self.length < POINTS:
            raise ValueError(f"Signals: length is {self.length!r}; allowed: an integer >= {POINTS}")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"Signals: noise is {self.noise!r}; allowed: a finite number >= 0")
        if self.applied.name not in {"none", *self.shifts}:
            raise ValueError(f"Signals: applied is {self.applied!r}; Signals knows {', '.join(sorted(self.shifts))}")

    @property
    def instance(self) -> str:
        suffix = "" if (self.length, self.noise) == (40, 0.1) else f"-l{self.length}n{self.noise:g}"
        return f"Signals-{self.index}{suffix}"

    @property
    def input_dim(self) -> int:
        return self.length

    @property
    def n_classes(self) -> int:
        return CLASSES

    def bayes_risk(self) -> Estimate | None:
        """ln 10 nats where every label is drawn at random; not known elsewhere."""
        blind = self.applied.name == "random_label" and self.applied.strength == 1
        return Estimate(math.log(CLASSES), how="exact") if blind else None

    def views(self, n: int, k: int, generator: Generator) -> Examples:
        """n independent signals in k views each: x (n, k, length) float32, y (n,) int64 in 0..9."""
        shown, anew = (torch.randint(CLASSES, (n,), generator=generator) for _ in range(2))
        padded, place, loudness, slope, moved = torch.rand(5, n, 1, 1, generator=generator)
        near = torch.rand(n, k, 1, generator=generator)
        white, blurred = torch.randn(2, n, k, self.length, generator=generator)

        points = torch.lerp(torch.tensor(SHORTEST), torch.tensor(LONGEST), padded)
        place = (place + self._strength("translation")) / 2 * (1 - 2 * NEAR) + 2 * NEAR * near
        at = torch.linspace(0, 1, self.length) * (points - 1) - place * (points - POINTS)  # (n, k, length), in template points
        x = (1 + LOUDNESS * (2 * loudness - 1)) * _interpolated(_templates(self.index), shown, at)
        x += (SLOPE * (2 * slope - 1) + STEEPER * self._strength("shear")) * torch.linspace(-0.5, 0.5, self.length)
        x += WHITE * white + self.noise * (1 + LOUDER_NOISE * self._strength("noise")) * (blurred @ _smoothing(self.length))
        is_moved = moved.flatten() < self._strength("random_label")
        return Examples(x, torch.where(is_moved, anew, shown))

    def _strength(self, name: str) -> float:
        return self.applied.strength if self.applied.name == name else 0.0

    def _shifted(self, name: str, strength: float) -> Self:
        if self.applied.name != "none":
            raise ValueError(f"shift: {self.instance} is already shifted by {self.applied.name!r}; shift its source instead")
        return replace(self, applied=Shift(name, strength, self.shifts[name]))


def _interpolated(templates: Tensor, which: Tensor, at: Tensor) -> Tensor:
    """Templates (m, POINTS) at positions `at` (n, k, length), piecewise linear and 0 beyond one point from the ends."""
    with_ends = torch.nn.functional.pad(templates, (1, 1)).index_select(0, which)  # (n, POINTS + 2)
    at = (at + 1).clamp(0, POINTS + 1)
    left = at.long().clamp_max(POINTS)
    first, second = (with_ends[:, None, :].expand(*at.shape[:2], -1).gather(2, left + step) for step in (0, 1))
    return torch.lerp(first, second, at - left)


def _smoothing(points: int) -> Tensor:
    """(points, points) W such that white noise times W is smooth with standard deviation 1."""
    grid = torch.arange(points)
    weights = torch.exp(-0.5 * ((grid[:, None] - grid) / SMOOTHNESS) ** 2)
    return weights / weights.norm(dim=0)


@cache
def _templates(index: int) -> Tensor:
    """(CLASSES, POINTS) of root mean square 1, each smoothed over one point."""
    grid = torch.arange(POINTS)
    weights = torch.exp(-0.5 * (grid[:, None] - grid).double() ** 2)
    drawn = torch.randn(CLASSES, POINTS, dtype=torch.float64, generator=stream("signals", index)) @ weights
    return (drawn / drawn.square().mean(1, keepdim=True).sqrt()).float()
