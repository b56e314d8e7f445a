"""LogME: the evidence of a Bayesian linear model from features to labels or targets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import (
    EPS,
    Array,
    Projection,
    Sample,
    Statistics,
    class_codes,
    matrix,
    one_of,
    positive,
    project,
    real_targets,
    sample,
    scored,
)

CONVENTIONS = ("exact", "fixed_point", "icml", "tllib")
FLOOR = float(np.exp(-35.0))
GRID = 96  # points of ln(alpha / beta) from which Newton's steps start: evidence may have more than one maximum
LOG_2PI = float(np.log(2 * np.pi))


def logme(
    features: ArrayLike | Statistics,
    labels: ArrayLike | None = None,
    *,
    targets: ArrayLike | None = None,
    convention: str = "exact",
    floor: float = FLOOR,
    blocks: int | None = None,
) -> Estimate:
    """Largest log evidence per example of y ~ N(Xw, 1/beta), w ~ N(0, 1/alpha), mean over classes; nats, any sign.

    High: a linear map predicts the labels well for its size. Features are neither centred nor given an intercept
    (as published), so that the score changes with shifts of X, and with the units of regression targets.

    Args:
        features: (n, d) features, or Statistics that saw labels or targets.
        labels: (n,) classes, each fitted one against the rest; classes without rows are skipped.
        targets: (n, k) regression targets instead of labels; columns count equally.
        convention: "exact" maximises the profile likelihood over alpha / beta; the rest are published iterations:
            "fixed_point" and "icml" (THUML LogME; fixed_point drops (d - k)/2 ln alpha where n < d, and counts absent
            classes), "tllib" (Transfer-Learning-Library; divides by zero on absent or exactly fitted classes).
        floor: smallest alpha / beta, in units of the mean squared row norm; it binds, and sets the value, only where
            the evidence is unbounded.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error. Status "unbounded: ..." where some class is an exact linear
        function of the features (the value is then the evidence at `floor`), "boundary_high: ..." where the best
        alpha is infinite, so that the features say nothing about some class, "no signal" if all features or all
        targets are 0 (value: the evidence of the null model, or NaN without any target).

    Raises:
        ValueError: if neither or both of labels and targets are given, or an input is malformed.

    Source: You et al., "LogME", ICML 2021, arXiv:2102.11005, eq. (2); fixed point: arXiv:2110.10545. Deviation:
        the optimum is exact, not the iterate after at most 11 steps.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(3, size=300)
        >>> noise = rng.normal(size=(300, 4))
        >>> bool(logme(noise + 3 * np.eye(4)[y], y) > logme(noise, y))
        True
    """
    one_of(convention, CONVENTIONS, "convention")
    positive(floor, "floor")
    if not isinstance(features, Statistics) and (labels is None) == (targets is None):
        raise ValueError("labels and targets: give exactly one of them")
    if convention != "exact":
        return _published(features, labels, targets, convention)
    rows = sample(features, labels, targets=targets, blocks=blocks)
    if rows.x is None and rows.raw is None and rows.moments.classes is None and rows.moments.targets is None:
        raise ValueError("labels is None; gather them: Statistics().add(features, labels) or add(features, targets=...)")
    return scored(rows, lambda part: _exact(part, floor))


def _exact(rows: Sample, floor: float) -> tuple[float, str]:
    found = project(rows, centred=False)
    present = found.total > 0
    if not present.any():
        return float("nan"), "no signal: every target is 0"
    evidence, at_floor, at_infinity = profile(found, present, floor)
    value = float(evidence.mean() / found.n)
    if found.trace == 0:
        return value, "no signal"
    k = int(present.sum())
    if at_floor.any():
        return value, f"unbounded: {int(at_floor.sum())} of {k} columns are exact linear functions of the features"
    if at_infinity.any():
        return value, f"boundary_high: the features say nothing about {int(at_infinity.sum())} of {k} columns"
    return value, found.status


def profile(found: Projection, present: np.ndarray, floor: float) -> tuple[Array, np.ndarray, np.ndarray]:
    """Evidence maximised over u = ln(alpha / beta), all columns at once, with masks of maxima at either boundary."""
    n, sigma = found.n, found.sigma
    squared, residual, total = found.squared[:, present], found.residual[present], found.total[present]
    constant = 0.5 * n * (np.log(n) - 1 - LOG_2PI)
    null = constant - 0.5 * n * np.log(total)
    none = np.zeros(len(null), dtype=bool)
    if len(sigma) == 0:
        return null, none, ~none
    low = np.log(floor) + np.log(found.trace / n)
    grid = np.linspace(low, np.log(sigma[np.argmax(sigma)]) + np.log(n) + 18, GRID)
    t = np.exp(grid)[:, None]
    q = np.maximum((t / (t + sigma)) @ squared + residual, np.finfo(float).tiny)  # (grid, columns)
    evidence = constant - 0.5 * n * np.log(q) - 0.5 * np.log1p(sigma / t).sum(1)[:, None]
    best = evidence.argmax(0)
    u = grid[best]
    lower, upper = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    for _ in range(60):
        slope, curvature = _derivatives(u, sigma, squared, residual, n)
        lower, upper = np.where(slope > 0, u, lower), np.where(slope > 0, upper, u)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = u - slope / curvature
        following = np.where((curvature < 0) & (step > lower) & (step < upper), step, 0.5 * (lower + upper))
        converged = np.max(np.abs(following - u)) < 1e-9
        u = following
        if converged:
            break
    ratio = sigma[:, None] * np.exp(-u)
    q = np.maximum((squared / (1 + ratio)).sum(0) + residual, np.finfo(float).tiny)
    refined = constant - 0.5 * n * np.log(q) - 0.5 * np.log1p(ratio).sum(0)
    value = np.maximum(evidence.max(0), refined)
    at_floor = (best == 0) & (residual == 0)
    value = np.where(at_floor, evidence[0], value)
    at_infinity = null >= value - 4 * EPS * np.abs(value)
    return np.maximum(value, null), at_floor & ~at_infinity, at_infinity


def _derivatives(u: Array, sigma: Array, squared: Array, residual: Array, n: int) -> tuple[Array, Array]:
    w = 1 / (1 + sigma[:, None] * np.exp(-u))  # t / (t + sigma)
    v = w * (1 - w)
    q = (squared * w).sum(0) + residual
    q1, q2 = (squared * v).sum(0) / q, (squared * v * (1 - 2 * w)).sum(0) / q
    return 0.5 * (1 - w).sum(0) - 0.5 * n * q1, -0.5 * v.sum(0) - 0.5 * n * (q2 - q1**2)


def _published(features: ArrayLike | Statistics, labels: ArrayLike | None, targets: ArrayLike | None, convention: str) -> Estimate:
    if isinstance(features, Statistics):
        raise ValueError(f"features is a Statistics; convention={convention!r} needs the rows")
    x = matrix(features)
    n = len(x)
    if targets is not None:
        outputs = real_targets(targets, n)
    else:
        assert labels is not None
        codes, classes = class_codes(labels, n)
        columns = codes if classes.dtype.kind not in "iu" or classes.min() < 0 else classes[codes]  # absent classes count
        outputs = np.eye(int(columns.max()) + 1)[columns]
    fit = _fixed_point(x) if convention == "fixed_point" else _icml(x, 1e-5 if convention == "icml" else 0.0)
    with np.errstate(all="ignore"):
        value = float(np.mean([fit(y) for y in outputs.T]))
    status = "ok" if np.isfinite(value) else f"convention {convention} divides by zero here"
    return Estimate(value if np.isfinite(value) else float("nan"), how="plug_in", n=n, status=status)


def _fixed_point(x: Array) -> Callable[[Array], float]:
    """THUML's fixed-point iteration; the decomposition is shared by all columns."""
    n, d = x.shape
    if n > d:
        _, square, vh = np.linalg.svd(x.T @ x)
        s = np.sqrt(square)
        k = int(np.sum(s > 1e-10))
        s, u = s[:k], (x @ vh.T)[:, :k] / s[:k]
    else:
        u, s, _ = np.linalg.svd(x, full_matrices=False)
    sigma = s**2

    def fit(y: Array) -> float:
        squared = (u.T @ y) ** 2
        residual = y @ y - squared.sum()
        alpha = beta = 1.0
        m2 = r2 = 0.0
        for _ in range(11):
            t = alpha / beta
            gamma = (sigma / (sigma + t)).sum()
            m2 = (sigma * squared / (t + sigma) ** 2).sum()
            r2 = (squared / (1 + sigma / t) ** 2).sum() + residual
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (r2 + 1e-5)
            if abs(alpha / beta - t) / t <= 1e-3:
                break
        return _evidence(n, d, alpha, beta, sigma, r2, m2)

    return fit


