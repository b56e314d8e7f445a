"""Procrustes distance: what is left between two representations after the best rotation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, PairedStatistics, centre, jackknife, one_of, paired, rowwise

CONVENTIONS = ("squared", "distance", "angular")


def procrustes(
    x: ArrayLike | PairedStatistics, y: ArrayLike | None = None, *, convention: str = "squared", blocks: int | None = None
) -> Estimate:
    """2 - 2 |X'Y|_*, of centred features of Frobenius norm 1; unitless, in [0, 2].

    Low: equal up to shift, rotation and scale. A metric (as "distance" or "angular"), unlike CKA.

    Args:
        x, y: (n, p) and (n, q) representations of the same rows; or x a PairedStatistics and y None.
        convention: "squared" (as published), "distance" (its root), "angular" (arccos |X'Y|_*, as netrep).
        blocks: blocks of rows for the standard error; None: 24 (none for more than 300 columns), 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and NaN where a representation is constant.

    Raises:
        ValueError: if the convention is unknown or inputs are malformed.

    Source: Ding, Denain and Steinhardt, NeurIPS 2021, arXiv:2108.01661, section 2; Williams et al., NeurIPS 2021.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> bool(procrustes(x, 5 - 2 * x[:, ::-1]) < 1e-12)
        True
    """
    one_of(convention, CONVENTIONS, "convention")
    if isinstance(x, PairedStatistics):
        if y is not None:
            raise ValueError("x is a PairedStatistics: y must be None")
        parts = [x.moments, *x.leave_out()]
        scores = []
        for part in parts:
            xx, yy, xy, _ = part.centred()
            scores.append(_score(xy, float(np.trace(xx)), float(np.trace(yy)), convention))
        return _estimate(scores[0], jackknife(scores[1:]), x.n)
    if y is None:
        raise ValueError("y is None; allowed: (n, q) features of the same rows")
    a, b = paired(x, y, ("x", "y"))

    def on(rows: np.ndarray) -> float:
        u, v = centre(a[rows]), centre(b[rows])
        if len(u) <= min(u.shape[1], v.shape[1]):  # the nuclear norm of X'Y from n x n factors
            u, v = _thin(u), _thin(v)
        return _score(u.T @ v, float((u**2).sum()), float((v**2).sum()), convention)

    value = on(np.arange(len(a)))
    wanted = 0 if not np.isfinite(value) or (blocks is None and min(a.shape[1], b.shape[1], len(a)) > 300) else blocks
    return _estimate(value, rowwise(on, len(a), wanted), len(a))


def _thin(x: Array) -> Array:
    """(n, r) coordinates of the rows in a basis of their span, which is a rotation of x."""
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return u * s


def _score(xy: Array, xx: float, yy: float, convention: str) -> float:
    if xx <= 0 or yy <= 0:
        return float("nan")
    nuclear = min(float(np.linalg.svd(xy / np.sqrt(xx) / np.sqrt(yy), compute_uv=False).sum()), 1.0)
    squared = 2 - 2 * nuclear
    return {"squared": squared, "distance": float(np.sqrt(squared)), "angular": float(np.arccos(nuclear))}[convention]


def _estimate(value: float, stderr: float | None, n: int) -> Estimate:
    status = "ok" if np.isfinite(value) else "no signal: a representation is constant"
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status=status)
