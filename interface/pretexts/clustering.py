"""Clustering: predict from one view to which prototype the other was given, all prototypes being used alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from interface.pretexts._prototypes import Prototypes

TEMPERATURE, SHARPNESS = 0.1, 0.05
SWEEPS = 3


@dataclass(frozen=True)
class Clustering(Prototypes):
    """Swapped prediction of balanced cluster assignments, cross-entropy in nats per example; ln(prototypes) is chance.

    Assignments are those of the present network (its momentum is 0), balanced over the batch by Sinkhorn's algorithm, and no
    gradient passes through them. See `Prototypes` for evaluation and profile.

    Source: Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, "Unsupervised learning of visual features by contrasting cluster
    assignments", NeurIPS 2020, arXiv:2006.09882, section 3.1; deviations: two views, no queue.

    Args:
        prototypes: number of clusters, >= 2.
        projection: dimension of the space in which cosines with the prototypes are taken.
        temperature: divides the student's cosines, > 0; evaluated at .1.
        sharpness: divides the cosines that are balanced, > 0; evaluated at .05.
    """

    prototypes: int = 32
    projection: int = 32
    temperature: float = TEMPERATURE
    sharpness: float = SHARPNESS

    def __post_init__(self) -> None:
        if self.prototypes < 2:
            raise ValueError(f"Clustering: prototypes is {self.prototypes!r}; allowed: an integer >= 2")
        if not self.temperature >= 0.02 or not self.sharpness >= 0.02:
            given = f"temperature, sharpness are {self.temperature!r}, {self.sharpness!r}"
            raise ValueError(f"Clustering: {given}; allowed: numbers >= 0.02, so that exponentials stay within float32")

    @property
    def canonical(self) -> Self:
        return replace(self, temperature=TEMPERATURE, sharpness=SHARPNESS)

    @property
    def momentum(self) -> float:
        return 0.0

    def assigned(self, scores: Tensor) -> Tensor:
        return balanced((scores - scores.amax((-2, -1), keepdim=True)) / self.sharpness)


def balanced(scores: Tensor, sweeps: int = SWEEPS) -> Tensor:
    """Probabilities (..., n, K) proportional to exp(scores) times row and column factors that use all columns alike.

    Rows sum to 1 exactly, columns to n / K up to what `sweeps` leave.

    Source: Cuturi, "Sinkhorn distances", NeurIPS 2013, algorithm 1.

    Example:
        >>> even = balanced(torch.tensor([[3.0, 0.0], [3.0, 0.0]]))  # both prefer the first; each gets a half of both
        >>> bool(torch.allclose(even, torch.full((2, 2), 0.5)))
        True
    """
    q = scores.exp()
    for _ in range(sweeps):
        q = q / q.sum(-2, keepdim=True).clamp_min(torch.finfo(q.dtype).tiny)
        q = q / q.sum(-1, keepdim=True)
    return q
