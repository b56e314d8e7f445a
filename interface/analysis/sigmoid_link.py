"""The sigmoid link: two plateaus with a fall between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from interface.analysis._link import LinkFit, checked
from interface.analysis._resampling import cluster_weights

STEEPEST, FLATTEST = 40.0, 0.5  # in half ranges of x: a jump between neighbours; a line
RESAMPLES = 400  # each is a nonlinear fit over all rows
EVALUATIONS = 200


def sigmoid_link(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> LinkFit:
    """y = low + height / (1 + exp(-steepness (x - midpoint))), steepness > 0; parameters low, height, steepness, midpoint.

    low is what is left far below the midpoint and low + height the level far above it (chance, for an error). steepness times half
    the range of x lies in [.5, 40] and the midpoint within the range: "bound hit" means that one plateau is not in the data.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        clusters: (n,) labels of what is independent; by default each row.
        rng: randomness of the bootstrap.
        resamples: bootstrap resamples of clusters.

    Raises:
        ValueError: if the rows do not identify four parameters, or shapes and values are not as said.

    Source: the link of observational scaling laws, Ruan, Maddison and Hashimoto 2024, arXiv:2405.10938, section 3; fitted by
        bounded least squares from the best point of a grid.

    Example:
        >>> x = np.linspace(1, 4, 50)
        >>> fit = sigmoid_link(x, 0.1 + 0.6 / (1 + np.exp(-5 * (x - 2.2))), rng=np.random.default_rng(0), resamples=5)
        >>> [round(fit[name], 4) for name in fit.names], fit.status
        ([0.1, 0.6, 5.0, 2.2], 'converged')
    """
    x, y, codes = checked(x, y, clusters, 4)
    middle, half = 0.5 * (x.min() + x.max()), 0.5 * np.ptp(x)
    centre, scale = y.mean(), y.std()
    if scale <= 1e-12 * np.abs(y).max():
        raise ValueError("link: y is constant; there is nothing to relate")
    u, v = (x - middle) / half, (y - centre) / scale
    first, status = _fit(u, v, np.ones(len(u)), _start(u, v))
    g = int(codes.max()) + 1
    fits = [_fit(u, v, weights[codes], first) for weights in cluster_weights(g, resamples, rng)]
    unit, shift = np.array([scale, scale, 1 / half, half]), np.array([centre, 0, 0, middle])
    values = first * unit + shift
    residuals = y - _curve(x, tuple(values))
    return LinkFit(
        kind="sigmoid",
        names=("low", "height", "steepness", "midpoint"),
        values=tuple(map(float, values)),
        residual_variance=float(residuals @ residuals / (len(y) - 4)),
        status=status,
        n_clusters=g,
        span=(float(x.min()), float(x.max())),
        resamples=np.array([found for found, _ in fits]).reshape(-1, 4) * unit + shift,
        unsettled=float(np.mean([word != "converged" for _, word in fits])) if fits else 0.0,
        curve=_curve,
    )


def _curve(x: np.ndarray, parameters: tuple[np.ndarray, ...]) -> np.ndarray:
    low, height, steepness, midpoint = parameters
    return low + height * special.expit(steepness * (x - midpoint))


def _start(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Best point of a grid over steepness and midpoint, with the plateaus by least squares."""
    steep, mid = (axis.ravel() for axis in np.meshgrid(np.geomspace(1, 20, 8), np.linspace(-0.9, 0.9, 19)))
    s = special.expit(steep[:, None] * (u - mid[:, None]))
    spread = np.maximum(((s - s.mean(1, keepdims=True)) ** 2).sum(1), 1e-12)
    cross = s @ v
    best = int(np.argmax(cross**2 / spread))
    height = cross[best] / spread[best]
    return np.array([-height * s[best].mean(), height, steep[best], mid[best]])


def _fit(u: np.ndarray, v: np.ndarray, weights: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, str]:
    root = np.sqrt(weights)
    lower, upper = [-np.inf, -np.inf, FLATTEST, -1.0], [np.inf, np.inf, STEEPEST, 1.0]

    def residuals(p: np.ndarray) -> np.ndarray:
        return root * (p[0] + p[1] * special.expit(p[2] * (u - p[3])) - v)

    def jacobian(p: np.ndarray) -> np.ndarray:
        s = special.expit(p[2] * (u - p[3]))
        bend = p[1] * s * (1 - s)
        return np.stack([np.ones_like(u), s, bend * (u - p[3]), -bend * p[2]], axis=1) * root[:, None]

    inside = np.clip(start, np.add(lower, [0, 0, 1e-6, 1e-6]), np.subtract(upper, [0, 0, 1e-6, 1e-6]))
    found = optimize.least_squares(
        residuals, inside, jacobian, bounds=(lower, upper), x_scale="jac", xtol=1e-10, ftol=1e-12, gtol=1e-12, max_nfev=EVALUATIONS
    )
    at_bound = np.isclose(found.x[2], [FLATTEST, STEEPEST], rtol=1e-3).any() or abs(found.x[3]) >= 1 - 1e-3
    return found.x, "bound hit" if at_bound else "converged" if found.status > 0 else "max iterations"
