"""Bounds on what a probe on a language model's output probabilities can lose, from the excess of the model's cross-entropy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from interface.theory.finite import divergence
from interface.theory.moments import Matrix

RIDGES = np.logspace(-12, 2, 57)  # of the path on which the best linear map is looked for
ABSENT = 1e-12  # least singular value of an emission matrix that counts as 0


class HiddenStateBound(NamedTuple):
    """Two bounds on E*_sq of the next state: from E|p - q|^2, and the looser one from KL(p || q) in nats. inf where vacuous."""

    squared: float
    kl: float


def hidden_state_bound(emission: ArrayLike, p: ArrayLike, q: ArrayLike, weights: ArrayLike) -> HiddenStateBound:
    """E* <= E|p - q|^2 / sigma_min(O)^2 <= KL / sigma_min(O)^2, squared units of one-hot states.

    E* is the least excess squared error of an affine probe that reads the hidden state of the next token off q. Both are inf
    where emission has less than full row rank: then even an exactly optimal model (q = p) need not show the state.

    Args:
        emission: O (h, V); p, q: (k, V) true and model probabilities of the next token in each context; weights: (k,).

    Source: the past reaches the next token through its state alone, so E[state | past] = (O')^+ p. The hidden Markov instance of
        Lee, Lei, Saunshi, Zhuo, "Predicting what you already know helps", NeurIPS 2021, arXiv:2008.01064; the second step is
        Pinsker's inequality with |v|_2^2 <= |v|_1^2 / 2 for v that sums to 0.
    """
    emitted, p, q, weights = (np.asarray(values, dtype=np.float64) for values in (emission, p, q, weights))
    least = float(np.linalg.svd(emitted, compute_uv=False)[-1]) if len(emitted) <= emitted.shape[1] else 0.0
    if least <= ABSENT:
        return HiddenStateBound(np.inf, np.inf)
    squared, excess = float(weights @ np.square(p - q).sum(1)), float(weights @ divergence(p, q))
    return HiddenStateBound(squared / least**2, excess / least**2)


def output_probe_bound(target: ArrayLike, p: ArrayLike, q: ArrayLike, weights: ArrayLike) -> float:
    """E* <= min over A of (|y* - A p| + |A|_op sqrt(KL))^2, squared units of the target, for a task of any kind.

    E* is the least excess squared error of an affine probe on q. The minimum runs over the affine maps of a ridge path, which all
    give valid bounds; at KL = 0 it is the loss of the best affine map of p, so that it says what no model can do.

    Args:
        target: y* = E[y | context] (k,) or (k, c); p, q: (k, V); weights: (k,).

    Source: triangle inequality in L2, and |p - q|_2^2 <= KL (Pinsker, for differences that sum to 0).
    """
    y, p, q, weights = (np.asarray(values, dtype=np.float64) for values in (target, p, q, weights))
    y = y[:, None] if y.ndim == 1 else y
    excess = float(weights @ divergence(p, q))
    y, z = y - weights @ y, p - weights @ p
    values, vectors = np.linalg.eigh(z.T @ (weights[:, None] * z))
    with_target = vectors.T @ (z.T @ (weights[:, None] * y))
    best = float(weights @ np.square(y).sum(1))  # A = 0
    for ridge in RIDGES * max(values[-1], 0.0):
        A = with_target / (values.clip(min=0) + ridge)[:, None] if ridge > 0 else 0.0 * with_target
        unexplained = np.sqrt(weights @ np.square(y - z @ vectors @ A).sum(1))
        best = min(best, float((unexplained + np.linalg.norm(A, 2) * np.sqrt(excess)) ** 2))
    return best


def bounded_probe_bound(optimal: float, bound: float, excess: float, density_ratio: float) -> float:
    """Logistic loss (nats) that a probe with weights in [-bound, bound]^V on q stays below, if p itself allows `optimal`.

    L*(q) <= optimal + bound sqrt(2 excess / density_ratio). It holds for probes without intercept.

    Args:
        optimal: least logistic loss of v'p over v in the box; bound: half-width of the box.
        excess: KL(p || q) on the source, nats; density_ratio: min over contexts of p_source / p_target, in (0, 1].

    Source: Saunshi, Malladi, Arora, "A mathematical exploration of why language models help solve downstream tasks", ICLR 2021,
        arXiv:2010.03648, for output probabilities; the logistic loss is 1-Lipschitz, then Hoelder, Jensen and Pinsker.

    Example:
        >>> round(bounded_probe_bound(0.25, 3.0, 0.02, 1.0), 9)
        0.85
    """
    return optimal + bound * float(np.sqrt(2 * max(excess, 0.0) / density_ratio))


def total_variation(p: Matrix, q: Matrix) -> float:
    """Half the L1 distance of two laws over the same points, in [0, 1]."""
    return 0.5 * float(np.abs(np.asarray(p) - np.asarray(q)).sum())
