"""A fitted link between two losses: parameters, status and resamples, whatever its form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._resampling import percentile_interval

RESAMPLES = 2_000
Curve = Callable[[np.ndarray, tuple[np.ndarray, ...]], np.ndarray]


@dataclass(frozen=True, eq=False)
class LinkFit:
    """y as a function of x by least squares.

    Args:
        kind: "exponential", "power", "sigmoid", "hinge", "linear" or "isotonic".
        names: (p,) parameters.
        values: (p,) their estimates.
        residual_variance: squared units of y, over n - p.
        status: "converged", "bound hit" (the best curve lies at the edge of what the form can be told apart from), or "max
            iterations". A number of a fit that did not converge is not to be quoted.
        n_clusters: clusters that were resampled.
        span: lowest and highest x of the fit: outside it a value is an extrapolation.
        resamples: (b, p) parameters in each resample of clusters.
        unsettled: share of resamples that hit a bound or did not converge; they are part of the intervals.
        curve: (x, parameters) -> y, broadcasting.
    """

    kind: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    residual_variance: float
    status: str
    n_clusters: int
    span: tuple[float, float]
    resamples: np.ndarray
    unsettled: float
    curve: Curve

    def __getitem__(self, name: str) -> float:
        return self.values[self._place(name)]

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Cluster-bootstrap percentile interval of a parameter, expanded for few clusters.

        Raises:
            ValueError: if there is no such parameter.
        """
        return percentile_interval(self.resamples[:, self._place(name)], self.n_clusters, level)

    def predict(self, x: ArrayLike) -> np.ndarray:
        """The curve at x, in units of y."""
        return self.curve(np.asarray(x, dtype=np.float64), tuple(map(np.asarray, self.values)))

    def slope(self, first: float, last: float) -> float:
        """Mean derivative of the curve over [first, last]: the slope of a cross-section, taken over the common range."""
        low, high = self.predict([first, last])
        return float((high - low) / (last - first))

    def band(self, x: float, level: float = 0.95) -> tuple[float, float]:
        """Interval for the curve at one x (for the mean, not for one new model)."""
        return percentile_interval(self._along(x), self.n_clusters, level)

    def slope_interval(self, first: float, last: float, level: float = 0.95) -> tuple[float, float]:
        """Interval for `slope`."""
        return percentile_interval((self._along(last) - self._along(first)) / (last - first), self.n_clusters, level)

    def _along(self, x: float) -> np.ndarray:
        return self.curve(np.asarray(x, dtype=np.float64), tuple(self.resamples.T))

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"{self.kind} link: no parameter {name!r}; it has {', '.join(self.names)}")
        return self.names.index(name)


def checked(x: ArrayLike, y: ArrayLike, clusters: ArrayLike | None, parameters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and cluster codes (rows their own clusters by default).

    Raises:
        ValueError: if shapes differ, a value is not finite, or there are too few rows or distinct x for the parameters.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"link: x and y have shapes {x.shape} and {y.shape}; give one value of each a row")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("link: x or y holds a value that is not finite; drop or impute it first")
    if len(np.unique(x)) <= parameters:
        raise ValueError(f"link: {len(np.unique(x))} distinct x for {parameters} parameters; at least {parameters + 1} are needed")
    labels = np.arange(len(x)) if clusters is None else np.asarray(clusters)
    if labels.shape != x.shape:
        raise ValueError(f"link: clusters has shape {labels.shape} for {len(x)} rows")
    return x, y, np.unique(labels, return_inverse=True)[1]
