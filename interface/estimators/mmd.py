"""Maximum mean discrepancy between two samples, squared and unbiased."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, one_of, positive, two_samples

KERNELS = ("rbf", "polynomial")
CONVENTIONS = ("unbiased", "tllib")


def mmd(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kernel: str = "rbf",
    bandwidth: float | Sequence[float] = 1.0,
    reference: str = "median",
    degree: int = 3,
    convention: str = "unbiased",
) -> Estimate:
    """Unbiased squared MMD; in kernel units ("rbf": in about [-0.1, 2]), negative by chance where samples agree.

    High: the distributions differ in what the kernel sees. Test against 0 by `permutation_test(..., null="domains")`.

    Args:
        x, y: (m, d) and (n, d) samples.
        kernel: "rbf", exp(-|x - y|^2 / (2 s2)), or "polynomial", (x'y / d + 1)^degree (KID; not shift-invariant).
        bandwidth: s2 in units of the reference; several are summed, as kernels.
        reference: "median" (of the pooled squared distances between different rows), "mean" (of all pooled pairs,
            zeros included, as tllib), or "absolute" (1).
        degree: of "polynomial".
        convention: "unbiased"; "tllib" adds 2 / (n - 1) once, whatever the number of kernels (needs m = n); its
            bandwidths are those of reference="mean".

    Returns:
        Estimate with a delete-one jackknife standard error, n the smaller sample. It is too large where both
        distributions agree (a degenerate U-statistic): test there. "no signal" and 0 where all rows are equal.

    Raises:
        ValueError: if an option is unknown, a bandwidth is not positive, m != n for "tllib", or inputs are malformed.

    Source: Gretton et al., "A kernel two-sample test", JMLR 2012, eq. (3); KID: Binkowski et al., ICLR 2018.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(80, 2)), rng.normal(size=(90, 2))
        >>> bool(abs(mmd(a, b)) < 0.05), bool(mmd(a, b + 2) > 0.3)
        (True, True)
    """
    one_of(kernel, KERNELS, "kernel")
    one_of(reference, ("median", "mean", "absolute"), "reference")
    one_of(convention, CONVENTIONS, "convention")
    widths = [positive(float(b), "bandwidth") for b in (bandwidth if isinstance(bandwidth, Sequence) else [bandwidth])]
    a, b = two_samples(x, y, ("x", "y"))
    m, n = len(a), len(b)
    if convention == "tllib" and m != n:
        raise ValueError(f"x and y have {m} and {n} rows; convention='tllib' needs equal numbers")
    pooled = np.concatenate([a, b])
    if kernel == "polynomial":
        gram = (pooled @ pooled.T / pooled.shape[1] + 1) ** degree
    else:
        distance = _squared(pooled)
        if reference == "absolute":
            unit = 1.0
        else:
            unit = float(np.median(distance[~np.eye(m + n, dtype=bool)]) if reference == "median" else distance.mean())
        if unit == 0:
            unit = float(distance.max())
        if unit == 0:
            return Estimate(0.0, stderr=0.0, how="plug_in", n=min(m, n), status="no signal: all rows are equal")
        gram = np.zeros_like(distance)
        for width in widths:
            gram += np.exp(-distance / (2 * width * unit))
    kxx, kyy, kxy = gram[:m, :m].copy(), gram[m:, m:].copy(), gram[:m, m:].copy()
    np.fill_diagonal(kxx, 0.0)
    np.fill_diagonal(kyy, 0.0)
    within = kxx.sum() / (m * (m - 1)) + kyy.sum() / (n * (n - 1))
    offset = 2 / (n - 1) if convention == "tllib" else 0.0
    value = within - 2 * kxy.mean() + offset
    return Estimate(float(value), stderr=_jackknife(kxx, kyy, kxy), how="plug_in", n=min(m, n))


def _squared(x: Array) -> Array:
    x = x - x.mean(0)
    squares = (x**2).sum(1)
    distance = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0.0)
    np.fill_diagonal(distance, 0.0)
    return distance


def _jackknife(kxx: Array, kyy: Array, kxy: Array) -> float | None:
    m, n = kxy.shape
    if min(m, n) < 3:
        return None
    sx, sy, sxy = kxx.sum(), kyy.sum(), kxy.sum()
    without_x = (sx - 2 * kxx.sum(1)) / ((m - 1) * (m - 2)) - 2 * (sxy - kxy.sum(1)) / ((m - 1) * n)
    without_y = (sy - 2 * kyy.sum(1)) / ((n - 1) * (n - 2)) - 2 * (sxy - kxy.sum(0)) / ((n - 1) * m)
    return float(np.sqrt((m - 1) * without_x.var() + (n - 1) * without_y.var()))
