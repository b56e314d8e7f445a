"""Mixed effects with random slopes, from sums over groups: thousands of fits where one took seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from interface.analysis._contrast import Contrast, contrast

SINGULAR = 1e-4  # relative standard deviation of a random effect below which its variance is at the boundary
GRADIENT = 1e-3  # of the deviance at the reported optimum


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A linear mixed model fitted by REML.

    Args:
        coefficients: (k,) fixed effects, in units of y per unit of the column.
        covariance: (k, k) their covariance, model-based.
        random_covariance: (q, q) covariance of the random effects.
        residual_variance: squared units of y.
        log_likelihood: restricted.
        n_groups: groups.
        singular: whether a random effect has (nearly) no variance or two are perfectly correlated: then the model is simpler
            than what was written down, and its errors are those of the simpler one.
        status: "converged", "converged, singular", or "not converged".
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    random_covariance: np.ndarray
    residual_variance: float
    log_likelihood: float
    n_groups: int
    singular: bool
    status: str

    def contrast(self, weights: ArrayLike) -> Contrast:
        """weights'coefficients with t(groups - 1): model-based, so a secondary analysis beside the t test over clusters."""
        c = np.asarray(weights, dtype=np.float64)
        variance = float(c @ self.covariance @ c)
        return contrast(c @ self.coefficients, variance, self.n_groups - 1, self.n_groups, f"mixed effects, REML ({self.status})")


def mixed_effects(design: ArrayLike, y: ArrayLike, groups: ArrayLike, random: ArrayLike) -> MixedFit:
    """y = design b + random u_g + e with u_g ~ N(0, random_covariance), by REML; singular fits are returned and say so.

    The profiled deviance is a function of sums over groups only, so that a fit costs O(groups) whatever the number of rows.

    Args:
        design: (n, k) fixed effects, the constant included.
        y: (n,).
        groups: (n,) labels.
        random: (n, q) columns with a random coefficient by group, such as the constant and x.

    Raises:
        ValueError: if the shapes differ, a value is not finite, there are fewer than 2 groups, or design is collinear.

    Source: Bates, Mächler, Bolker and Walker, "Fitting linear mixed-effects models using lme4", J. Statistical Software 2015,
        equations 34 to 42.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> group = np.repeat(np.arange(20), 15)
        >>> z = np.column_stack([np.ones(300), rng.normal(size=300)])
        >>> fit = mixed_effects(z, z @ [1.0, 0.5] + 2 * rng.normal(size=20)[group] + rng.normal(size=300), group, z)
        >>> bool(2 < fit.random_covariance[0, 0] < 8), bool(fit.random_covariance[1, 1] < 0.1)
        (True, True)
    """
    matrix, outcome, columns = (np.asarray(v, dtype=np.float64) for v in (design, y, random))
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    n, k = matrix.shape
    if len(outcome) != n or len(codes) != n or columns.shape[0] != n or columns.ndim != 2:
        raise ValueError("mixed_effects: design, y, groups and random differ in their number of rows")
    if not all(np.isfinite(values).all() for values in (matrix, outcome, columns)):
        raise ValueError("mixed_effects: a value is not finite; drop or impute it first")
    m, q = int(codes.max()) + 1, columns.shape[1]
    if m < 2 or np.linalg.matrix_rank(matrix / np.sqrt((matrix**2).sum(0) + 1e-300)) < k:
        raise ValueError(f"mixed_effects: {m} group(s) and {k} columns; needs 2 groups and columns that are not collinear")
    unit = np.sqrt((columns**2).mean(0))
    sums = _Sums.of(matrix, outcome, columns / unit, codes)
    lower = np.tril_indices(q)
    diagonal = lower[0] == lower[1]
    bounds = [(0.0, None) if on else (None, None) for on in diagonal]

    def deviance(theta: np.ndarray) -> float:
        return sums.solve(_factor(theta, q))[0]

    # the deviance can have a local optimum at the boundary: start inside and from small effects
    starts = [np.where(diagonal, size, 0.0) for size in (1.0, 0.2)]
    found = min((optimize.minimize(deviance, s, method="L-BFGS-B", bounds=bounds) for s in starts), key=lambda r: r.fun)
    found = optimize.minimize(deviance, found.x, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-8})
    lifted = np.where(diagonal, np.maximum(found.x, 0.0), found.x)
    value, coefficients, inverse, variance = sums.solve(_factor(lifted, q))
    relative = _factor(lifted, q) @ _factor(lifted, q).T
    size = np.sqrt(np.diag(relative))
    correlation = relative / np.where(size[:, None] * size > 0, size[:, None] * size, 1.0)
    singular = bool((size < SINGULAR).any() or np.linalg.eigvalsh(correlation)[0] < SINGULAR)
    slope = optimize.approx_fprime(lifted, deviance, 1e-6)
    at_zero = diagonal & (lifted < 1e-8)
    free = np.where(at_zero, np.minimum(slope, 0.0), slope)
    status = "not converged" if np.abs(free).max() > GRADIENT * max(1.0, m) else "converged, singular" if singular else "converged"
    return MixedFit(
        coefficients, variance * inverse, variance * relative / np.outer(unit, unit), variance, -value / 2, m, singular, status
    )


def _factor(theta: np.ndarray, q: int) -> np.ndarray:
    factor = np.zeros((q, q))
    factor[np.tril_indices(q)] = theta
    return factor


@dataclass(frozen=True, eq=False)
class _Sums:
    zz: np.ndarray  # (m, q, q)
    zx: np.ndarray  # (m, q, k)
    zy: np.ndarray  # (m, q)
    xx: np.ndarray
    xy: np.ndarray
    yy: float
    n: int

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, z: np.ndarray, codes: np.ndarray) -> _Sums:
        order = np.argsort(codes, kind="stable")
        x, y, z = x[order], y[order], z[order]
        starts = np.flatnonzero(np.r_[True, np.diff(codes[order]) > 0])

        def over(left: np.ndarray, right: np.ndarray) -> np.ndarray:
            return np.add.reduceat(left[:, :, None] * right[:, None, :], starts)

        return cls(over(z, z), over(z, x), over(z, y[:, None])[..., 0], x.T @ x, x.T @ y, float(y @ y), len(y))

    def solve(self, factor: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Restricted deviance, coefficients, inverse of their information over the residual variance, residual variance."""
        q, k = factor.shape[0], len(self.xy)
        chol = np.linalg.cholesky(factor.T @ self.zz @ factor + np.eye(q))
        u_x = np.linalg.solve(chol, factor.T @ self.zx)
        u_y = np.linalg.solve(chol, (self.zy @ factor)[..., None])[..., 0]
        information = self.xx - np.einsum("gqi,gqj->ij", u_x, u_x)
        right = self.xy - np.einsum("gqi,gq->i", u_x, u_y)
        coefficients = np.linalg.solve(information, right)
        rss = max(self.yy - float((u_y**2).sum()) - float(right @ coefficients), 1e-300)
        df = self.n - k
        logs = 2 * np.log(np.diagonal(chol, axis1=1, axis2=2)).sum() + np.linalg.slogdet(information)[1]
        value = float(logs + df * (1 + np.log(2 * np.pi * rss / df)))
        return value, coefficients, np.linalg.inv(information), rss / df
