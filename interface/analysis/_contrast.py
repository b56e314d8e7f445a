"""A linear combination of coefficients with its error, its degrees of freedom and the tests that they allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Contrast:
    """One number of a regression, with inference over clusters.

    Args:
        estimate, stderr: value and cluster-robust standard error, in units of y per unit of the regressor.
        df: degrees of freedom of the t distribution that intervals and tests take.
        n_clusters: clusters behind it.
        method: in words, such as "CR2, Satterthwaite".
        status: "ok", or why no test can be made.
    """

    estimate: float
    stderr: float
    df: float
    n_clusters: int
    method: str
    status: str = "ok"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided t interval; (nan, nan) where no test can be made."""
        if self.status != "ok":
            return float("nan"), float("nan")
        half = float(stats.t.ppf((1 + level) / 2, self.df)) * self.stderr
        return self.estimate - half, self.estimate + half

    def p_value(self, against: float = 0.0) -> float:
        """Two-sided p of coefficient = against; 1 where no test can be made."""
        if self.status != "ok":
            return 1.0
        return float(2 * stats.t.sf(abs(self.estimate - against) / self.stderr, self.df))


def contrast(estimate: float, variance: float, df: float, n_clusters: int, method: str) -> Contrast:
    """The record, with a status where the variance or the degrees of freedom make no test."""
    status = "ok"
    if n_clusters < 2:
        status = f"{n_clusters} cluster, needs 2"
    elif not (np.isfinite(variance) and variance > 0 and np.isfinite(df) and df > 0):
        status = "the residuals are zero; is the outcome constant, or does every cluster have its own coefficient?"
    return Contrast(float(estimate), float(np.sqrt(max(variance, 0.0))), float(df), n_clusters, method, status)
