"""LEEP: how well a source model's own predictions explain the target labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Codes, class_codes, matrix, one_of

CONVENTIONS = ("published", "pactran")
SUM_TOLERANCE = 1e-2  # rows of bfloat16 probabilities miss 1 by so much


def leep(source_probabilities: ArrayLike, labels: ArrayLike, *, convention: str = "published") -> Estimate:
    """Mean log of the expected empirical predictor, sum_z theta(x)_z P(y|z), at the true label; nats, <= 0.

    High (near 0): the source classes predict the target classes.

    Args:
        source_probabilities: (n, Z) the source model's softmax outputs on the target inputs; not logits.
        labels: (n,) target classes.
        convention: "published", or "pactran": the sign changed and 1e-10 inside the logarithm.

    Returns:
        Estimate with the analytic (influence function) standard error, which counts that P(y|z) is estimated from
        the same rows; source classes of no mass count nothing. The value is optimistic, as published: P(y|z) has seen
        the labels. "one class" and 0.

    Raises:
        ValueError: if rows are no probabilities (logits?) or an input is malformed.

    Source: Nguyen et al., "LEEP", ICML 2020, arXiv:2002.12462, eq. (1)-(2).

    Example:
        >>> y = np.arange(60) % 3
        >>> perfect, useless = np.eye(3)[y], np.full((60, 4), 0.25)
        >>> f"{leep(perfect, y):.4f} {leep(useless, y) + np.log(3):.4f}"
        '0.0000 0.0000'
    """
    one_of(convention, CONVENTIONS, "convention")
    theta = probabilities(source_probabilities, "source_probabilities")
    codes, classes = class_codes(labels, len(theta))
    terms, influence = log_expected(theta, codes)
    value = float(terms.mean())
    n = len(theta)
    if convention == "pactran":
        value = -float(np.log(np.exp(terms) + 1e-10).mean())
    stderr = float(influence.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status="ok" if len(classes) > 1 else "one class")


def probabilities(x: ArrayLike, name: str) -> Array:
    """x (n, Z), checked to be distributions over Z and made to sum to 1 exactly.

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
