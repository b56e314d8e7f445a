"""Pretraining loss where the law of the pseudolabel is known: its noise is summed out instead of drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from interface.core import Estimate

NORMALISED = 1e-4  # nats by which the log of a law's total may miss 0, as log-softmax in float32 does


def rao_blackwell(log_q: Any, p: Any) -> Estimate:
    """L_pre as the mean over units of sum_z p(z | x) (-ln q(z | x)), in nats a prediction: the loss with its label summed out.

    It has the mean of -ln q(z | x) and never a larger variance. Predictions within a unit are averaged.

    Args:
        log_q: (n, ..., V) log-probabilities of the model; axes between are predictions within one independent unit.
        p: (n, ..., V) true conditional probabilities of the pseudolabel.

    Returns:
        Estimate; inf, with status "infinite" and no error, if the model rules out what can happen.

    Raises:
        ValueError: if shapes differ, there are fewer than 2 units, or a row of either is no law (log_q: are these logits?).

    Source: Blackwell, "Conditional expectation and unbiased sequential estimation", Ann. Math. Statist. 1947.

    Example:
        >>> p = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
        >>> round(rao_blackwell(torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(), p), 6)  # ln 2, whatever is drawn
        0.693147
    """
    log_q, p = _laws(log_q, p)
    return _mean(torch.where(p > 0, -p * log_q, 0.0))


def excess_by_difference(log_q: Any, p: Any, floor: float = 0.0) -> Estimate:
    """Mean over units of KL(p(. | x) || q(. | x)) plus an exact floor, in nats a prediction; floor 0 leaves the excess.

    Near an optimal model the divergence is small itself, and so is its spread: the *relative* error of the excess stays bounded
    where that of a sampled loss minus the floor does not.

    Args:
        log_q, p: as in `rao_blackwell`.
        floor: the entropy E H(p(. | x)), exact, in nats a prediction.

    Returns, Raises: as `rao_blackwell`.

    Example:
        >>> p = torch.tensor([[0.5, 0.5], [0.9, 0.1]], dtype=torch.float64)
        >>> bool(excess_by_difference(p.log(), p) < 1e-15 < excess_by_difference(p.flip(0).log(), p))
        True
    """
    log_q, p = _laws(log_q, p)
    found = _mean(torch.where(p > 0, p * (torch.log(torch.where(p > 0, p, 1.0)) - log_q), 0.0))
    return Estimate(found + floor, stderr=found.stderr, how=found.how, n=found.n, status=found.status)


def _mean(terms: Tensor) -> Estimate:
    """Mean over units of the sums over V, averaged within units, of terms (n, ..., V)."""
    losses = terms.sum(-1).flatten(1).mean(1) if terms.ndim > 2 else terms.sum(-1)
    n, mean = len(losses), float(losses.mean())
    if mean == float("inf"):
        return Estimate(mean, how="monte_carlo", n=n, status="infinite")
    return Estimate(mean, stderr=float(losses.std() / n**0.5), how="monte_carlo", n=n)


def _laws(log_q: Any, p: Any) -> tuple[Tensor, Tensor]:
    q, law = (torch.as_tensor(values).detach().double().cpu() for values in (log_q, p))
    if q.shape != law.shape or q.ndim < 2 or len(q) < 2:
        raise ValueError(f"log_q has shape {tuple(q.shape)} and p {tuple(law.shape)}; allowed: equal, (n, ..., V) with n >= 2")
    if not (torch.logsumexp(q, -1).abs() <= NORMALISED).all():
        raise ValueError("log_q holds a row whose probabilities do not sum to 1; are these logits? take log_softmax first")
    if not ((law >= 0).all() and ((law.sum(-1) - 1).abs() <= NORMALISED).all()):
        raise ValueError("p holds a row that is no law; allowed: numbers >= 0 that sum to 1")
    return q, law
