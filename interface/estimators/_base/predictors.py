"""Probabilities of source classes, and the expected empirical predictor that LEEP and N-LEEP average."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.estimators._base.inputs import Array, Codes, matrix

SUM_TOLERANCE = 1e-2  # rows of bfloat16 probabilities miss 1 by so much


def probabilities(x: ArrayLike, name: str) -> Array:
    """x (n, Z), checked to be distributions over Z and that sum to 1 within the tolerance.

    Raises:
        ValueError: if an entry is negative or a row does not sum to 1.
    """
    theta = matrix(x, name)
    sums = theta.sum(1)
    wrong = (np.abs(sums - 1) > SUM_TOLERANCE) | (theta < 0).any(1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{name} is no distribution in row {row} (sum {sums[row]:.4g}, minimum {theta[row].min():.4g}); "
            "allowed: rows >= 0 that sum to 1, so apply a softmax to logits"
        )
    return theta


def log_expected(theta: Array, codes: Codes) -> tuple[Array, Array]:
    """Log of the expected empirical predictor at each row's label (n,), and each row's influence on its mean (n,)."""
    n, z = theta.shape
    classes = int(codes.max()) + 1
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(classes + 1))
    by_class = [order[edges[c] : edges[c + 1]] for c in range(classes)]
    joint = np.stack([theta[rows].sum(0) for rows in by_class]) / n
    mass = joint.sum(0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)  # P(y|z); no mass, no weight
    expected = np.empty(n)
    slope = np.empty((classes, z))  # derivative of the mean log with respect to P(y|z)
    for c, rows in enumerate(by_class):
        block = theta[rows]
        expected[rows] = block @ conditional[c]
        slope[c] = (1 / expected[rows]) @ block / n
    inner = slope - (slope * conditional).sum(0)
    inner = np.divide(inner, mass, out=np.zeros_like(inner), where=mass > 0)
    terms = np.log(expected)
    influence = terms - terms.mean()
    for c, rows in enumerate(by_class):
        influence[rows] += theta[rows] @ inner[c]
    return terms, influence
