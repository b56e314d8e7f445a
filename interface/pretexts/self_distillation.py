"""Self-distillation: predict from one view what a slowly moving copy of the network says of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from interface.pretexts._prototypes import Prototypes

TEMPERATURE, SHARPNESS = 0.1, 0.04


@dataclass(frozen=True)
class SelfDistillation(Prototypes):
    """Cross-entropy of a momentum teacher's assignment of one view given the other, in nats per example.

    The teacher's scores are centred over the batch, so that no prototype wins everywhere, and sharpened, so that not all win
    alike: either alone collapses. See `Prototypes` for evaluation and profile.

    Source: Caron et al., "Emerging properties in self-supervised vision transformers" (DINO), ICCV 2021, arXiv:2104.14294,
    algorithm 1; deviations: two views, both alike, and the centre is the batch's own mean instead of a running one.

    Args:
        prototypes: number of outputs that teacher and student compare, >= 2.
        projection: dimension of the space in which cosines with the prototypes are taken.
        temperature: divides the student's cosines, > 0; evaluated at .1.
        sharpness: divides the teacher's centred cosines, > 0; evaluated at .04.
        momentum: share of itself that the teacher keeps at each step, in [0, 1); .9 suits some thousand steps.
    """

    prototypes: int = 32
    projection: int = 32
    temperature: float = TEMPERATURE
    sharpness: float = SHARPNESS
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if self.prototypes < 2:
            raise ValueError(f"SelfDistillation: prototypes is {self.prototypes!r}; allowed: an integer >= 2")
        if not self.temperature >= 0.02 or not self.sharpness >= 0.02:
            given = f"temperature, sharpness are {self.temperature!r}, {self.sharpness!r}"
            raise ValueError(f"SelfDistillation: {given}; allowed: numbers >= 0.02, so that exponentials stay within float32")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"SelfDistillation: momentum is {self.momentum!r}; allowed: a number in [0, 1)")

    @property
    def canonical(self) -> Self:
        return replace(self, temperature=TEMPERATURE, sharpness=SHARPNESS)

    def assigned(self, scores: Tensor) -> Tensor:
        return ((scores - scores.mean(-2, keepdim=True)) / self.sharpness).softmax(-1)