def _icml(x: Array, eps: float) -> Callable[[Array], float]:
    """The ICML iteration, with eps 1e-5 in THUML's code and 0 in tllib's."""
    n, d = x.shape
    v, sigma, vh = np.linalg.svd(x.T @ x)

    def fit(y: Array) -> float:
        projected = vh @ (x.T @ y)
        alpha = beta = np.float64(1.0)
        m2 = r2 = 0.0
        for _ in range(11):
            ratio = alpha / beta
            gamma = (sigma / (sigma + ratio)).sum()
            m = v @ (projected * beta / (alpha + beta * sigma))
            m2, r2 = float(m @ m), float(((y - x @ m) ** 2).sum())
            alpha, beta = gamma / np.float64(m2 + eps), (n - gamma) / np.float64(r2 + eps)
            if abs(alpha / beta - ratio) / ratio < 0.01:
                break
        return _evidence(n, d, alpha, beta, sigma, r2 + eps, m2 + eps)

    return fit


def _evidence(n: int, d: int, alpha: float, beta: float, sigma: Array, r2: float, m2: float) -> float:
    fit = d / 2 * np.log(alpha) + n / 2 * np.log(beta) - 0.5 * np.log(alpha + beta * sigma).sum()
    return float((fit - beta / 2 * r2 - alpha / 2 * m2 - n / 2 * LOG_2PI) / n)
