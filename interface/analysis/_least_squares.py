"""Ordinary least squares with cluster-robust errors: for cross-sections, where each model is one row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, eq=False)
class ClusteredFit:
    """A linear fit whose errors allow any dependence inside clusters.

    Args:
        coefficients: (k,).
        covariance: (k, k) CR1.
        residuals: (n,).
        n_clusters: g; intervals take t with g - 1 degrees of freedom.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    n_clusters: int

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
    if n <= k or np.linalg.matrix_rank(design) < k:
        raise ValueError(f"clustered_fit: {n} rows do not identify {k} coefficients; give more models, or fewer columns")
    g = len(np.unique(clusters))
    bread = np.linalg.inv(design.T @ design)
    coefficients = bread @ (design.T @ y)
    residuals = y - design @ coefficients
    codes = np.unique(clusters, return_inverse=True)[1]
    scores = np.zeros((g, k))
    np.add.at(scores, codes, design * residuals[:, None])
    factor = g / (g - 1) * (n - 1) / (n - k) if g > 1 else np.nan
    return ClusteredFit(coefficients, factor * bread @ (scores.T @ scores) @ bread, residuals, g)


def jackknife_log_variance(design: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Residual variance, and the delete-one-cluster standard error of its logarithm (nan if a deletion identifies no fit).

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11; on the log scale, because a variance is
        skewed.
    """
    logs = []
    for cluster in np.unique(clusters):
        keep = clusters != cluster
        if keep.sum() <= design.shape[1] or np.linalg.matrix_rank(design[keep]) < design.shape[1]:
            return clustered_fit(design, y, clusters).residual_variance, float("nan")
        logs.append(np.log(max(clustered_fit(design[keep], y[keep], clusters[keep]).residual_variance, 1e-300)))
    scatter = (len(logs) - 1) * float(np.var(logs))
    return clustered_fit(design, y, clusters).residual_variance, float(np.sqrt(scatter))
