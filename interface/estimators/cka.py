"""Centred kernel alignment: similarity of two representations of the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import BLOCKS, Array, PairedMoments, PairedStatistics, centre, jackknife, one_of, paired, positive
from interface.estimators._base import kept_rows as kept

CONVENTIONS = ("kornblith", "jayroxis", "netrep")
DEGENERATE = "no signal: a representation is constant"
NEGATIVE = "a debiased self-similarity is not positive: n is too small"


def cka(
    x: ArrayLike | PairedStatistics,
    y: ArrayLike | None = None,
    *,
    kernel: str = "linear",
    debiased: bool = False,
    bandwidth: float = 1.0,
    convention: str = "kornblith",
    blocks: int | None = None,
) -> Estimate:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)); unitless, in [0, 1], or at most 1 and possibly < 0 if debiased.

    High: same geometry up to rotation and scale. Biased CKA of independent features is far above 0 where n is not
    much larger than d (0.65 at n = 50, d = 100): report the debiased one, with `permutation_test`.

    Args:
        x, y: (n, p) and (n, q) representations of the same rows; or x a PairedStatistics and y None (linear only,
            memory (p + q)^2 whatever n).
        kernel: "linear" or "rbf".
        debiased: use unbiased HSIC (U-centred Gram matrices) in all three places.
        bandwidth: of "rbf", in units of the root of the median squared distance.
        convention: "kornblith": median over all squared distances, zeros of the diagonal included; "jayroxis":
            over the nonzero ones; "netrep": arccos of the linear value, a distance in [0, pi/2], low is similar.
        blocks: blocks of rows for the standard error; None: 24 (fewer rows: one each), 0: none.

    Returns:
        Estimate with a delete-a-block standard error. NaN with a status where a representation is constant, where a
        debiased self-similarity is not positive, and for fewer than 2 (debiased: 4) rows.

    Raises:
        ValueError: if an option is unknown or does not fit, or inputs are malformed.

    Source: Kornblith et al., ICML 2019, arXiv:1905.00414, eq. (3)-(5); unbiased HSIC: Song et al., 2007;
        debiasing in feature space: Szekely and Rizzo, 2014, with row norms only.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> rotation = np.linalg.qr(np.arange(16.0).reshape(4, 4) ** 2 % 7)[0]
        >>> f"{cka(x, 3 * x @ rotation):.6f}"
        '1.000000'
    """
    one_of(convention, CONVENTIONS, "convention")
    one_of(kernel, ("linear", "rbf"), "kernel")
    positive(bandwidth, "bandwidth")
    angular = convention == "netrep"
    if angular and kernel != "linear":
        raise ValueError("convention='netrep' is defined for kernel='linear' only")
    if isinstance(x, PairedStatistics):
        if y is not None or kernel != "linear":
            raise ValueError("x is a PairedStatistics: y must be None and kernel linear")
        return _from_statistics(x, debiased, angular)
    if y is None:
        raise ValueError("y is None; allowed: (n, q) features of the same rows")
    a, b = paired(x, y, ("x", "y"))
    n = len(a)
    if n < (4 if debiased else 2):
        return Estimate(float("nan"), how="plug_in", n=n, status="too few rows")
    g = min(n, BLOCKS if blocks is None else blocks)
    if kernel == "linear" and n > a.shape[1] + b.shape[1]:
        return _from_statistics(PairedStatistics(blocks=g if g >= 2 else 0).add(a, b), debiased, angular)
    linear = kernel == "linear"
    grams = [_linear(m) if linear else _rbf(m, bandwidth, convention) for m in (a, b)]
    value, status = _ratio(grams[0], grams[1], debiased)
    replicates = []
    if g >= 2 and n >= 8 and np.isfinite(value):
        replicates = [_angle(_ratio(grams[0][np.ix_(k, k)], grams[1][np.ix_(k, k)], debiased)[0], angular) for k in kept(n, g)]
    return Estimate(_angle(value, angular), stderr=jackknife(replicates), how="plug_in", n=n, status=status)


