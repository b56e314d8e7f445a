"""Ordinary least squares with cluster-robust errors: for cross-sections, where each model is one row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

RANK = 1e-10  # eigenvalue of what a deletion leaves of X'X = 1: below it there is no fit
CHUNK = 4_000_000  # numbers that the deletions of one pass hold
SMALLEST_VARIANCE = 1e-300  # a fit without residuals has a logarithm


@dataclass(frozen=True, eq=False)
class ClusteredFit:
    """A linear fit whose errors allow any dependence inside clusters.

    Args:
        coefficients: (k,).
        covariance: (k, k) CR1.
        residuals: (n,).
        n_clusters: g; intervals take t with g - 1 degrees of freedom.
        naive_stderr: (k,) standard errors as if rows were independent and equally noisy. Only to be set beside published ones,
            and called naive there: no interval and no p is made of them.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    n_clusters: int
    naive_stderr: np.ndarray

    @property
    def residual_variance(self) -> float:
        return float(self.residuals @ self.residuals / (len(self.residuals) - len(self.coefficients)))

    def contrast(self, weights: np.ndarray) -> tuple[float, float]:
        """Estimate and standard error of weights' coefficients."""
        return float(weights @ self.coefficients), float(np.sqrt(max(weights @ self.covariance @ weights, 0.0)))

    def quantile(self, level: float = 0.95) -> float:
        """Half-width of a two-sided interval, in standard errors."""
        return float(stats.t.ppf((1 + level) / 2, self.n_clusters - 1))


def clustered_fit(design: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> ClusteredFit:
    """Least squares of y on the columns of `design`, with the CR1 covariance over clusters.

    Args:
        design: (n, k), the constant included.
        y: (n,).
        clusters: (n,) integer codes.

    Solved by QR with columns scaled to unit length, never by the normal equations, so that badly conditioned designs keep their
    digits.

    Raises:
        ValueError: if the columns are collinear, or n <= k.

    Source: Liang and Zeger 1986; the factor g/(g-1) (n-1)/(n-k) and t(g-1) as in Cameron and Miller, "A Practitioner's Guide to
        Cluster-Robust Inference", J. Human Resources 2015, section II.

    Example:
        >>> x = np.arange(6.0)
        >>> fit = clustered_fit(np.column_stack([np.ones(6), x]), 2 * x + 1, np.array([0, 0, 1, 1, 2, 2]))
        >>> np.round(fit.coefficients, 9).tolist()
        [1.0, 2.0]
    """
    n, k = design.shape
    coefficients, root = least_squares(design, y)
    g = len(np.unique(clusters))
    bread = root @ root.T
    residuals = y - design @ coefficients
    codes = np.unique(clusters, return_inverse=True)[1]
    scores = np.column_stack([np.bincount(codes, column, g) for column in (design * residuals[:, None]).T])
    factor = g / (g - 1) * (n - 1) / (n - k) if g > 1 else np.nan
    naive = np.sqrt(np.diag(bread) * (residuals @ residuals) / (n - k))
    return ClusteredFit(coefficients, factor * bread @ (scores.T @ scores) @ bread, residuals, g, naive)


def least_squares(design: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k,) coefficients, and a (k, k) root whose product with its transpose is the inverse of design'design.

    Raises:
        ValueError: if the columns are collinear, or n <= k.
    """
    n, k = design.shape
    length = np.sqrt((design**2).sum(0))
    scaled = design / np.where(length > 0, length, 1)
    if n <= k or np.linalg.matrix_rank(scaled) < k:
        raise ValueError(f"clustered_fit: {n} rows do not identify {k} coefficients; give more models, or fewer columns")
    q, r = np.linalg.qr(scaled)
    root = np.linalg.solve(r, np.eye(k)) / length[:, None]
    return np.linalg.solve(r, q.T @ y) / length, root


def jackknife_log_variance(design: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Residual variance, and the delete-one-cluster standard error of its logarithm (nan if a deletion identifies no fit).

    Without cluster g the residual sum of squares is RSS - e_g'e_g - s_g'(X'X - X_g'X_g)^-1 s_g with s_g = X_g'e_g, so that one fit
    is enough.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11; on the log scale, because a variance is
        skewed. The deletion formula: Belsley, Kuh and Welsch, "Regression Diagnostics", 1980, section 2.1.
    """
    fit = clustered_fit(design, y, clusters)
    codes = np.unique(clusters, return_inverse=True)[1]
    g, k, e = fit.n_clusters, design.shape[1], fit.residuals
    basis = np.linalg.qr(design)[0]  # the same fit, and X'X = 1
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    scores, squares = (np.add.reduceat(values[order], first) for values in (basis * e[:, None], e * e))
    left = len(y) - np.bincount(codes) - k
    if (left <= 0).any():
        return fit.residual_variance, float("nan")
    rss = np.empty(g)
    for part in np.array_split(np.arange(g), max(1, g * k * k // CHUNK)):
        rows = np.flatnonzero(np.isin(codes, part)) if len(part) < g else np.arange(len(y))
        outer = np.zeros((len(part), k, k))
        np.add.at(outer, codes[rows] - part[0], basis[rows, :, None] * basis[rows, None, :])
        remaining = np.eye(k) - outer
        if (np.linalg.eigvalsh(remaining)[:, 0] <= RANK).any():
            return fit.residual_variance, float("nan")
        moved = np.linalg.solve(remaining, scores[part][..., None])[..., 0]
        rss[part] = e @ e - squares[part] - (scores[part] * moved).sum(1)
    logs = np.log(np.maximum(rss / left, SMALLEST_VARIANCE))
    return fit.residual_variance, float(np.sqrt((g - 1) * np.var(logs)))
