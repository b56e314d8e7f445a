"""Hidden Markov models by the forward filter: what an optimal language model predicts, and what it must know to do so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interface.theory.finite import entropy
from interface.theory.moments import Matrix

Tokens = NDArray[np.int64]
LARGEST = 20_000  # sequences that are enumerated


class HiddenMarkovModel(NamedTuple):
    """initial (h,) law of the first state; transition (h, h) and emission (h, V), whose rows are laws. All float64."""

    initial: Matrix
    transition: Matrix
    emission: Matrix


class Filtered(NamedTuple):
    """belief (n, t + 1, h): p(state of token s | tokens before s), the last being the token to come; log_likelihood (n, t):
    ln p(token s | tokens before s), in nats."""

    belief: Matrix
    log_likelihood: Matrix


class Enumerated(NamedTuple):
    """Every sequence that can occur: x (k, t), its probability p (k,), and belief (k, h) in the state of the token to come."""

    x: Tokens
    p: Matrix
    belief: Matrix


def stationary(transition: ArrayLike) -> Matrix:
    """The law (h,) that a transition matrix (h, h) leaves unchanged.

    Raises:
        ValueError: if there is more than one.

    Example:
        >>> stationary([[0.9, 0.1], [0.3, 0.7]]).round(9).tolist()
        [0.75, 0.25]
    """
    T = np.asarray(transition, dtype=np.float64)
    balance = np.vstack([T.T - np.eye(len(T)), np.ones(len(T))])
    if np.linalg.matrix_rank(balance) < len(T) or np.linalg.matrix_rank(balance[:-1]) < len(T) - 1:
        raise ValueError("transition leaves more than one law unchanged; allowed: one class of states that recur")
    law = np.linalg.lstsq(balance, np.r_[np.zeros(len(T)), 1.0], rcond=None)[0].clip(min=0)
    return law / law.sum()


def hidden_markov_model(transition: ArrayLike, emission: ArrayLike, initial: ArrayLike | None = None) -> HiddenMarkovModel:
    """A checked model; without `initial` it starts in the stationary law.

    Raises:
        ValueError: if shapes do not fit, or a row is not a law.
    """
    moves, emits = np.asarray(transition, dtype=np.float64), np.asarray(emission, dtype=np.float64)
    if moves.ndim != 2 or moves.shape[0] != moves.shape[1] or emits.ndim != 2 or len(emits) != len(moves) or emits.shape[1] < 2:
        raise ValueError(f"transition has shape {moves.shape} and emission {emits.shape}; allowed: (h, h) and (h, V) with V >= 2")
    _require_laws(moves, "transition")
    _require_laws(emits, "emission")
    start = stationary(moves) if initial is None else np.asarray(initial, dtype=np.float64)
    if start.shape != (len(moves),):
        raise ValueError(f"initial has shape {start.shape}; allowed: ({len(moves)},), one probability a state")
    _require_laws(start[None], "initial")
    return HiddenMarkovModel(start, moves, emits)


def mixture(prior: ArrayLike, models: Sequence[HiddenMarkovModel]) -> HiddenMarkovModel:
    """Several models, one of them drawn for each whole sequence, as one model of the pair (concept, state), concept by concept.

    Its belief state is the joint posterior of concept and state.

    Args:
        prior: (m,) probability of each model.
        models: the models, of equally many states and one vocabulary.

    Source: Xie, Raghunathan, Liang, Ma, "An explanation of in-context learning as implicit Bayesian inference", ICLR 2022,
        arXiv:2111.02080: a concept chooses the transition matrix of a document.
    """
    weights = np.asarray(prior, dtype=np.float64)
    if weights.shape != (len(models),):
        raise ValueError(f"prior has shape {weights.shape}; allowed: ({len(models)},), one probability a model")
    _require_laws(weights[None], "prior")
    h = len(models[0].initial)
    transition = np.zeros((h * len(models), h * len(models)))
    for index, model in enumerate(models):
        transition[h * index : h * (index + 1), h * index : h * (index + 1)] = model.transition
    initial = np.concatenate([weight * model.initial for weight, model in zip(weights, models, strict=True)])
    return HiddenMarkovModel(initial, transition, np.concatenate([model.emission for model in models]))


def filtered(model: HiddenMarkovModel, x: ArrayLike) -> Filtered:
    """Beliefs and log-likelihoods of sequences x (n, t) of tokens 0..V-1, scaled so that long sequences do not underflow.

    Raises:
        ValueError: if a token is not in the vocabulary, or a sequence is impossible under the model.

    Source: Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 1989, section V.A.
    """
    tokens = _tokens(model, x)
    belief = np.empty((len(tokens), tokens.shape[1] + 1, len(model.initial)))
    chance = np.empty(tokens.shape)
    belief[:, 0] = model.initial
    for s in range(tokens.shape[1]):
        joint = belief[:, s] * model.emission.T[tokens[:, s]]
        chance[:, s] = joint.sum(1)
        if not chance[:, s].all():
            raise ValueError(f"x: sequence {int(np.argmin(chance[:, s]))} has probability 0 under the model from token {s} on")
        belief[:, s + 1] = joint / chance[:, s, None] @ model.transition
    return Filtered(belief, np.log(chance))


def predictive(model: HiddenMarkovModel, x: ArrayLike) -> Matrix:
    """p(token s | tokens before s), (n, t + 1, V) for s = 0..t: position 0 sees nothing, position t all of x (n, t)."""
    return filtered(model, x).belief @ model.emission


def smoothed(model: HiddenMarkovModel, x: ArrayLike) -> Matrix:
    """p(state of token s | all of x), (n, t + 1, h) for s = 0..t; the state of the token to come comes last."""
    tokens = _tokens(model, x)
    belief = filtered(model, tokens).belief
    later = _later(model, tokens)
    belief[:, :-1] *= model.emission.T[tokens] * later
    return belief / belief.sum(2, keepdims=True)


def masked_predictive(model: HiddenMarkovModel, x: ArrayLike, position: int) -> Matrix:
    """p(token at `position` | all the other tokens), (n, V), by the forward and the backward pass; itself it is not read."""
    tokens = _tokens(model, x)
    if not 0 <= position < tokens.shape[1]:
        raise ValueError(f"position is {position!r}; allowed: 0 to {tokens.shape[1] - 1}")
    before = filtered(model, tokens[:, :position]).belief[:, -1]
    state = before * _later(model, tokens)[:, position]
    return state / state.sum(1, keepdims=True) @ model.emission


def truncated(model: HiddenMarkovModel, x: ArrayLike, order: int) -> Matrix:
    """q(next token | the last `order` tokens of x) of a stationary model, (n, V): the best predictor with that much memory.

    A ladder of models of known loss, without training: the cross-entropy of order k is H(next | last k tokens).
    """
    tokens = _tokens(model, x)
    if not 0 <= order <= tokens.shape[1]:
        raise ValueError(f"order is {order!r}; allowed: 0 to {tokens.shape[1]}, the length of x")
    return filtered(model, tokens[:, tokens.shape[1] - order :]).belief[:, -1] @ model.emission


def enumerated(model: HiddenMarkovModel, length: int) -> Enumerated:
    """Every sequence of `length` tokens that can occur, in lexical order; every expectation is then a sum.

    Raises:
        ValueError: if there are more than 20,000.
    """
    vocabulary = model.emission.shape[1]
    x, p, belief = np.zeros((1, 0), dtype=np.int64), np.ones(1), model.initial[None]
    for _ in range(length):
        joint = belief[:, None, :] * model.emission.T  # (k, V, h)
        chance = joint.sum(2)
        at, token = np.nonzero(chance)
        if len(at) > LARGEST:
            raise ValueError(f"length is {length}: more than {LARGEST} sequences of {vocabulary} tokens; allowed: fewer of them")
        x = np.concatenate([x[at], token[:, None]], 1)
        p = p[at] * chance[at, token]
        belief = joint[at, token] / chance[at, token, None] @ model.transition
    return Enumerated(x, p, belief)


def next_token_entropies(model: HiddenMarkovModel, length: int) -> Matrix:
    """H(token s | tokens before s) in nats, (length + 1,) for s = 0..length: the lowest next-token loss at each position."""
    found = []
    for s in range(length + 1):
        sequences = enumerated(model, s)
        found.append(float(sequences.p @ entropy(sequences.belief @ model.emission)))
    return np.array(found)


def entropy_rate_sandwich(model: HiddenMarkovModel, length: int) -> Matrix:
    """Lower and upper bounds (length + 1, 2) on the entropy rate of a stationary model, in nats a token; they close as s grows.

    Row s: H(X_s | X_<s, first state) <= rate <= H(X_s | X_<s).

    Source: Cover and Thomas, "Elements of Information Theory", 2nd ed. 2006, theorem 4.5.1.

    Example:
        >>> ends = entropy_rate_sandwich(hidden_markov_model([[0.9, 0.1], [0.2, 0.8]], [[0.8, 0.2], [0.1, 0.9]]), 4)
        >>> bool((np.diff(ends[:, 0]) > 0).all() and (np.diff(ends[:, 1]) < 0).all() and (ends[:, 0] < ends[:, 1]).all())
        True
    """
    known = [next_token_entropies(model._replace(initial=start), length) for start in np.eye(len(model.initial))]
    return np.stack([model.initial @ np.array(known), next_token_entropies(model, length)], 1)


def _later(model: HiddenMarkovModel, tokens: Tokens) -> Matrix:
    """p(tokens after s | state of token s) up to a factor a sequence and position, (n, t, h)."""
    later = np.ones((*tokens.shape, len(model.initial)))
    for s in range(tokens.shape[1] - 2, -1, -1):
        ahead = (later[:, s + 1] * model.emission.T[tokens[:, s + 1]]) @ model.transition.T
        later[:, s] = ahead / ahead.max(1, keepdims=True)
    return later


def _tokens(model: HiddenMarkovModel, x: ArrayLike) -> Tokens:
    tokens, vocabulary = np.asarray(x), model.emission.shape[1]
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
        raise ValueError(f"x has shape {tokens.shape} and dtype {tokens.dtype}; allowed: integers (n, t)")
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < vocabulary):
        raise ValueError(f"x holds {tokens.min()} to {tokens.max()}; allowed: tokens 0 to {vocabulary - 1}")
    return tokens.astype(np.int64, copy=False)


def _require_laws(rows: Matrix, name: str) -> None:
    wrong = ~((rows >= 0).all(1) & (np.abs(rows.sum(1) - 1) < 1e-9))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name}: row {row} is {rows[row].tolist()}; allowed: numbers >= 0 that sum to 1")
