"""Intrinsic dimension from ratios of nearest-neighbour distances: 2NN, Gride and a scan of scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, matrix, neighbour_dependence, one_of

CONVENTIONS = ("facco", "maximum_likelihood")
FEW = "fewer than 3 distinct rows"


@dataclass(frozen=True)
class Scale:
    """Intrinsic dimension at one scale.

    Args:
        neighbours: n1 of Gride, which compares the distances to neighbours n1 and 2 n1.
        distance: mean distance to neighbour 2 n1, in the features' units.
        dimension: the estimate.
    """

    neighbours: int
    distance: float
    dimension: Estimate


def two_nn(features: ArrayLike, *, convention: str = "facco", keep: float = 0.9) -> Estimate:
    """Dimension of the manifold near which rows lie, from r2 / r1; unitless, > 0.

    High: many local directions, noise included: at the smallest scale noise counts. See `dimension_scan`.

    Args:
        features: (n, d) features; repeated rows are dropped.
        convention: "facco": line through the origin of -ln(1 - F) on ln(r2 / r1), largest ratios left out;
            "maximum_likelihood": (n - 1) / sum of ln(r2 / r1), unbiased.
        keep: share of the ratios that "facco" fits.

    Returns:
        Estimate with the model's standard error (value / sqrt(n) for "maximum_likelihood", simulated for "facco"),
        widened for rows that are each other's neighbours. NaN with a
        status for fewer than 3 distinct rows, infinite with a status where all ratios are 1.

    Raises:
        ValueError: if keep is not in (0, 1], the convention is unknown, or features are malformed.

    Source: Facco et al., Scientific Reports 7, 2017; likelihood: Denti et al., Scientific Reports 12, 2022, eq. (5).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> square, line = rng.uniform(size=(1500, 2)), rng.uniform(size=(1500, 1)) * np.arange(1, 8)
        >>> bool(abs(two_nn(square) - 2) < 0.2), bool(abs(two_nn(line) - 1) < 0.1)
        (True, True)
    """
    one_of(convention, CONVENTIONS, "convention")
    if not 0 < keep <= 1:
        raise ValueError(f"keep is {keep}; allowed: a number in (0, 1]")
    x = _distinct(matrix(features))
    n = len(x)
    if n < 3:
        return Estimate(float("nan"), how="plug_in", n=n, status=FEW)

    near, who = _neighbours(x, 2)
    logs = np.log(near[:, 1] / near[:, 0])
    if not logs.any():
        return Estimate(float("inf"), how="plug_in", n=n, status="unbounded: first and second neighbours are equally far")
    spread = neighbour_dependence(logs - logs.mean(), who)
    if convention == "maximum_likelihood":
        value = float((n - 1) / logs.sum())
        return Estimate(value, stderr=value / float(np.sqrt(n)) * spread, how="plug_in", n=n)
    value = float(_line(logs[None], keep)[0])
    if not np.isfinite(value):
        return Estimate(value, how="plug_in", n=n, status="unbounded: first and second neighbours are equally far")
    # under the model ln(r2 / r1) is exponential, and the fit's relative error does not depend on the dimension
    m = min(n, 1000)
    simulated = _line(np.random.default_rng(0).exponential(size=(400, m)), keep)
    relative = float(simulated.std() / simulated.mean()) * np.sqrt(m / n)
    return Estimate(value, stderr=value * float(relative) * spread, how="plug_in", n=n)


def _line(logs: Array, keep: float) -> Array:
    """(r,) slopes through the origin of -ln(1 - F) on the sorted rows of logs (r, m), largest ones left out."""
    logs = np.sort(logs, axis=1)
    m = logs.shape[1]
    used = min(max(2, int(m * keep)), m - 1)  # the last one has F = 1
    curve = -np.log1p(-np.arange(1, used + 1) / m)
    squares = (logs[:, :used] ** 2).sum(1)
    with np.errstate(divide="ignore"):
        return np.asarray((logs[:, :used] @ curve) / squares)


def gride(features: ArrayLike, *, n1: int = 1, n2: int | None = None) -> Estimate:
    """Maximum likelihood dimension from the ratio of the distances to neighbours n2 and n1; unitless, > 0.

    High: many local directions at the scale of neighbour n2. n1 = 1, n2 = 2 is 2NN by maximum likelihood.

    Args:
        features: (n, d) features; repeated rows are dropped.
        n1: the nearer neighbour, >= 1.
        n2: the farther one; None is 2 n1, at most n - 1.

    Returns:
        Estimate with the standard error of the Fisher information, widened for the neighbours that
        rows share. NaN with a status for too few distinct rows, infinite with a status where all ratios are 1.

    Raises:
        ValueError: if 1 <= n1 < n2 does not hold, or features are malformed.

    Source: Denti et al., "The generalized ratios intrinsic dimension estimator", Scientific Reports 12, 2022, eq. (8).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(1500, 3))
        >>> bool(2.6 < gride(x, n1=2) < 3.3)
        True
    """
    far = 2 * n1 if n2 is None else n2
    if not 1 <= n1 < far:
        raise ValueError(f"n1 is {n1} and n2 is {far}; allowed: 1 <= n1 < n2")
    x = _distinct(matrix(features))
    if len(x) <= far:
        return Estimate(float("nan"), how="plug_in", n=len(x), status=f"only {len(x)} distinct rows for neighbour {far}")
    return _gride(*_neighbours(x, far), n1, far)


def dimension_scan(features: ArrayLike, *, largest: int = 64) -> list[Scale]:
    """Gride at n1 = 1, 2, 4, ...: dimension against scale; a plateau is the dimension, a fall from small n1 is noise.

    Args:
        features: (n, d) features; repeated rows are dropped.
        largest: largest n1, cut so that 2 n1 < n.

    Returns:
        One Scale an n1; empty for fewer than 3 distinct rows.

    Raises:
        ValueError: if largest < 1 or features are malformed.

    Source: Denti et al., Scientific Reports 12, 2022, section "scale"; as DADApy's return_id_scaling_gride.

    Example:
        >>> [scale.neighbours for scale in dimension_scan(np.random.default_rng(0).normal(size=(100, 2)), largest=8)]
        [1, 2, 4, 8]
    """
    if largest < 1:
        raise ValueError(f"largest is {largest}; allowed: a number >= 1")
    x = _distinct(matrix(features))
    scales = [2**i for i in range(largest.bit_length()) if 2**i <= largest and 2 ** (i + 1) < len(x)]
    if not scales:
        return []
    near, who = _neighbours(x, 2 * scales[-1])
    return [Scale(n1, float(near[:, 2 * n1 - 1].mean()), _gride(near, who, n1, 2 * n1)) for n1 in scales]


def _distinct(x: Array) -> Array:
    x = x - x[0]
    size = float(np.abs(x).max())
    return np.unique(x / size, axis=0) * size if size > 0 else x[:1]


def _neighbours(x: Array, k: int) -> tuple[Array, np.ndarray]:
    """(n, k) distances to the k nearest other rows, and which they are."""
    from scipy.spatial import cKDTree  # here, because it costs import time

    unit = float(np.abs(x).max())
    found, who = cKDTree(x / unit).query(x / unit, k=k + 1)
    return np.maximum(np.asarray(found)[:, 1:], np.finfo(float).tiny) * unit, np.asarray(who)[:, 1:]


def _gride(near: Array, who: np.ndarray, n1: int, n2: int) -> Estimate:
    """Golden section on the log likelihood, which has one interior maximum."""
    from scipy.special import gammaln  # here, because it costs import time

    n = len(near)
    logs = np.log(near[:, n2 - 1] / near[:, n1 - 1])
    if not logs.any():
        return Estimate(float("inf"), how="plug_in", n=n, status=f"unbounded: neighbours {n1} and {n2} are equally far")
    order = n2 - n1 - 1

    def likelihood(d: float) -> float:
        total = n * np.log(d) - ((n2 - 1) * d + 1) * logs.sum() - n * (gammaln(n2 - n1) + gammaln(n1) - gammaln(n2))
        if order:
            positive = np.maximum(logs, 1e-12)
            total += order * (d * positive + np.log1p(-np.exp(-d * positive))).sum()
        return float(total)

    low, high = np.log(1e-3), np.log(1e4)
    ratio = (np.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    fa, fb = likelihood(np.exp(a)), likelihood(np.exp(b))
    for _ in range(80):
        if fa < fb:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = likelihood(np.exp(b))
        else:
            high, b, fb = b, a, fa
            a = high - ratio * (high - low)
            fa = likelihood(np.exp(a))
    d = float(np.exp(0.5 * (low + high)))
    h = 1e-3 * d
    information = -(likelihood(d + h) - 2 * likelihood(d) + likelihood(d - h)) / h**2
    score = -(n2 - 1) * logs + (order * logs / np.expm1(np.maximum(d * logs, 1e-12)) if order else 0.0)
    score = score + order * logs
    spread = neighbour_dependence(score - score.mean(), who[:, :n2])
    stderr = spread / float(np.sqrt(information)) if information > 0 else None
    return Estimate(d, stderr=stderr, how="plug_in", n=n)
