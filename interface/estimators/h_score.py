"""H-score: variance of the class means in units of the features' own covariance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Sample, Statistics, centre, class_codes, matrix, one_of, project, sample, scored

CONVENTIONS = ("pseudo_inverse", "tllib", "google", "pactran")


def h_score(
    features: ArrayLike | Statistics,
    labels: ArrayLike | None = None,
    *,
    convention: str = "pseudo_inverse",
    blocks: int | None = None,
) -> Estimate:
    """tr(cov(f)^-1 cov(E[f|y])), unitless, in [0, min(rank of the features, C - 1)].

    High: classes are told apart linearly. 0: all class means are equal. Invariant to invertible affine maps.

    Args:
        features: (n, d) features, or Statistics that saw labels.
        labels: (n,) classes; classes without rows are harmless.
        convention: "pseudo_inverse" inverts on the numerical range of the covariance. "tllib" cuts at 1e-15 of the
            largest singular value, which inverts round-off in rank-deficient features; "google" multiplies element by
            element instead of as matrices, which is another quantity unless the covariance is diagonal; "pactran"
            adds 1e-6 to the diagonal of the scatter matrices and changes the sign.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error. Status "saturated: ..." where centred features have rank n - 1,
        so that the value is C - 1 whatever the labels; "no signal" and 0 if no feature varies; "one class" and 0.

    Raises:
        ValueError: if labels are missing or an input is malformed.

    Source: Bao et al., "An Information-Theoretic Approach to Transferability", ICIP 2019, section 3.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(3, size=400)
        >>> noise = rng.normal(size=(400, 5))
        >>> bool(h_score(noise, y) < 0.2), bool(1.8 < h_score(noise + 9 * np.eye(5)[y], y) <= 2)
        (True, True)
    """
    one_of(convention, CONVENTIONS, "convention")
    if convention != "pseudo_inverse":
        return _published(features, labels, convention)
    return scored(sample(features, labels, blocks=blocks, labelled=True), _value)


def _value(rows: Sample) -> tuple[float, str]:
    found = project(rows, centred=True)
    value = float((found.squared / found.total).sum())
    if len(found.total) < 2:
        return 0.0, "one class"
    if len(found.sigma) == 0:
        return 0.0, "no signal"
    if len(found.sigma) >= rows.n - 1:
        return value, "saturated: n <= d + 1, so the value is C - 1 whatever the labels"
    return value, found.status


def _published(features: ArrayLike | Statistics, labels: ArrayLike | None, convention: str) -> Estimate:
    if isinstance(features, Statistics):
        raise ValueError(f"features is a Statistics; convention={convention!r} needs the rows")
    x = matrix(features, min_rows=2)
    codes, _ = class_codes(labels, len(x))  # type: ignore[arg-type]
    covariance, between = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(_means_by_row(x, codes).T))
    if convention == "tllib":
        value = np.trace(np.linalg.pinv(covariance, rcond=1e-15) @ between)
    elif convention == "google":
        value = np.trace(np.linalg.pinv(covariance, rcond=1e-5) * between)
    else:
        ridge, n = 1e-6 * np.eye(x.shape[1]), len(x)
        x, means = centre(x), centre(_means_by_row(x, codes))
        value = -np.trace(np.linalg.pinv(x.T @ x / n + ridge / n) @ (means.T @ means / n + ridge / n))
    return Estimate(float(value), how="plug_in", n=len(x), status="ok")


def _means_by_row(x: Array, codes: np.ndarray) -> Array:
    """(n, d) each row replaced by the mean of its class."""
    means = np.stack([x[codes == c].mean(0) for c in range(int(codes.max()) + 1)])
    return means[codes]
