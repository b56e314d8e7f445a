"""Neural collapse, NC1 to NC4: how far features and classifier are from the collapsed geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Sample, Statistics, class_codes, matrix, sample, scored, vector


def nc1(features: ArrayLike | Statistics, labels: ArrayLike | None = None, *, blocks: int | None = None) -> Estimate:
    """tr(S_w S_b^+) / C, variability within classes in units of that between class means; unitless, >= 0.

    Low: every class has collapsed to its mean.

    Args:
        features: (n, d) features, or Statistics that saw labels.
        labels: (n,) classes.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and NaN if class means do not differ.

    Raises:
        ValueError: if labels are missing or an input is malformed.

    Source: Papyan, Han and Donoho, "Prevalence of neural collapse", PNAS 2020, section 2; Zhu et al., 2021,
        arXiv:2105.02375, eq. (8).

    Example:
        >>> y = np.arange(30) % 3
        >>> f"{nc1(np.eye(3)[y], y):.6f}"
        '0.000000'
    """
    return scored(sample(features, labels, blocks=blocks, labelled=True), _nc1)


def nc2(features: ArrayLike | Statistics, labels: ArrayLike | None = None, *, blocks: int | None = None) -> Estimate:
    """Frobenius distance of the class means' normalised Gram matrix from that of a simplex; unitless, in [0, 2].

    Low: centred class means have equal norms and equal, largest angles.

    Args:
        features: (n, d) features, or Statistics that saw labels.
        labels: (n,) classes.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and NaN if class means do not differ.

    Raises:
        ValueError: if labels are missing or an input is malformed.

    Source: Zhu et al., "A geometric analysis of neural collapse", NeurIPS 2021, arXiv:2105.02375, eq. (9), of the means.

    Example:
        >>> y = np.arange(30) % 3
        >>> f"{nc2(np.eye(3)[y], y):.6f}"
        '0.000000'
    """
    return scored(sample(features, labels, blocks=blocks, labelled=True, cost=0.5), _nc2)


def nc3(
    features: ArrayLike | Statistics, labels: ArrayLike | None = None, *, weights: ArrayLike, blocks: int | None = None
) -> Estimate:
    """Frobenius distance of weights times class means, normalised, from the simplex; unitless, in [0, 2].

    Low: classifier weights have aligned with the class means (self-duality).

    Args:
        features: (n, d) features, or Statistics that saw labels.
        labels: (n,) classes.
        weights: (C, d) rows of the linear classifier, in the order of the sorted classes.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and NaN if class means or weights are 0.

    Raises:
        ValueError: if weights do not have one row a class, or an input is malformed.

    Source: Zhu et al., NeurIPS 2021, arXiv:2105.02375, eq. (10).

    Example:
        >>> y = np.arange(30) % 3
        >>> f"{nc3(np.eye(3)[y], y, weights=5 * np.eye(3)):.6f}"
        '0.000000'
    """
    w = matrix(weights, "weights")
    rows = sample(features, labels, blocks=blocks, labelled=True, cost=0.5)
    classes = len(rows.moments.present())
    if w.shape != (classes, rows.d):
        raise ValueError(f"weights has shape {w.shape}; allowed: {(classes, rows.d)}, one row a class")
    return scored(rows, lambda part: _nc3(part, w))


def nc4(
    features: ArrayLike, labels: ArrayLike, *, weights: ArrayLike, bias: ArrayLike | None = None, blocks: int | None = None
) -> Estimate:
    """Share of rows on which the classifier and the nearest class mean disagree; unitless, in [0, 1].

    Low: the classifier decides as the nearest class mean does.

    Args:
        features: (n, d) features.
        labels: (n,) classes, which give the means.
        weights: (C, d) rows of the linear classifier, in the order of the sorted classes.
        bias: (C,) intercepts; None is 0.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error.

    Raises:
        ValueError: if weights or bias do not have one row a class, or an input is malformed.

    Source: Papyan, Han and Donoho, PNAS 2020, eq. (NC4).

    Example:
        >>> y = np.arange(30) % 3
        >>> float(nc4(np.eye(3)[y], y, weights=np.eye(3)))
        0.0
    """
    x, w = matrix(features), matrix(weights, "weights")
    _, classes = class_codes(labels, len(x))
    if w.shape != (len(classes), x.shape[1]):
        raise ValueError(f"weights has shape {w.shape}; allowed: {(len(classes), x.shape[1])}, one row a class")
    b = np.zeros(len(w)) if bias is None else vector(bias, "bias", n=len(w))
    return scored(sample(x, labels, blocks=blocks, labelled=True, by_rows=True, cost=1.0), lambda part: _nc4(part, w, b))


def _nc1(rows: Sample) -> tuple[float, str]:
    moments = rows.moments
    means = moments.class_means()
    means = means - means.mean(0)
    within = (moments.scatter() - moments.between()) / moments.n
    _, s, vt = np.linalg.svd(means / np.sqrt(len(means)), full_matrices=False)
    keep = s > 1e-10 * np.sqrt(np.trace(moments.gram()) / moments.n)
    if not keep.any():
        return float("nan"), "no signal: class means do not differ"
    inside = np.einsum("kd,de,ke->k", vt[keep], within, vt[keep], optimize=True)
    return max(float((inside / s[keep] ** 2).sum()) / len(means), 0.0), "ok"


def _simplex(classes: int) -> Array:
    return (np.eye(classes) - 1 / classes) / np.sqrt(max(classes - 1, 1))


def _distance(product: Array, size: float) -> tuple[float, str]:
    norm = float(np.linalg.norm(product))
    if norm <= size:
        return float("nan"), "no signal: class means do not differ, or weights are 0"
    return float(np.linalg.norm(product / norm - _simplex(len(product)))), "ok"


def _nc2(rows: Sample) -> tuple[float, str]:
    means = rows.moments.class_means()
    means = means - means.mean(0)
    return _distance(means @ means.T, 1e-20 * float(np.trace(rows.moments.gram())) / rows.n)


def _nc3(rows: Sample, weights: Array) -> tuple[float, str]:
    means = rows.moments.class_means()
    if len(means) != len(weights):
        return float("nan"), "a class has no rows"
    means = means - means.mean(0)
    size = 1e-10 * np.sqrt(float(np.trace(rows.moments.gram())) / rows.n) * float(np.linalg.norm(weights))
    return _distance(weights @ means.T, size)


def _nc4(rows: Sample, weights: Array, bias: Array) -> tuple[float, str]:
    assert rows.x is not None
    assert rows.codes is not None
    means = rows.moments.class_means()
    x = rows.x - rows.moments.mean
    if len(means) != len(weights):
        return float("nan"), "a class has no rows"
    nearest = np.argmin((means**2).sum(1) - 2 * x @ means.T, axis=1)
    return float(np.mean(nearest != np.argmax(rows.x @ weights.T + bias, axis=1))), "ok"
