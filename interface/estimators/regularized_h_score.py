"""Regularised H-score: the H-score with a Ledoit-Wolf covariance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import EPS, Sample, Statistics, one_of, sample, scored

CONVENTIONS = ("consistent", "tllib")


def regularized_h_score(
    features: ArrayLike | Statistics,
    labels: ArrayLike | None = None,
    *,
    convention: str = "consistent",
    blocks: int | None = None,
) -> Estimate:
    """(1 - a) tr(S_a^-1 cov(E[f|y])) with the Ledoit-Wolf covariance S_a of shrinkage a; unitless, in [0, C - 1].

    High: classes are told apart linearly. Use it instead of the H-score where n is not much larger than d.
    Invariant to shifts, rotations and scale, not to other linear maps.

    Args:
        features: (n, d) features, or Statistics that saw labels.
        labels: (n,) classes.
        convention: "consistent" divides both covariances by n; "tllib" divides the class means' by n - 1, which can
            exceed C - 1.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error. Status "fully shrunk" and 0 where a = 1; "no signal" and 0
        if no feature varies; "one class" and 0.

    Raises:
        ValueError: if labels are missing or an input is malformed.

    Source: Ibrahim, Ponomareva and Mazumder, "Newer is not always better", 2021, arXiv:2110.06893, section 4;
        shrinkage: Ledoit and Wolf, J. Multivariate Analysis 88, 2004.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(40) % 4
        >>> wide = rng.normal(size=(40, 60))
        >>> bool(regularized_h_score(wide, y) < 3 - 1e-3)  # the H-score is 3 here, by n < d alone
        True
    """
    one_of(convention, CONVENTIONS, "convention")
    rows = sample(features, labels, blocks=blocks, labelled=True, cost=4.0)
    return scored(rows, lambda part: _value(part, convention))


def ledoit_wolf_shrinkage(features: ArrayLike | Statistics, *, blocks: int | None = None) -> Estimate:
    """Weight a in [0, 1] of the identity in the Ledoit-Wolf covariance; unitless.

    High: n is too small, or the covariance too close to spherical, to trust the sample covariance.

    Args:
        features: (n, d) features, or Statistics.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; 0 if no feature varies (status "no signal").

    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, section 3.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(4000, 5)) * [1, 2, 3, 4, 5]
        >>> bool(ledoit_wolf_shrinkage(x) < 0.01 < ledoit_wolf_shrinkage(x[:20]) <= 1)
        True
    """

    def value(rows: Sample) -> tuple[float, str]:
        shrinkage, variance, _ = _shrinkage(rows)
        return shrinkage, "ok" if variance > 0 else "no signal"

    return scored(sample(features, blocks=blocks, cost=1.0), value)


def _shrinkage(rows: Sample) -> tuple[float, float, np.ndarray]:
    """Shrinkage, mean variance and the covariance divided by n."""
    moments = rows.moments
    covariance = moments.scatter() / rows.n
    d = rows.d
    variance = float(np.trace(covariance)) / d
    if variance <= 0:
        return 0.0, 0.0, covariance
    unit = covariance / variance  # so that products of extreme scales neither overflow nor vanish
    squared = float((unit**2).sum())
    beta = (moments.fourth() / variance**2 / rows.n - squared) / (d * rows.n)
    delta = (squared - d) / d
    beta = min(max(beta, 0.0), delta)
    return (0.0 if beta <= 0 else beta / delta), variance, covariance


def _value(rows: Sample, convention: str) -> tuple[float, str]:
    shrinkage, variance, covariance = _shrinkage(rows)
    if variance <= 0:
        return 0.0, "no signal"
    if len(rows.moments.present()) < 2:
        return 0.0, "one class"
    if shrinkage >= 1:
        return 0.0, "fully shrunk"
    eigenvalues, vectors = np.linalg.eigh(covariance)
    shrunk = (1 - shrinkage) * eigenvalues + shrinkage * variance
    keep = shrunk > 4 * EPS * np.sqrt(rows.d) * shrunk[-1]
    between = rows.moments.between() / (rows.n - 1 if convention == "tllib" else rows.n)
    projected = np.einsum("dk,de,ek->k", vectors[:, keep], between, vectors[:, keep], optimize=True)
    return float((1 - shrinkage) * (projected / shrunk[keep]).sum()), "ok"
