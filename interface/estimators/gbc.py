"""GBC: how much Gaussian class clouds overlap, pair by pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Sample, Statistics, centre, one_of, positive, sample, scored

CONVENTIONS = ("paper", "google", "secret_hammer")


def gbc(
    features: ArrayLike | Statistics,
    labels: ArrayLike | None = None,
    *,
    covariance: str = "spherical",
    convention: str = "paper",
    components: int | None = None,
    floor: float = 1e-4,
    blocks: int | None = None,
) -> Estimate:
    """Minus the Bhattacharyya coefficients exp(-D_B), summed over ordered pairs of classes; in [-C(C - 1), 0].

    High (near 0): classes do not overlap.

    Args:
        features: (n, d) features, or Statistics that saw labels.
        labels: (n,) classes; classes without rows count nothing.
        covariance: of a class, "spherical" (mean variance) or "diagonal".
        convention: "paper" takes the log-determinant of the d-dimensional covariance. All public codes take the
            logarithm of the one spherical variance once, not d times: "google" (variances divided by n_c) and
            "secret_hammer" (by n_c - 1; a class of one row takes the floor).
        components: project on so many principal components first (paper: 64); needs rows.
        floor: smallest variance, in the features' squared units; 1e-4 in all public codes.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "one class" and 0 where there is no pair.

    Raises:
        ValueError: if labels are missing, an option is unknown, components are asked of a Statistics, or an input is
            malformed.

    Source: Pandy et al., "Transferability Estimation using Bhattacharyya Class Separability", CVPR 2022,
        arXiv:2111.12780, eq. (3)-(5).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(2, size=300)
        >>> noise = rng.normal(size=(300, 2))
        >>> bool(-2 <= gbc(noise, y) < gbc(noise + 3 * np.eye(2)[y], y) <= 0)
        True
    """
    one_of(convention, CONVENTIONS, "convention")
    one_of(covariance, ("spherical", "diagonal"), "covariance")
    positive(floor, "floor")
    if components is not None:
        if isinstance(features, Statistics):
            raise ValueError("components needs rows; features is a Statistics")
        if components < 1:
            raise ValueError(f"components is {components}; allowed: None or a number >= 1")
    rows = sample(features, labels, blocks=blocks, labelled=True, by_rows=components is not None, cost=1.0)
    return scored(rows, lambda part: _value(part, covariance, convention, components, floor))


def _value(rows: Sample, covariance: str, convention: str, components: int | None, floor: float) -> tuple[float, str]:
    if components is not None:
        assert rows.x is not None
        x = centre(rows.x)
        _, vectors = np.linalg.eigh(x.T @ x)
        rows = sample(x @ vectors[:, ::-1][:, :components], rows.codes, blocks=0, labelled=True)
    counts, means, variances = rows.moments.class_counts(), rows.moments.class_means(), rows.moments.class_variances()
    if len(counts) < 2:
        return 0.0, "one class"
    if convention == "secret_hammer":
        variances = variances * (counts / np.maximum(counts - 1, 1))[:, None]
    variances = np.maximum(variances, floor)  # the public codes floor each coordinate's variance, then average
    variances = variances.mean(1, keepdims=True) if covariance == "spherical" else variances
    times = rows.d if covariance == "spherical" and convention == "paper" else 1
    overlap = sum(_overlaps(c, means, variances, times) for c in range(len(counts)))
    return -2.0 * float(overlap), "ok"


def _overlaps(c: int, means: Array, variances: Array, times: int) -> float:
    """Sum over later classes of exp(-D_B) to class c."""
    middle = 0.5 * (variances[c] + variances[c + 1 :])
    quadratic = ((means[c] - means[c + 1 :]) ** 2 / middle).sum(1) / 8
    own = np.log(variances)
    logs = (np.log(middle) - 0.5 * (own[c] + own[c + 1 :])).sum(1)
    return float(np.exp(-quadratic - 0.5 * times * logs).sum())
