"""Supervised pretraining: the pseudolabel is the source's own label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from interface.convex import fit_softmax
from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, Pretext, held_out_bracket


class Labelled(NamedTuple):
    x: Tensor  # (..., n, d)
    y: Tensor  # (..., n) integer classes


@dataclass(frozen=True)
class Supervised(Pretext):
    """Cross-entropy of the source's label under an affine softmax head; nats per example.

    Source: Bommasani et al. 2021, "On the opportunities and risks of foundation models", section 4.10, where
    pseudolabels that are labels give the classical case.
    """

    unit: ClassVar[str] = "nats"
    needs_labels: ClassVar[bool] = True

    def view(self, examples: Examples, noise: Tensor | None) -> Labelled:
        return Labelled(examples.x[..., 0, :], examples.y)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        if n_classes is None:
            raise ValueError("Supervised: the source has real-valued labels (n_classes is None); allowed: a source with classes")
        return Linear(features, n_classes)

    def loss(self, embed: Embed, head: Embed | None, views: Labelled) -> Tensor:
        assert head is not None
        log_p = torch.log_softmax(head(embed(views.x)), dim=-1)
        return -log_p.gather(-1, views.y.expand(log_p.shape[:-1]).unsqueeze(-1)).squeeze(-1)

    def profile(self, embed: Embed, fit: Labelled, test: Labelled) -> list[Bracket]:
        z_fit, z_test = embed(fit.x), embed(test.x)
        solution = fit_softmax(z_fit, fit.y)
        low, high = (
            -torch.log_softmax(z.double() @ solution.weight.mT + solution.intercept.unsqueeze(-2), dim=-1)
            .gather(-1, y.expand(z.shape[:-1]).unsqueeze(-1))
            .squeeze(-1)
            for z, y in ((z_fit, fit.y), (z_test, test.y))
        )
        return held_out_bracket(low, high, solution.gap, solution.status)
