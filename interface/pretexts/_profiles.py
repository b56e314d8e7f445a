"""How a profile is found: linear algebra on features, least-squares and softmax heads, and the bracket of what they reach."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from interface.convex import fit_softmax
from interface.convex._steady import steady
from interface.core import Bracket, Estimate
from interface.pretexts._base import Embed, squared_error

RANK_CUT = 1e-10  # relative eigenvalue below which a direction of the features counts as absent
SCORES = 20_000_000  # class scores that a profile holds at once


def held_out_bracket(low: Tensor, high: Tensor, gap: Tensor | np.ndarray, status: list[str] | None = None) -> list[Bracket]:
    """Brackets of r runs from the unit losses (r, n) of their empirical minimisers on the fit half and on the test half."""

    def sides(losses: Tensor) -> list[Estimate]:
        losses = losses.double()
        n = losses.shape[-1]
        means, errors = losses.mean(-1).tolist(), (losses.std(-1) / n**0.5).tolist()
        return [Estimate(mean, stderr=error, how="held_out", n=n) for mean, error in zip(means, errors, strict=True)]

    lows, highs = sides(low), sides(high)
    if status is not None:
        lows = [Estimate(s, stderr=s.stderr, how=s.how, n=s.n, status=word) for s, word in zip(lows, status, strict=True)]
    return [Bracket(a, b, gap=float(g)) for a, b, g in zip(lows, highs, gap, strict=True)]


def symmetric_pinv(matrix: Tensor) -> Tensor:
    """Moore-Penrose inverse of symmetric PSD matrices (..., k, k), directions below RANK_CUT of the largest dropped."""
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    keep = eigenvalues > RANK_CUT * eigenvalues[..., -1:].clamp_min(torch.finfo(matrix.dtype).tiny)
    inverse = torch.where(keep, 1 / eigenvalues.where(keep, torch.ones_like(eigenvalues)), torch.zeros_like(eigenvalues))
    return (vectors * inverse.unsqueeze(-2)) @ vectors.mT


def inverse_root(covariance: Tensor) -> Tensor:
    """Map B (..., k, k) with B'CB = 1 on the eigenvectors of C above RANK_CUT, 0 on the others: eigenvectors by column."""
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    keep = eigenvalues > RANK_CUT * eigenvalues[..., -1:].clamp_min(torch.finfo(covariance.dtype).tiny)
    roots = torch.where(keep, eigenvalues.where(keep, torch.ones_like(eigenvalues)).rsqrt(), torch.zeros_like(eigenvalues))
    return vectors * roots.unsqueeze(-2)


def whitening(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (..., 1, k) and map (..., k, k) that make the covariance of features (..., n, k) the identity, in their dtype.

    Directions without variance are mapped to 0.
    """
    mean = z.double().mean(-2, keepdim=True)
    centred = z.double() - mean
    return mean.to(z.dtype), inverse_root(centred.mT @ centred / z.shape[-2]).to(z.dtype)


def centred_pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features of two views (..., n, k) less their common mean (..., 1, k), and that mean."""
    mean = 0.5 * (a.mean(-2, keepdim=True) + b.mean(-2, keepdim=True))
    return a - mean, b - mean, mean


def canonical_variates(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Map (..., k, k) from centred features of two views to uncorrelated ones of variance 1, and their correlations (..., k).

    Columns are ascending in the correlation between the views, which both views share one map for; absent directions are 0.
    """
    n = a.shape[-2]
    whiten = inverse_root(0.5 * (a.mT @ a + b.mT @ b) / n)
    correlations, rotation = torch.linalg.eigh(whiten.mT @ (0.5 * (a.mT @ b + b.mT @ a) / n) @ whiten)
    return whiten @ rotation, correlations


def with_constant(z: Tensor) -> Tensor:
    """Features (..., n, k) with a column of ones, in float64."""
    return torch.cat([z.double(), torch.ones_like(z[..., :1], dtype=torch.float64)], dim=-1)


def log_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in nats (...,) of scores (..., C) against classes (...,) or probabilities (..., C), which runs may share."""
    log_p = torch.log_softmax(scores, dim=-1)
    if labels.is_floating_point():
        return -torch.where(labels > 0, labels * log_p, torch.zeros((), dtype=log_p.dtype)).sum(-1)
    return -log_p.gather(-1, labels.expand(log_p.shape[:-1]).unsqueeze(-1)).squeeze(-1)


def classification_profile(
    features: tuple[Tensor, Tensor], labels: tuple[Tensor, Tensor], n_classes: int | None = None
) -> list[Bracket]:
    """Profile over affine softmax heads of the cross-entropy of labels given features (r, n, k); nats.

    Features (r, n, t, k) hold t dependent predictions of one example, whose losses are averaged; labels are classes (n,) or
    (n, t), or probabilities with a last axis C, and may have the run axis too. As many runs at once as memory allows. Where a
    minimiser runs off, the upper side is the loss of a penalised head, as for `LinearProbe`.
    """
    fit = features[0]
    soft = labels[0].is_floating_point()
    own = labels[0].ndim - int(soft) == fit.ndim - 1  # each run has its own labels
    scores = fit[0, ..., 0].numel() * (labels[0].shape[-1] if soft else n_classes or 1)
    found: list[Bracket] = []
    for runs in torch.arange(len(fit), device=fit.device).split(max(1, SCORES // scores)):
        z, y = ([t[runs] for t in features], [t[runs] for t in labels] if own else labels)
        rows = y[0].flatten(-3 if soft else -2, -2 if soft else -1) if fit.ndim == 4 else y[0]
        solution = fit_softmax(z[0].flatten(1, -2), rows, n_classes=n_classes)
        low = _softmax_losses(z[0], y[0], solution.weight, solution.intercept)
        high = _softmax_losses(z[1], y[1], *steady(solution, z[0].flatten(1, -2), rows))
        found += held_out_bracket(low, high, solution.gap, solution.status)
    return found


def _softmax_losses(z: Tensor, y: Tensor, weight: Tensor, intercept: Tensor) -> Tensor:
    """Loss (r, n) of each example under one softmax head a run."""
    scores = z.flatten(1, -2).double() @ weight.mT + intercept.unsqueeze(-2)
    losses = log_loss(scores.view(*z.shape[:-1], -1), y)
    return losses if z.ndim == 3 else losses.mean(-1)


def linear_prediction_profile(embed: Embed, inputs: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor]) -> list[Bracket]:
    """Profile over affine heads of the squared error of predicting targets (n, k) from embed(inputs), summed over k."""
    fit, test = (with_constant(embed(x)) for x in inputs)
    y_fit, y_test = (t.double() for t in targets)
    weight = symmetric_pinv(fit.mT @ fit) @ (fit.mT @ y_fit)
    low = torch.stack([squared_error(z @ w, y_fit) for z, w in zip(fit, weight, strict=True)])
    high = torch.stack([squared_error(z @ w, y_test) for z, w in zip(test, weight, strict=True)])
    return held_out_bracket(low, high, np.zeros(len(low)))
