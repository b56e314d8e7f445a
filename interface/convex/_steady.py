"""Softmax heads whose losses on new rows mean something, where the minimiser on a sample runs off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from interface.convex._base import class_targets, part_of
from interface.convex.softmax import SoftmaxFit, fit_softmax

# Spread of logits (nats) beyond which a minimiser has run off: those of glyph encoders stay below 75, or lie far above 100 and cost
# up to 50 times as much on new rows as a penalised head; below, the two agree within some thousandths of a nat.
RUNAWAY = 100.0


def runs_off(fit: SoftmaxFit, x: Tensor) -> list[int]:
    """The problems whose minimiser is not attained, not proven, or attained only where logits spread beyond RUNAWAY.

    Args:
        fit: E problems without penalty; x: (1|E, n, d) the features that they were fitted on.
    """
    weight = fit.weight - fit.weight.mean(1, keepdim=True)
    x = x.double() - x.double().mean(1, keepdim=True)
    spread = (weight @ (x.mT @ x / x.shape[1]) * weight).sum((1, 2)).clamp_min(0).sqrt()  # root mean square over rows
    return [e for e, status in enumerate(fit.status) if status != "ok" or not float(spread[e]) <= RUNAWAY]


def steady(fit: SoftmaxFit, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(weight (E, C, d), intercept (E, C)): the minimisers, and where they run off heads of the same family that do not.

    For the upper side of a bracket: any head will do that is found without the rows on which it is tested.

    Args:
        fit: E problems without penalty; x: (1|E, n, d), labels: (n,), (E, n), (n, C) or (E, n, C) that they were fitted on.
    """
    weight, intercept = fit.weight.clone(), fit.intercept.clone()
    y, classes = class_targets(labels, x.shape[1], weight.shape[1], several=False)
    for e in runs_off(fit, x):
        at = torch.tensor([e], device=x.device)
        other = learned_softmax(part_of(x, at), part_of(y, at), classes)
        weight[e], intercept[e] = other.weight[0], other.intercept[0]
    return weight, intercept


def learned_softmax(x: Tensor, labels: Any, n_classes: int | None) -> SoftmaxFit:
    """The head that N labels give: half a count of each class, features standardised on the sample, and a penalty of 1 / N.

    Args:
        x: (E, N, d) features; labels: (N,), (E, N), (N, C) or (E, N, C).
    """
    n = x.shape[1]
    return standardised_softmax(x, smoothed(labels, n, n_classes), ridge=1 / n)


def standardised_softmax(x: Tensor, y: Tensor, *, ridge: float) -> SoftmaxFit:
    """Softmax fit with ridge / 2 times the squared norm of the weights on features that have mean 0 and variance 1 in the sample.

    Args:
        x: (E, n, d) features; y: (1|E, n, C) probabilities; ridge: weight of the penalty.

    Returns:
        SoftmaxFit whose weights are on the features as they were given; `value` and `gap` are the penalised problem's.
    """
    x = x.double()
    mean, scale = x.mean(1, keepdim=True), x.std(1, keepdim=True, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    fit = fit_softmax((x - mean) / scale, y.squeeze(0) if len(y) == 1 else y, ridge=ridge)
    weight = fit.weight / scale
    return replace(fit, weight=weight, intercept=fit.intercept - (weight @ mean.mT).squeeze(2))


def smoothed(labels: Any, n: int, n_classes: int | None) -> Tensor:
    """Labels (1|E, n, C) with half a count of each class added to every example's share.

    Without features the least loss on them is at (n_c + 1/2) / (n + C/2), the sequential estimator of Krichevsky and Trofimov,
    IEEE Transactions on Information Theory 27 (1981): no class of a small sample costs infinitely much.
    """
    y, classes = class_targets(labels, n, n_classes, several=False)
    target = torch.nn.functional.one_hot(y, classes).double() if y.ndim == 2 else y
    share = 0.5 * classes / (n + 0.5 * classes)
    return (1 - share) * target + share / classes
