"""TransRate: how many more nats the features need to be coded as one cloud than class by class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Sample, Statistics, centre, one_of, positive, sample, scored

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
    if rows.x is not None:
        counts, scatters, total = _from_rows(rows)
    else:
        moments = rows.moments
        counts, scatters, total = moments.class_counts(), moments.class_products(), moments.scatter()
    norm = float(np.trace(total))
    if norm <= 0:
        return 0.0, "no signal"
    scale = norm if convention == "secret_hammer" else 1.0
    rates = np.array([_rate(scatter / scale, n, eps) for scatter, n in zip(scatters, counts, strict=True)])
    weights = np.full(len(counts), 1 / len(counts)) if convention == "tllib" else counts / rows.n
    return _rate(total / scale, rows.n, eps) - float(weights @ rates), "ok"


def _from_rows(rows: Sample) -> tuple[Array, Iterator[Array], Array]:
    """Class counts, each class's X_c'X_c or X_c X_c', whichever is smaller, and the same of all rows."""
    assert rows.x is not None
    assert rows.codes is not None
    x = centre(rows.x)
    order = np.argsort(rows.codes, kind="stable")
    counts = np.bincount(rows.codes).astype(np.float64)
    parts = np.split(x[order], np.cumsum(counts).astype(int)[:-1])
    scatters = (part.T @ part if len(part) >= rows.d else part @ part.T for part in parts)
    total = x.T @ x if rows.n >= rows.d else x @ x.T
    return counts, scatters, total


def _rate(scatter: Array, n: float, eps: float) -> float:
    """1/2 ln|I + scatter / (n eps)|, by a Cholesky factor of a matrix that is at least the identity."""
    inner = scatter / (n * eps)
    inner[np.diag_indices(len(inner))] += 1.0
    try:
        return float(np.log(np.diagonal(np.linalg.cholesky(inner))).sum())
    except np.linalg.LinAlgError:  # beyond 1e16 the identity is lost beside rank-deficient scatters
        return float(0.5 * np.log(np.maximum(np.linalg.eigvalsh(inner), 1.0)).sum())
