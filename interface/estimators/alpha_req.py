"""alpha-ReQ: how fast the eigenvalues of the features' covariance decay, as a power law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Sample, Statistics, one_of, sample, scored, spectrum, variances

CONVENTIONS = ("least_squares", "stringer")
FIRST = 3  # the leading eigenvalues rarely lie on the law


@dataclass(frozen=True)
class PowerLaw:
    """Least-squares line of ln(eigenvalue) on ln(index).

    Args:
        alpha: minus the slope.
        fit_stderr: standard error of the slope as if residuals were independent, which those of eigenvalues are not.
        r_squared: share of the variance of ln(eigenvalue) that the line explains.
        first, last: the range of indices, from 1, both included.
        status: "ok", or why there is no line.
    """

    alpha: float
    fit_stderr: float | None
    r_squared: float
    first: int
    last: int
    status: str


def alpha_req(
    features: ArrayLike | Statistics,
    *,
    first: int | None = None,
    last: int | None = None,
    convention: str = "least_squares",
    blocks: int | None = None,
) -> Estimate:
    """Exponent alpha of eigenvalue_j ~ j^-alpha of the centred covariance; unitless, >= 0.

    Not monotone: near 1 is held to be best; small is white noise, large is collapse. Regress transfer on
    |alpha - 1| or a quadratic. Very dependent on the range of j: state it.

    Args:
        features: (n, d) representation, or Statistics.
        first: first index j of the fit, from 1; None is 3 (1 where fewer than 8 eigenvalues are positive).
        last: last index j, included; None is min(n, d) / 2, cut at the numerical rank.
        convention: "least_squares" weighs all indices alike; "stringer" weighs j by 1/j (in float32, as published).
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block *sampling* standard error; `power_law` gives the fit's own, R^2 and range. The
        range is cut at the numerical rank, so that round-off never enters; "too few eigenvalues" and NaN where fewer
        than two are left. A status says so where a Statistics lost eigenvalues in the range.

    Raises:
        ValueError: if features are malformed or the range is empty.

    Source: Agrawal et al., "alpha-ReQ", NeurIPS 2022, section 3; weights: Stringer et al., Nature 571, 2019, methods.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(5000, 40)) * np.arange(1, 41) ** -0.5
        >>> bool(0.9 < alpha_req(x) < 1.1)
        True
    """
    _check_range(first, last, convention)
    rows = sample(features, blocks=blocks, cost=4.0)

    def value(part: Sample) -> tuple[float, str]:
        law = _law(part, first, last, convention)
        return law.alpha, law.status

    return scored(rows, value)


def power_law(
    features: ArrayLike | Statistics, *, first: int | None = None, last: int | None = None, convention: str = "least_squares"
) -> PowerLaw:
    """The fit behind `alpha_req`: exponent, its fit error, R^2 and the range used.

    Args:
        features: (n, d) representation, or Statistics.
        first, last, convention: as in `alpha_req`.

    Example:
        >>> x = np.diag(np.arange(1.0, 11) ** -1.0)
        >>> law = power_law(np.vstack([x, -x]), first=1, last=10)
        >>> f"{law.alpha:.6f} {law.r_squared:.6f}"
        '2.000000 1.000000'
    """
    _check_range(first, last, convention)
    return _law(sample(features, blocks=0), first, last, convention)


def _check_range(first: int | None, last: int | None, convention: str) -> None:
    one_of(convention, CONVENTIONS, "convention")
    low = 1 if first is None else first
    if low < 1 or (last is not None and last < low + 1):
        raise ValueError(f"first is {first!r} and last is {last!r}; allowed: 1 <= first < last")


def _law(rows: Sample, first: int | None, last: int | None, convention: str) -> PowerLaw:
    half = max(2, min(rows.n, rows.d) // 2) if last is None else last
    upto = min(half, rows.n, rows.d)

    def effect(singular: Array, error: Array) -> float:
        """Largest relative error of an eigenvalue in the range."""
        used = np.minimum(np.arange(1, len(singular) + 1), upto) == np.arange(1, len(singular) + 1)
        return float(np.max(np.where(used, 2 * error / np.maximum(singular, 1e-300), 0.0))) if singular[0] > 0 else 0.0

    found = spectrum(rows, centred=True, effect=effect)
    eigenvalues = variances(found, rows.n)
    positive = int(np.sum(eigenvalues > 0))
    low = first if first is not None else (FIRST if positive >= 8 else 1)
    high = min(half, positive)
    if high < low + 1:
        return PowerLaw(float("nan"), None, float("nan"), low, high, "too few eigenvalues above the numerical rank in the range")
    j = np.arange(low, high + 1)
    x, y = np.log(j), np.log(eigenvalues[low - 1 : high])
    w = (1.0 / j.astype(np.float32)).astype(np.float64) if convention == "stringer" else np.ones(len(j))
    xc, yc = x - np.average(x, weights=w), y - np.average(y, weights=w)
    sxx, syy = float(w @ xc**2), float(w @ yc**2)
    slope = float(w @ (xc * yc)) / sxx
    left = float(w @ (yc - slope * xc) ** 2)
    error = float(np.sqrt(left / (len(j) - 2) / sxx)) if len(j) > 2 else None
    return PowerLaw(-slope, error, 1 - left / syy if syy > 0 else 1.0, low, high, found.status)
