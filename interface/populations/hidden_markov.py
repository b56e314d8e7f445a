"""Token sequences of hidden Markov models: a language whose optimal model, floor and labels are all known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from interface import seeds
from interface.core import Estimate, Kind, Shift, fingerprint
from interface.populations._base import Examples, Population, Support
from interface.populations._language import language
from interface.theory.finite import entropy
from interface.theory.hidden_markov import (
    LARGEST,
    HiddenMarkovModel,
    enumerated,
    filtered,
    hidden_markov_model,
    next_token_entropies,
    predictive,
    smoothed,
)
from interface.theory.moments import Matrix

NO_SHIFT = Shift()
SAMPLED = 20_000  # sequences behind an expectation where they are too many to enumerate

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class HiddenMarkov(Population):
    """A language: x is a sequence of tokens emitted by hidden states, which move by a Markov chain that starts stationary.

    With several concepts each sequence first draws one, uniformly; a concept is a transition matrix of its own, and all share
    one emission matrix (the GINC world). y is the state behind the token to come ("state"), that state `lag` tokens earlier, or
    the concept ("concept"). The best next-token predictor is the forward filter; next-token probabilities show the state where
    emission has full row rank, and do not show the concept: only the filter's belief does. Views of one example share its
    states and emit tokens anew.

    Shifts, of strength s: "transition" and "emission" move each matrix to (1 - s) own + s fresh, "vocabulary" renames a token,
    independently each time, with probability s by one fixed permutation: at 1 the same language in other words. One at a time.

    Args:
        index: which draw of the world's parameters: each state moves by a cycle of its concept's (in the first it stays) with
            probability .8, else by a Dirichlet(1) row; it emits a token of its own with probability .6, else likewise.
        states: hidden states of a concept, at least 2; at most `vocabulary` in drawn worlds.
        vocabulary: V.
        length: t, tokens in a sequence. Everything is enumerated while V^t <= 20,000, and sampled beyond.
        concepts: number of concepts; 1 is a plain hidden Markov model.
        label: what y is.
        lag: how many tokens before the token to come the state of y lies, 0 to length.
        applied: the shift already applied; use `shift`.
        transition, emission: (concepts, states, states) and (states, V) in place of drawn ones; see `from_matrices`.

    Raises:
        ValueError: if a size, the label or a matrix does not fit.

    Source: Xie, Raghunathan, Liang, Ma, "An explanation of in-context learning as implicit Bayesian inference", ICLR 2022,
        arXiv:2111.02080, whose concepts are transition matrices; without its delimiters and prompts.

    Example:
        >>> world = HiddenMarkov(index=1)
        >>> x, y = world.sample(3, torch.Generator().manual_seed(0))
        >>> tuple(x.shape), x.dtype, tuple(world.predictive(x).shape), bool(world.floor() < np.log(world.vocabulary))
        ((3, 6), torch.int64, (3, 6, 4), True)
    """

    index: int = 0
    states: int = 3
    vocabulary: int = 4
    length: int = 6
    concepts: int = 1
    label: Literal["state", "concept"] = "state"
    lag: int = 0
    applied: Shift = NO_SHIFT
    transition: tuple[Rows, ...] | None = None
    emission: Rows | None = None

    shifts: ClassVar[Mapping[str, Kind]] = MappingProxyType(
        {"transition": "mixed", "emission": "mixed", "vocabulary": "relabelling"}
    )

    def __post_init__(self) -> None:
        sizes = (self.states, self.vocabulary, self.length, self.concepts)
        if min(self.states, self.vocabulary) < 2 or min(self.length, self.concepts) < 1:
            raise ValueError(f"HiddenMarkov: states, vocabulary, length, concepts are {sizes}; allowed: at least 2, 2, 1, 1")
        if self.label not in ("state", "concept") or (self.label == "concept") > (self.concepts > 1):
            raise ValueError(f"HiddenMarkov: label is {self.label!r}; allowed: 'state', or 'concept' where concepts > 1")
        if not 0 <= self.lag <= self.length or (self.lag and self.label == "concept"):
            raise ValueError(f"HiddenMarkov: lag is {self.lag!r}; allowed: 0 to length = {self.length}, and 0 for a concept")
        if self.applied.name not in {"none", *self.shifts}:
            raise ValueError(f"HiddenMarkov: applied is {self.applied!r}; HiddenMarkov knows {', '.join(sorted(self.shifts))}")
        if (self.transition is None) != (self.emission is None):
            raise ValueError("HiddenMarkov: give both of transition and emission, or neither")
        if self.transition is None and self.states > self.vocabulary:
            raise ValueError(
                f"HiddenMarkov: states is {self.states}; allowed in drawn worlds: at most vocabulary = {self.vocabulary}"
            )
        if self.transition is not None and self.emission is not None:
            shapes = (np.array(self.transition).shape, np.array(self.emission).shape)
            wanted = ((self.concepts, self.states, self.states), (self.states, self.vocabulary))
            if shapes != wanted:
                raise ValueError(f"HiddenMarkov: transition and emission have shapes {shapes}; allowed: {wanted}")
            for transition in self.transition:
                hidden_markov_model(transition, self.emission)

    @classmethod
    def from_matrices(cls, transition: ArrayLike, emission: ArrayLike, length: int = 6, **label: Any) -> Self:
        """The world of given matrices: transition (states, states) or (concepts, states, states), emission (states, V).

        Args:
            label: `label` and `lag` as in the class.
        """
        moves, emits = np.asarray(transition, dtype=np.float64), np.asarray(emission, dtype=np.float64)
        moves = moves[None] if moves.ndim == 2 else moves
        if moves.ndim != 3 or emits.ndim != 2:
            raise ValueError(f"from_matrices: transition {moves.shape}, emission {emits.shape}; allowed: 2 or 3 axes, and 2")
        return cls(
            states=len(emits),
            vocabulary=emits.shape[1],
            length=length,
            concepts=len(moves),
            transition=tuple(tuple(map(tuple, rows)) for rows in moves.tolist()),
            emission=tuple(map(tuple, emits.tolist())),
            **label,
        )

    @property
    def instance(self) -> str:
        size = "" if self.length == 6 else f"-t{self.length}"
        if self.transition is not None:
            return f"HiddenMarkov-{fingerprint((self.transition, self.emission))[:8]}{size}"
        drawn = (self.states, self.vocabulary, self.concepts)
        return f"HiddenMarkov-{self.index}{'' if drawn == (3, 4, 1) else '-h{}v{}c{}'.format(*drawn)}{size}"

    @property
    def input_dim(self) -> int:
        return self.length

    @property
    def n_classes(self) -> int:
        return self.concepts if self.label == "concept" else self.states

    def model(self) -> HiddenMarkovModel:
        """The law of the tokens, shift included, with hidden states (concept, state), concept by concept. Read-only arrays."""
        return _model(self._law)

    def views(self, n: int, k: int, generator: torch.Generator) -> Examples:
        if n < 1 or k < 1:
            raise ValueError(f"views: n, k are {n!r}, {k!r}; allowed: integers >= 1")
        initial, transition, emission = (torch.from_numpy(np.cumsum(part, -1)) for part in self.model())
        # everything is drawn in one order, whatever the shift: shifts are then compared on equal draws
        moves = torch.rand(n, self.length + 1, generator=generator, dtype=torch.float64)
        tokens = torch.rand(n, k, self.length, generator=generator, dtype=torch.float64)
        path = torch.empty(n, self.length + 1, dtype=torch.int64)
        path[:, 0] = _drawn(initial.expand(n, -1), moves[:, 0])
        for s in range(self.length):
            path[:, s + 1] = _drawn(transition[path[:, s]], moves[:, s + 1])
        x = _drawn(emission[path[:, None, :-1]].expand(-1, k, -1, -1), tokens)
        hidden = path[:, self.length - self.lag]
        return Examples(x, hidden // self.states if self.label == "concept" else hidden % self.states)

    def _shifted(self, name: str, strength: float) -> Self:
        if self.applied.strength:
            raise ValueError(
                f"shift: this population already carries {self.applied.name} at {self.applied.strength}; shift its source instead"
            )
        return replace(self, applied=Shift(name, strength, self.shifts[name]))

    def predictive(self, x: Tensor) -> Tensor:
        """p(token s | tokens before s) of sequences x (n, t), float64 (n, t, V): the optimal language model at every position.

        Raises:
            ValueError: if x is not (n, t) tokens of the vocabulary, or a sequence is impossible.
        """
        return torch.from_numpy(predictive(self.model(), x.cpu().numpy())[:, :-1])

    def belief(self, x: Tensor) -> Tensor:
        """p(concept and state of the token to come | tokens up to s), float64 (n, t, concepts * states), for s = 1..t.

        It is sufficient for every label of this world about what is to come: the representation that loses nothing.
        """
        return torch.from_numpy(filtered(self.model(), x.cpu().numpy()).belief[:, 1:].copy())

    def posterior(self, x: Tensor) -> Tensor:
        """p(y | x), float64 (n, n_classes), of sequences x (n, length)."""
        return torch.from_numpy(_posterior(self, x.cpu().numpy()))

    def token_floor(self) -> tuple[Estimate, ...]:
        """H(token s | tokens before s) in nats for s = 0..length-1: the lowest next-token loss at each position.

        Exact where V^length <= 20,000. Else the mean over 20,000 sequences of a fixed stream of the entropy of the exact
        p(. | tokens before s), which is Rao-Blackwellised over the token to come.
        """
        entropies = _entropies(self._law)
        if len(entropies) == 1:
            return tuple(Estimate(value, stderr=0.0, how="exact") for value in entropies[0].tolist())
        return tuple(_mean(column) for column in entropies.T)

    def floor(self, first: int = 1) -> Estimate:
        """Lowest next-token loss of any model, the mean of `token_floor` from position `first` on, in nats a token.

        Args:
            first: position of the first token that is predicted: 1 where a model is given one token to start from, or 0.
        """
        if not 0 <= first < self.length:
            raise ValueError(f"floor: first is {first!r}; allowed: 0 to {self.length - 1}")
        means = _entropies(self._law)[:, first:].mean(1)
        return Estimate(float(means[0]), stderr=0.0, how="exact") if len(means) == 1 else _mean(means)

    def support(self) -> Support | None:
        """Every sequence that can occur with its probability and p(y | x); None where V^length > 20,000."""
        if self.vocabulary**self.length > LARGEST:
            return None
        sequences = _sequences(self._law)
        return Support(*(torch.from_numpy(part.copy()) for part in (*sequences, _posterior(self, sequences[0]))))

    def bayes_risk(self) -> Estimate:
        """H(y | x) in nats; exact where V^length <= 20,000, else the mean of the exact entropy over 20,000 sequences."""
        return _bayes_risk(self)

    @property
    def _law(self) -> HiddenMarkov:
        """This population with nothing in it but what determines p(x)."""
        return replace(self, label="state", lag=0)


def _drawn(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """Index of the step (..., m) that a uniform number (...) falls on; the last step takes what round-off leaves."""
    return (uniform[..., None] >= cumulative[..., :-1]).sum(-1)


@lru_cache(maxsize=512)
def _model(law: HiddenMarkov) -> HiddenMarkovModel:
    given = None if law.transition is None else (np.array(law.transition), np.array(law.emission))
    return language(law.index, law.states, law.vocabulary, law.concepts, law.applied, given)


def _posterior(population: HiddenMarkov, x: np.ndarray) -> Matrix:
    if x.ndim != 2 or x.shape[1] != population.length:
        raise ValueError(f"x has shape {x.shape}; allowed: (n, {population.length}) tokens")
    joint = smoothed(population.model(), x)[:, population.length - population.lag]
    return joint.reshape(len(x), population.concepts, population.states).sum(2 if population.label == "concept" else 1)


@lru_cache(maxsize=16)
def _sequences(law: HiddenMarkov) -> tuple[np.ndarray, Matrix]:
    sequences = enumerated(law.model(), law.length)
    return sequences.x, sequences.p


@lru_cache(maxsize=4)
def _sample(law: HiddenMarkov) -> np.ndarray:
    """Sequences (20,000, t) of a fixed stream, behind expectations that cannot be enumerated."""
    return law.sample(SAMPLED, seeds.generator("hidden markov facts", fingerprint(law))).x.numpy()


@lru_cache(maxsize=64)
def _entropies(law: HiddenMarkov) -> Matrix:
    """Entropy of each token given those before it: (1, t) exact, or (20,000, t) for sequences of the fixed stream."""
    if law.vocabulary**law.length <= LARGEST:
        return next_token_entropies(law.model(), law.length - 1)[None]
    return entropy(predictive(law.model(), _sample(law))[:, :-1])


@lru_cache(maxsize=512)
def _bayes_risk(population: HiddenMarkov) -> Estimate:
    if (support := population.support()) is not None:
        return Estimate(float(support.p.numpy() @ entropy(support.y.numpy())), stderr=0.0, how="exact")
    return _mean(entropy(_posterior(population, _sample(population._law))))


def _mean(values: Matrix) -> Estimate:
    n = len(values)
    return Estimate(float(values.mean()), stderr=float(values.std(ddof=1) / n**0.5), how="monte_carlo", n=n)
