"""Hidden Markov models fitted by expectation maximisation: density estimation as a pretext, with its own latent size."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from interface.theory.hidden_markov import LARGEST, HiddenMarkovModel, Tokens
from interface.theory.moments import Matrix
from interface.theory.token_bounds import total_variation

MOST_STATES = 8  # whose relabellings are all tried


class HiddenMarkovFit(NamedTuple):
    """The model, and the mean log-likelihood of a *sequence* in nats before each iteration and after the last (iterations + 1,)."""

    model: HiddenMarkovModel
    log_likelihood: Matrix


class Informativeness(NamedTuple):
    """Total variation of truth and model over (tokens, next state) and over tokens alone; kappa, the first over the second."""

    joint: float
    tokens: float
    kappa: float


def fit_hidden_markov(
    x: ArrayLike,
    n_states: int,
    rng: np.random.Generator,
    iterations: int = 200,
    *,
    vocabulary: int | None = None,
    weights: ArrayLike | None = None,
) -> HiddenMarkovFit:
    """Maximum likelihood by Baum and Welch from one random start; the likelihood never falls, and may end in a local maximum.

    Equal sequences are counted, not repeated, so that many short ones cost no more than the different ones.

    Args:
        x: (n, t) tokens, t >= 2; n_states: hidden states; rng: of the start; iterations: number of steps.
        vocabulary: V, if it is not the largest token + 1.
        weights: (n,) of the sequences, by default equal; with all sequences and their probabilities it is a fit to the population.

    Raises:
        ValueError: if x is not (n, t) with tokens 0..V-1, a number is below 1, or weights do not fit.

    Source: Baum, Petrie, Soules, Weiss, Ann. Math. Statist. 1970; scaled as Rabiner, Proc. IEEE 1989, section V.A.
    """
    tokens = np.asarray(x)
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or tokens.shape[1] < 2 or len(tokens) < 1 or tokens.min() < 0:
        raise ValueError(f"x has shape {tokens.shape} and dtype {tokens.dtype}; allowed: integers >= 0, (n, t) with t >= 2")
    if n_states < 1 or iterations < 1:
        raise ValueError(f"n_states, iterations are {n_states!r}, {iterations!r}; allowed: integers >= 1")
    size = int(tokens.max()) + 1 if vocabulary is None else vocabulary
    if size <= tokens.max():
        raise ValueError(f"vocabulary is {vocabulary!r}; x holds token {int(tokens.max())}")
    share = np.full(len(tokens), 1.0) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != (len(tokens),) or not (share >= 0).all() or not share.sum() > 0:
        raise ValueError(f"weights have shape {share.shape}; allowed: ({len(tokens)},) numbers >= 0, not all 0")
    distinct, which = np.unique(tokens, axis=0, return_inverse=True)
    share = np.bincount(which.ravel(), share, len(distinct)) / share.sum()

    model = HiddenMarkovModel(
        rng.dirichlet(np.full(n_states, 5.0)),
        rng.dirichlet(np.full(n_states, 5.0), n_states),
        rng.dirichlet(np.full(size, 5.0), n_states),
    )
    trace = np.empty(iterations + 1)
    for step in range(iterations):
        model, trace[step] = _improved(model, distinct, share)
    trace[-1] = _improved(model, distinct, share)[1]
    return HiddenMarkovFit(model, trace)


def informativeness(truth: Matrix, model: Matrix) -> Informativeness:
    """kappa: how much further a fitted model is from the truth in (tokens, state) than in the tokens that it was fitted to, >= 1.

    Near 1: what the fit got right about tokens it got right about states. It bounds what a predictor of the state from the
    model's posterior loses: at most 2 L kappa sqrt(KL / 2) for losses in [0, L].

    Args:
        truth, model: (k, h) joint probabilities of each sequence and the state of the token to come, over one set of k sequences.
            States have no names: the model's are renamed for the best match.

    Raises:
        ValueError: if shapes differ, there are more than 8 states, or an array is no law.

    Source: Ge, Tang, Fan, Jin, "On the provable advantage of unsupervised pretraining", ICLR 2024, arXiv:2303.01566;
        here with total variation for both distances, and its constant derived by |E_p f - E_q f| <= range(f) TV and Pinsker.
    """
    p, q = np.asarray(truth, dtype=np.float64), np.asarray(model, dtype=np.float64)
    if p.shape != q.shape or p.ndim != 2 or p.shape[1] > MOST_STATES or len(p) > LARGEST:
        raise ValueError(f"truth {p.shape} and model {q.shape}; allowed: equal shapes (k, h) with h <= {MOST_STATES}")
    for name, law in (("truth", p), ("model", q)):
        if law.min() < 0 or abs(law.sum() - 1) > 1e-9:
            raise ValueError(f"{name} sums to {law.sum()!r}; allowed: numbers >= 0 that sum to 1")
    tokens = total_variation(p.sum(1), q.sum(1))
    joint = min(total_variation(p, q[:, list(order)]) for order in permutations(range(p.shape[1])))
    return Informativeness(joint, tokens, joint / tokens if tokens > 0 else (1.0 if joint == 0 else np.inf))


def _improved(model: HiddenMarkovModel, x: Tokens, share: Matrix) -> tuple[HiddenMarkovModel, float]:
    """The model after one step, and the mean log-likelihood of the one before it."""
    length, states = x.shape[1], len(model.initial)
    seen = model.emission.T[x]  # (n, t, h)
    forward, scale = np.empty(seen.shape), np.empty(x.shape)
    ahead = np.broadcast_to(model.initial, seen[:, 0].shape)
    for s in range(length):
        joint = ahead * seen[:, s]
        scale[:, s] = joint.sum(1)
        forward[:, s] = joint / scale[:, s, None]
        ahead = forward[:, s] @ model.transition
    backward = np.ones(seen.shape)
    moves = np.zeros((states, states))
    for s in range(length - 2, -1, -1):
        reached = backward[:, s + 1] * seen[:, s + 1] / scale[:, s + 1, None]
        moves += (share[:, None] * forward[:, s]).T @ reached
        backward[:, s] = reached @ model.transition.T
    visits = share[:, None, None] * forward * backward
    emitted = np.zeros(model.emission.T.shape)
    np.add.at(emitted, x, visits)
    better = HiddenMarkovModel(
        visits[:, 0].sum(0) / visits[:, 0].sum(),
        _rows(model.transition * moves, model.transition),
        _rows(emitted.T, model.emission),
    )
    return better, float(share @ np.log(scale).sum(1))


def _rows(counts: Matrix, before: Matrix) -> Matrix:
    """Rows as laws; a state that is never visited keeps its row."""
    total = counts.sum(1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1.0), before)
