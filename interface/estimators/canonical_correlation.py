"""SVCCA and PWCCA: mean canonical correlations of two representations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import EPS, Array, centre, paired, rowwise


def svcca(x: ArrayLike, y: ArrayLike, *, variance: float = 0.99, blocks: int | None = None) -> Estimate:
    """Mean canonical correlation of the principal subspaces that keep `variance`; unitless, in [0, 1].

    High: same subspaces up to any invertible map. Near 1 whatever the features where n is near p + q.

    Args:
        x, y: (n, p) and (n, q) representations of the same rows.
        variance: share of the variance that either side keeps, in (0, 1].
        blocks: blocks of rows for the standard error; None: 24 (none for more than 200 columns), 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and NaN where a representation is constant;
        "saturated" where n is at most the number of directions kept, plus one.

    Raises:
        ValueError: if variance is not in (0, 1] or inputs are malformed.

    Source: Raghu et al., NeurIPS 2017, arXiv:1706.05806, section 2.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> f"{svcca(x, x @ np.array([[1, 2, 0], [0, 1, 0], [1, 0, 3]])):.4f}"
        '1.0000'
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance is {variance}; allowed: a number in (0, 1]")
    a, b = paired(x, y, ("x", "y"))

    def value(rows: np.ndarray) -> float:
        u, v = _basis(a[rows], variance), _basis(b[rows], variance)
        if not u.shape[1] or not v.shape[1]:
            return float("nan")
        return float(np.clip(np.linalg.svd(u.T @ v, compute_uv=False), 0, 1).mean())

    return _estimate(value, a, b, blocks)


def pwcca(x: ArrayLike, y: ArrayLike, *, blocks: int | None = None) -> Estimate:
    """Canonical correlations weighted by how much of x their directions account for; unitless, in [0, 1].

    High: y has what x uses. Not symmetric in x and y, and not quite invariant to rotations of x, whose features it sums.

    Args:
        x, y: (n, p) and (n, q) representations of the same rows.
        blocks: blocks of rows for the standard error; None: 24 (none for more than 200 columns), 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and NaN where a representation is constant;
        "saturated" where n is at most the number of directions, plus one.

    Raises:
        ValueError: if inputs are malformed.

    Source: Morcos, Raghu and Bengio, NeurIPS 2018, arXiv:1806.05759, eq. (2)-(3).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> f"{pwcca(x, 2 * x + 1):.4f}"
        '1.0000'
    """
    a, b = paired(x, y, ("x", "y"))

    def value(rows: np.ndarray) -> float:
        u, v = _basis(a[rows], 1.0), _basis(b[rows], 1.0)
        if not u.shape[1] or not v.shape[1]:
            return float("nan")
        left, rho, _ = np.linalg.svd(u.T @ v, full_matrices=False)
        # |<h_i, x_j>| summed over features j, with h_i = u left_i
        projected = np.abs((u @ left).T @ centre(a[rows])).sum(1)
        return float(np.clip(rho, 0, 1) @ projected / projected.sum())

    return _estimate(value, a, b, blocks)


def _basis(x: Array, variance: float) -> Array:
    """Orthonormal basis (n, r) of the leading principal directions' scores."""
    u, s, _ = np.linalg.svd(centre(x), full_matrices=False)
    offset = float(np.abs(x).max()) * np.sqrt(x.size) * EPS
    keep = s > max(max(x.shape) * EPS * s[0], offset)
    if variance < 1 and keep.any():
        share = np.cumsum(s**2) / np.sum(s**2)
        keep &= np.arange(len(s)) <= np.searchsorted(share, variance)
    return np.asarray(u[:, keep])


def _estimate(value: Callable[[np.ndarray], float], a: Array, b: Array, blocks: int | None) -> Estimate:
    n = len(a)
    point = value(np.arange(n))
    if not np.isfinite(point):
        return Estimate(point, how="plug_in", n=n, status="no signal: a representation is constant")
    chosen = 0 if blocks is None and max(a.shape[1], b.shape[1]) > 200 else blocks
    saturated = n <= min(a.shape[1], b.shape[1]) + 1
    status = "saturated: n is at most the number of directions, plus one" if saturated else "ok"
    return Estimate(point, stderr=rowwise(value, n, chosen), how="plug_in", n=n, status=status)
