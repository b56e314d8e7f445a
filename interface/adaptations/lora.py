"""Low-rank tuning: every weight matrix plus a product of two thin ones, and a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from interface.adaptations._tuning import State, Task, Tuning


@dataclass(frozen=True, kw_only=True)
class LoRA(Tuning):
    """W + B A for every weight matrix W of the encoder, and a head that starts at random; biases stay as pretrained.

    A (rank, in) starts from normal numbers of variance 1 / in, B (out, rank) from 0. A `radius` bounds how far A, B and the head
    move. See `Tuning` for its other fields.

    Args:
        rank: of each weight's change, >= 1; kernels count as matrices (out, everything else).
        lr: of A, B and the head.

    Source: Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022, arXiv:2106.09685, section 4.1, with
        alpha = rank.

    Example:
        >>> LoRA(rank=2).name, LoRA().name
        ('LoRA(rank=2)', 'LoRA')
    """

    lr: float = 3e-3
    rank: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1:
            raise ValueError(f"LoRA: rank is {self.rank!r}; allowed: an integer >= 1")

    def moved(self, task: Task) -> State:
        factors: State = {}
        for name, weight in task.parameters().items():
            if name.rpartition(".")[2] == "weight" and weight.ndim >= 3:
                matrix = weight.flatten(2)
                factors[name + ".A"] = task.normal(self.rank, matrix.shape[2]) / matrix.shape[2] ** 0.5
                factors[name + ".B"] = matrix.new_zeros(len(matrix), matrix.shape[1], self.rank)
        if not factors:
            raise ValueError("LoRA: the encoder has no weight matrix; allowed: an encoder with one")
        return factors

    def assembled(self, task: Task, moved: Mapping[str, Tensor]) -> State:
        names = [name.removesuffix(".A") for name in moved if name.endswith(".A")]
        weights = task.states
        return {**weights, **{n: weights[n] + (moved[n + ".B"] @ moved[n + ".A"]).view_as(weights[n]) for n in names}}
