"""Masked tokens: predict the hidden tokens of a sequence from the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from interface.core import Bracket, Estimate
from interface.encoders import Linear
from interface.populations import Examples, Population
from interface.pretexts._base import Embed, Pretext
from interface.pretexts._profiles import classification_profile, log_loss
from interface.theory.finite import entropy

RATE = 0.15
MOST_MASKS = 100
RARE = 1e-9  # moves the least loss of a sample by less than its minimum is known to


class MaskedSequence(NamedTuple):
    x: Tensor  # (..., n, t) token ids with `vocabulary` in place of the hidden ones
    position: Tensor  # (..., n, m) where tokens are hidden
    target: Tensor  # (..., n, m) the tokens there: the pseudolabels


@dataclass(frozen=True)
class MaskedTokens(Pretext):
    """Cross-entropy of the hidden tokens of a sequence, in nats per hidden token, averaged within each sequence.

    round(rate * length) tokens, at least one, are replaced by the mask token, whose id is `vocabulary`. The encoder is read
    at all positions and the head is affine at each; so is the profile class. The independent unit is the sequence.

    Source: Devlin, Chang, Lee, Toutanova, "BERT", NAACL 2019, arXiv:1810.04805, section 3.1; deviation: hidden tokens are
    always replaced by the mask.

    Args:
        vocabulary: number V of tokens, with ids 0..V-1.
        rate: share of a sequence that is hidden, in (0, 1). It is evaluated at .15.
    """

    vocabulary: int
    rate: float = RATE

    unit: ClassVar[str] = "nats"
    n_evaluation: ClassVar[int] = 2000

    def __post_init__(self) -> None:
        if self.vocabulary < 2:
            raise ValueError(f"MaskedTokens: vocabulary is {self.vocabulary!r}; allowed: an integer >= 2")
        if not 0 < self.rate < 1:
            raise ValueError(f"MaskedTokens: rate is {self.rate!r}; allowed: a number in (0, 1)")

    @property
    def canonical(self) -> Self:
        return replace(self, rate=RATE)

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        hidden = max(1, round(self.rate * input_dim))
        return torch.rand(n, input_dim, generator=generator).argsort(-1)[:, :hidden]

    def view(self, examples: Examples, noise: Tensor | None) -> MaskedSequence:
        assert noise is not None
        x = examples.x[..., 0, :]
        position = noise.expand(*x.shape[:-1], -1)
        return MaskedSequence(x.scatter(-1, position, self.vocabulary), noise, x.gather(-1, position))

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return Linear(features, self.vocabulary)

    def loss(self, embed: Embed, head: Embed | None, views: MaskedSequence) -> Tensor:
        return log_loss(*self.logits(embed, head, views)).mean(-1)

    def logits(self, embed: Embed, head: Embed | None, views: MaskedSequence) -> tuple[Tensor, Tensor]:
        """Scores (r, n, m, V) of the hidden tokens."""
        assert head is not None
        return head(_at_the_hidden(embed, views)), views.target

    def profile(self, embed: Embed, fit: MaskedSequence, test: MaskedSequence) -> list[Bracket]:
        z = _at_the_hidden(embed, fit), _at_the_hidden(embed, test)
        certain = one_hot(fit.target, self.vocabulary).double()
        possible = certain * (1 - RARE) + RARE / self.vocabulary  # a token that the sample lacks costs much, not infinitely much
        return classification_profile(z, (possible, test.target), self.vocabulary)

    def least_loss(self, source: Population) -> Estimate | None:
        """Mean entropy of a hidden token given those that are not, at the canonical rate; where all sequences can be enumerated."""
        length = source.input_dim
        hidden = max(1, round(RATE * length))
        support = source.support() if source.vocabulary == self.vocabulary and comb(length, hidden) <= MOST_MASKS else None
        if support is None:
            return None
        x, p = support.x.numpy(), support.p.double().numpy()
        masks = list(combinations(range(length), hidden))
        total = sum(_conditional_entropy(x, p, mask, self.vocabulary) for mask in masks)
        return Estimate(total / (len(masks) * hidden), stderr=0.0, how="exact")


def _conditional_entropy(x: np.ndarray, p: np.ndarray, mask: tuple[int, ...], vocabulary: int) -> float:
    """Sum over the hidden positions of the entropy in nats of their token given all tokens outside of the mask."""
    seen = np.delete(x, mask, axis=1) @ vocabulary ** np.arange(x.shape[1] - len(mask))
    context, inverse = np.unique(seen, return_inverse=True)
    total = 0.0
    for position in mask:
        joint = np.zeros((len(context), vocabulary))
        np.add.at(joint, (inverse, x[:, position]), p)
        total += float(entropy(joint.ravel()) - entropy(joint.sum(1)))
    return total


def _at_the_hidden(embed: Embed, views: MaskedSequence) -> Tensor:
    """Features (..., n, m, k) at the hidden positions."""
    z = embed(views.x, readout="all")
    where = views.position.unsqueeze(-1)
    return z.gather(-2, where.expand(*z.shape[:-2], where.shape[-2], z.shape[-1]))
