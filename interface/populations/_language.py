"""The hidden Markov law of one instance of a language, and of its shifts, drawn from named streams."""

from __future__ import annotations

import numpy as np

from interface import seeds
from interface.core import Shift, fingerprint
from interface.theory.hidden_markov import HiddenMarkovModel, mixture, stationary
from interface.theory.moments import Matrix

# Probability of a state's own move and of its own token; the rest is Dirichlet(1). States last long enough, and tokens tell little
# enough, that a model of the last token alone loses about .05 nats a token.
OWN_MOVE, OWN_TOKEN = 0.8, 0.6

Given = tuple[Matrix, Matrix]  # transition (concepts, states, states), emission (states, V)


def language(
    index: int, states: int, vocabulary: int, concepts: int, applied: Shift, given: Given | None = None
) -> HiddenMarkovModel:
    """A stationary model of (concept, state), concepts equally likely, with read-only arrays.

    Args:
        index: which draw; states, vocabulary, concepts: its sizes.
        applied: the shift, one of "transition", "emission", "vocabulary", "none".
        given: matrices in place of drawn ones.
    """
    key: tuple[str | int, ...] = ("hidden markov world", index, states, vocabulary, concepts)
    if given is not None:
        key = (*key, fingerprint([part.tolist() for part in given]))
    sizes = (states, vocabulary, concepts)
    transition, emission = given or _matrices(seeds.rng(*key), *sizes, first_stays=True)
    fresh_transition, fresh_emission = _matrices(seeds.rng(*key, "shift"), *sizes, first_stays=False)
    renamed = _cycle(seeds.rng(*key, "vocabulary"), vocabulary)
    s = applied.strength
    if applied.name == "transition":
        transition = (1 - s) * transition + s * fresh_transition
    elif applied.name == "emission":
        emission = (1 - s) * emission + s * fresh_emission
    elif applied.name == "vocabulary":
        emission = (1 - s) * emission + s * emission[:, renamed]
    model = mixture(np.full(concepts, 1 / concepts), [HiddenMarkovModel(stationary(one), one, emission) for one in transition])
    for array in model:
        array.setflags(write=False)
    return model


def _matrices(rng: np.random.Generator, states: int, vocabulary: int, concepts: int, *, first_stays: bool) -> Given:
    """Rows own e + (1 - own) Dirichlet(1); a state's own move is to stay in the first concept, or along one cycle."""
    own_token = np.eye(vocabulary)[np.resize(rng.permutation(vocabulary), states)]
    emission = OWN_TOKEN * own_token + (1 - OWN_TOKEN) * rng.dirichlet(np.ones(vocabulary), states)
    transition = np.empty((concepts, states, states))
    for concept in range(concepts):
        own_move = np.arange(states) if first_stays and concept == 0 else _cycle(rng, states)
        transition[concept] = OWN_MOVE * np.eye(states)[own_move] + (1 - OWN_MOVE) * rng.dirichlet(np.ones(states), states)
    return transition, emission


def _cycle(rng: np.random.Generator, n: int) -> np.ndarray:
    """A permutation of 0..n-1 in one cycle, all of them equally likely: nothing stays where it is."""
    order, cycle = np.empty(n, dtype=np.int64), rng.permutation(n)
    order[cycle] = np.roll(cycle, 1)
    return order
