"""TransRate: how many more nats the features need to be coded as one cloud than class by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Moments, Sample, Statistics, centre, one_of, positive, sample, scored

CONVENTIONS = ("weighted", "tllib", "secret_hammer")


def transrate(
    features: ArrayLike | Statistics,
    labels: ArrayLike | None = None,
    *,
    eps: float = 1e-4,
    convention: str = "weighted",
    blocks: int | None = None,
) -> Estimate:
    """R(Z) - R(Z|Y), coding rates R(Z) = 1/2 ln|I + Z'Z / (n eps)| of globally centred features; nats, >= 0.

    High: classes occupy different directions. Not invariant to scale: `eps` is a squared distortion in the
    features' units.

    Args:
        features: (n, d) features, or Statistics(class_products=True) that saw labels.
        labels: (n,) classes; classes without rows count nothing.
        eps: squared distortion; published default 1e-4.
        convention: "weighted" weighs class rates by n_c / n. "tllib" and the published pseudo-code take their plain
            mean, which can make the score negative for unequal classes. "secret_hammer" weighs, and first divides by
            the Frobenius norm.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error. "no signal" and 0 if no feature varies.

    Raises:
        ValueError: if labels are missing, eps is not positive, a Statistics lacks products by class, or an input is
            malformed.

    Source: Huang et al., "Frustratingly easy transferability estimation", ICML 2022, arXiv:2106.09362, eq. (5).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(3, size=300)
        >>> noise = rng.normal(size=(300, 4))
        >>> bool(transrate(noise + 3 * np.eye(4)[y], y) > transrate(noise, y) > 0)
        True
    """
    one_of(convention, CONVENTIONS, "convention")
    positive(eps, "eps")
    classes = 1 if labels is None else 4  # a rough cost: classes of d^3 / 3 each
    rows = sample(features, labels, blocks=blocks, labelled=True, by_rows=True, cost=2.0 * classes)
    return scored(rows, lambda part: _value(part, eps, convention))


def _value(rows: Sample, eps: float, convention: str) -> tuple[float, str]:
    counts = _counts(rows)
    z = None if rows.x is None else centre(rows.x)
    total = rows.moments.scatter() if z is None else _product(z)
    norm = float(np.trace(total))
    if norm <= 0:
        return 0.0, "no signal"
    distortion = eps * (norm if convention == "secret_hammer" else 1.0)
    rates = _rates_of_products(rows.moments, distortion) if z is None else _rates_of_rows(z, rows, counts, distortion)
    weights = np.full(len(counts), 1 / len(counts)) if convention == "tllib" else counts / rows.n
    return _rate(total / (rows.n * distortion)) - float(weights @ rates), "ok"


def _counts(rows: Sample) -> Array:
    return rows.moments.class_counts() if rows.codes is None else np.bincount(rows.codes).astype(np.float64)


def _product(z: Array) -> Array:
    """Z'Z or Z Z', whichever is smaller: I plus either has the same determinant."""
    return z.T @ z if len(z) >= z.shape[1] else z @ z.T


def _rates_of_rows(z: Array, rows: Sample, counts: Array, distortion: float) -> Array:
    assert rows.codes is not None
    order = np.argsort(rows.codes, kind="stable")
    ends = np.cumsum(counts).astype(int)
    return np.array(
        [_rate(_product(z[order[end - int(count) : end]]) / (count * distortion)) for end, count in zip(ends, counts, strict=True)]
    )


def _rates_of_products(moments: Moments, distortion: float) -> Array:
    """From X_c'X_c about the pivot, moved to the mean by a rank-two update in one buffer."""
    from scipy.linalg.blas import dsyr2  # here, because it costs import time

    if moments.products is None or moments.sums is None or moments.counts is None:
        raise ValueError("features lacks products by class; gather them by Statistics(class_products=True)")
    rates = []
    buffer = np.empty((moments.d, moments.d), order="F")
    e = -moments.shift
    for c in moments.present():
        scale = 1 / (moments.counts[c] * distortion)
        np.multiply(moments.products[c].T, scale, out=buffer)
        rates.append(_rate(dsyr2(scale, moments.sums[c] + 0.5 * moments.counts[c] * e, e, a=buffer, lower=1, overwrite_a=1)))
    return np.array(rates)


def _rate(inner: Array) -> float:
    """1/2 ln|I + inner|, by a Cholesky factor of the lower triangle; inner is overwritten."""
    from scipy.linalg.lapack import dpotrf

    inner = np.asfortranarray(inner)
    inner[np.diag_indices(len(inner))] += 1.0
    diagonal = np.diagonal(inner).copy()
    factor, failed = dpotrf(inner, lower=1, clean=0, overwrite_a=1)
    if not failed:
        return float(np.log(np.diagonal(factor)).sum())
    # beyond 1e16 the identity is lost beside a rank-deficient matrix; the strict upper triangle is as it was
    whole = np.triu(inner, 1)
    return float(0.5 * np.log(np.maximum(np.linalg.eigvalsh(whole + whole.T + np.diag(diagonal)), 1.0)).sum())
