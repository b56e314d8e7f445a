"""Next token: predict each token of a sequence from those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import one_hot

from interface.core import Bracket, Estimate
from interface.encoders import Linear
from interface.populations import Examples, HiddenMarkov, Population
from interface.pretexts._base import Embed, Pretext
from interface.pretexts._profiles import classification_profile, log_loss

RARE = 1e-9  # moves the least loss of a sample by less than its minimum is known to


class Sequences(NamedTuple):
    x: Tensor  # (..., n, t) token ids: input, and the pseudolabel one position earlier


@dataclass(frozen=True)
class NextToken(Pretext):
    """Cross-entropy of tokens 2..t of a sequence given those before them, in nats per token, averaged within each sequence.

    The encoder is read at all positions and must not look ahead; the head is affine at each, and so is the profile class.
    The first token is not predicted. The independent unit is the sequence. No loss trains the output at the last position, which
    a causal encoder is read at by default: adapt to sequences one token shorter where positions have parameters of their own.

    Source: Bengio, Ducharme, Vincent, Jauvin, "A neural probabilistic language model", JMLR 2003, section 2.

    Args:
        vocabulary: number V of tokens, with ids 0..V-1.
    """

    vocabulary: int

    unit: ClassVar[str] = "nats"
    n_evaluation: ClassVar[int] = 1000

    def __post_init__(self) -> None:
        if self.vocabulary < 2:
            raise ValueError(f"NextToken: vocabulary is {self.vocabulary!r}; allowed: an integer >= 2")

    def view(self, examples: Examples, noise: Tensor | None) -> Sequences:
        return Sequences(examples.x[..., 0, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        if input_dim < 2:
            raise ValueError(f"NextToken: sequences have {input_dim} tokens; allowed: at least 2")
        return Linear(features, self.vocabulary)

    def loss(self, embed: Embed, head: Embed | None, views: Sequences) -> Tensor:
        return log_loss(*self.logits(embed, head, views)).mean(-1)

    def logits(self, embed: Embed, head: Embed | None, views: Sequences) -> tuple[Tensor, Tensor]:
        """Scores (r, n, t - 1, V) of the tokens that follow."""
        assert head is not None
        return head(_before_the_last(embed, views)), views.x[..., 1:]

    def profile(self, embed: Embed, fit: Sequences, test: Sequences) -> list[Bracket]:
        z = _before_the_last(embed, fit), _before_the_last(embed, test)
        certain = one_hot(fit.x[..., 1:], self.vocabulary).double()
        possible = certain * (1 - RARE) + RARE / self.vocabulary  # a token that the sample lacks costs much, not infinitely much
        return classification_profile(z, (possible, test.x[..., 1:]), self.vocabulary)

    def least_loss(self, source: Population) -> Estimate | None:
        """Mean of H(token s | tokens before s) over s = 2..t: the forward filter's loss. Its error is an upper bound."""
        if not isinstance(source, HiddenMarkov):
            return None
        floors = source.token_floor()[1:]
        mean, error = (sum(part) / len(floors) for part in (floors, [f.stderr or 0.0 for f in floors]))
        return Estimate(mean, stderr=error, how=floors[0].how, n=floors[0].n)


def _before_the_last(embed: Embed, views: Sequences) -> Tensor:
    """Features (..., n, t - 1, k) at the positions that a token follows."""
    return embed(views.x, readout="all")[..., :-1, :]