def minibatch_cka(x: ArrayLike, y: ArrayLike, *, batch: int) -> Estimate:
    """Linear CKA from unbiased HSIC averaged over consecutive batches of rows; unitless, at most 1, possibly < 0.

    High: same geometry up to rotation and scale. Its limit for many batches is the debiased CKA of the population.

    Args:
        x, y: (n, p) and (n, q) representations of the same rows, in random order.
        batch: rows a batch, at least 4; a last, smaller batch is left out.

    Returns:
        Estimate with a delete-a-batch standard error, n the number of rows used. NaN with a status where an averaged
        self-similarity is not positive.

    Raises:
        ValueError: if batch is not in [4, n] or inputs are malformed.

    Source: Nguyen, Raghu and Kornblith, ICLR 2021, arXiv:2010.15327, eq. (2)-(3).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> f"{minibatch_cka(x, -2 * x, batch=20):.6f}"
        '1.000000'
    """
    a, b = paired(x, y, ("x", "y"))
    if not 4 <= batch <= len(a):
        raise ValueError(f"batch is {batch}; allowed: 4 to {len(a)}")
    count = len(a) // batch
    sums = np.empty((count, 3))
    for i in range(count):
        rows = slice(i * batch, (i + 1) * batch)
        k, m = centre(a[rows]), centre(b[rows])
        k, m = k @ k.T, m @ m.T
        sums[i] = _hsic(k, m, True), _hsic(k, k, True), _hsic(m, m, True)
    value, status = _quotient(*sums.mean(0))
    replicates = [_quotient(*np.delete(sums, i, 0).mean(0))[0] for i in range(count)] if count > 1 else []
    return Estimate(value, stderr=jackknife(replicates), how="plug_in", n=count * batch, status=status)


def _angle(value: float, angular: bool) -> float:
    return float(np.arccos(np.clip(value, -1.0, 1.0))) if angular and np.isfinite(value) else value


def _linear(x: Array) -> Array:
    x = centre(x)
    return x @ x.T


def _rbf(x: Array, bandwidth: float, convention: str) -> Array:
    x = centre(x)
    squares = (x**2).sum(1)
    distance = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0.0)
    distance[np.diag_indices(len(x))] = 0.0
    if convention == "jayroxis":
        nonzero = distance[distance != 0]
        median = float(np.median(nonzero)) if nonzero.size else 0.0
    else:
        median = float(np.median(distance))
    return np.ones_like(distance) if median == 0 else np.exp(-distance / (2 * bandwidth**2 * median))


def _hsic(k: Array, m: Array, debiased: bool) -> float:
    """HSIC up to a factor that cancels in the ratio."""
    n = len(k)
    if not debiased:
        kc = k - k.mean(0) - k.mean(1)[:, None] + k.mean()
        return float((kc * m).sum())
    k, m = k - np.diag(np.diagonal(k)), m - np.diag(np.diagonal(m))
    kr, mr = k.sum(0), m.sum(0)
    return float((k * m).sum() + kr.sum() * mr.sum() / ((n - 1) * (n - 2)) - 2 * kr @ mr / (n - 2))


def _ratio(k: Array, m: Array, debiased: bool) -> tuple[float, str]:
    k, m = k / (np.abs(k).max() or 1.0), m / (np.abs(m).max() or 1.0)
    if max(float(np.ptp(k)), 0.0) == 0 or max(float(np.ptp(m)), 0.0) == 0:
        return float("nan"), DEGENERATE
    return _quotient(_hsic(k, m, debiased), _hsic(k, k, debiased), _hsic(m, m, debiased))


def _quotient(xy: float, xx: float, yy: float) -> tuple[float, str]:
    if not (xx > 0 and yy > 0):
        return float("nan"), NEGATIVE
    return float(xy / np.sqrt(xx) / np.sqrt(yy)), "ok"


def _from_statistics(statistics: PairedStatistics, debiased: bool, angular: bool) -> Estimate:
    value, status = _from_moments(statistics.moments, debiased)
    replicates = [_angle(_from_moments(part, debiased)[0], angular) for part in statistics.leave_out()]
    stderr = jackknife(replicates) if np.isfinite(value) else None
    return Estimate(_angle(value, angular), stderr=stderr, how="plug_in", n=statistics.n, status=status)


def _from_moments(moments: PairedMoments, debiased: bool) -> tuple[float, str]:
    n = moments.n
    if n < (4 if debiased else 2):
        return float("nan"), "too few rows"
    xx, yy, xy, norms = moments.centred()
    tx, ty = float(np.trace(xx)), float(np.trace(yy))
    if not (tx > 1e-26 * n * float(moments.pivot[: moments.p] @ moments.pivot[: moments.p])) or not (
        ty > 1e-26 * n * float(moments.pivot[moments.p :] @ moments.pivot[moments.p :])
    ):
        return float("nan"), DEGENERATE
    # in units of the traces, so that extreme scales neither overflow nor vanish
    values = [((xy / np.sqrt(tx) / np.sqrt(ty)) ** 2).sum(), ((xx / tx) ** 2).sum(), ((yy / ty) ** 2).sum()]
    if debiased:
        rows = [norms[0, 1] / tx / ty, norms[0, 0] / tx**2, norms[1, 1] / ty**2]
        values = [v - n / (n - 2) * r + 1 / ((n - 1) * (n - 2)) for v, r in zip(values, rows, strict=True)]
    return _quotient(*(float(v) for v in values))
