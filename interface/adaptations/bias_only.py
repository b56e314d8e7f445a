"""Bias-only tuning: the encoder's biases and a head, from a random head."""

from __future__ import annotations

from dataclasses import dataclass

from interface.adaptations._tuning import State, Task, Tuning


@dataclass(frozen=True, kw_only=True)
class BiasOnly(Tuning):
    """The encoder's biases and a head that starts at random; weights stay as pretrained. See `Tuning` for its fields.

    Source: Ben-Zaken, Ravfogel, Goldberg, "BitFit", ACL 2022, arXiv:2106.10199.

    Example:
        >>> BiasOnly(steps=10).name
        'BiasOnly(steps=10)'
    """

    lr: float = 1e-2

    def moved(self, task: Task) -> State:
        biases = {name: value for name, value in task.parameters().items() if name.rpartition(".")[2] == "bias"}
        if not biases:
            raise ValueError(
                "BiasOnly: the encoder has no bias; allowed: an encoder with biases, or GradientProbe for the head alone"
            )
        return biases
