"""Fine-tuning a linear encoder in a ball: the linearised problem is solved, and bounds the true one from both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from interface.theory._base import Matrix, Moments
from interface.theory.losses import bayes_loss

STEPS = 500  # of projected gradient descent, from each start
GAIN = 1e-12  # share of the loss below which a step's gain counts as none


class FineTuningBounds(NamedTuple):
    """Least loss of fine-tuning in a ball, in squared units of y: lower <= L*_FT(R) <= upper.

    linearised: L*_NTK(R), the least loss of the linearised network, on either side of L*_FT(R); looser: the lower bound without
    the Bayes risk; upper: the best loss found in the ball.
    """

    lower: float
    looser: float
    linearised: float
    upper: float


def linearised_loss(head: ArrayLike, weight: ArrayLike, moments: Moments, radius: float) -> float:
    """L*_NTK(R): least squared error of the linearisation of f(x) = h'W x about (h, W) in a ball, in squared units of y.

    The linearised function's slopes are W'h + u with u = W'dh + dW'h, so that |(dh, dW)| <= R reaches the ellipsoid u = K^1/2 t,
    |t| <= R, K = W'W + |h|^2 I: a least-squares problem in a ball, solved through its secular equation. Where h = 0 the ellipsoid
    is flat and lies in the span of W's rows.

    Args:
        head: h (r,); weight: W (r, d); both at the ball's centre. Together they are the parameters, all of the same weight.
        moments: of the population.
        radius: R >= 0, in the parameters' units.

    Raises:
        ValueError: if shapes do not fit or the radius is negative.

    Source: Jacot, Gabriel, Hongler, NeurIPS 2018, arXiv:1806.07572, for the linearisation; the trust-region problem is Moré and
        Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983), section 2.

    Example:
        >>> world = Moments(np.eye(2), None, np.array([1.0, 1.0]), 2.5)
        >>> h, W = [1.0], [[1.0, 0.0]]  # finds half of the label
        >>> round(linearised_loss(h, W, world, 0.0), 12), round(linearised_loss(h, W, world, 10.0), 12)
        (1.5, 0.5)
    """
    h, w, sigma = _checked(head, weight, moments, radius)
    kernel, vectors = np.linalg.eigh(w.T @ w + h @ h * np.eye(w.shape[1]))
    kept = kernel > 1e-14 * max(float(kernel.max()), 1e-300)
    reach = vectors[:, kept] * np.sqrt(kernel[kept])  # K^1/2, or what of it is not flat
    root = _root(sigma)
    target = root @ (np.linalg.solve(sigma, moments.cov_xy) - w.T @ h)
    left, size, _ = np.linalg.svd(root @ reach, full_matrices=False)
    along = left.T @ target
    outside = float(target @ target - along @ along)
    t = _ball_least_squares(size, along, radius)
    return bayes_loss(moments) + max(outside, 0.0) + float(np.square(along - size * t).sum())


def fine_tuned_loss(head: ArrayLike, weight: ArrayLike, moments: Moments, radius: float) -> float:
    """The best population loss found for f = h'W x in the ball |(dh, dW)| <= R: an upper bound on L*_FT(R), in squared units of y.

    Projected gradient descent with backtracking from the centre and from two points that leave it along and against the gradient.
    Arguments as `linearised_loss`.
    """
    h, w, sigma = _checked(head, weight, moments, radius)
    beta = np.linalg.solve(sigma, moments.cov_xy)
    floor = bayes_loss(moments)
    centre = np.concatenate([h, w.ravel()])

    def value(theta: Matrix) -> tuple[float, Matrix]:
        h_now, w_now = theta[: len(h)], theta[len(h) :].reshape(w.shape)
        residual = sigma @ (w_now.T @ h_now - beta)
        slope = np.concatenate([2 * w_now @ residual, 2 * np.outer(h_now, residual).ravel()])
        return floor + float((w_now.T @ h_now - beta) @ residual), slope

    if radius == 0:
        return value(centre)[0]
    slope = value(centre)[1]
    away = radius * slope / max(float(np.linalg.norm(slope)), 1e-300)
    return min(_descend(value, centre, start, radius) for start in (centre, centre - away, centre + away))


def fine_tuning_bounds(head: ArrayLike, weight: ArrayLike, moments: Moments, radius: float) -> FineTuningBounds:
    """Both sides of L*_FT(R) of f = h'W x, in squared units of y; they close as R^2 where R is small.

    In the ball the function differs from its linearisation by dh'dW x, of size at most R^2 / 2 sqrt(lambda_max(Sigma)) in L2, so
    that Bayes + (sqrt(L*_NTK(R) - Bayes) - that)_+^2 <= L*_FT(R). Arguments as `linearised_loss`.

    Source: |dh| |dW| <= R^2 / 2 and the triangle inequality in L2(p); the part of y that no predictor explains is orthogonal to
        both functions. Unrestricted fine-tuning (R = inf) reaches the same loss from every start, so that only the profile over R
        depends on pretraining.

    Example:
        >>> world = Moments(np.eye(2), None, np.array([1.0, 1.0]), 2.5)
        >>> found = fine_tuning_bounds([1.0], [[1.0, 0.0]], world, 0.3)
        >>> found.looser <= found.lower <= found.upper < 1.5
        True
    """
    _, _, sigma = _checked(head, weight, moments, radius)
    linearised, bayes = linearised_loss(head, weight, moments, radius), bayes_loss(moments)
    slack = 0.5 * radius**2 * float(np.linalg.eigvalsh(sigma)[-1]) ** 0.5
    lower = bayes + max(max(linearised - bayes, 0.0) ** 0.5 - slack, 0.0) ** 2
    looser = max(linearised**0.5 - slack, 0.0) ** 2
    return FineTuningBounds(lower, looser, linearised, fine_tuned_loss(head, weight, moments, radius))


def _ball_least_squares(size: Matrix, along: Matrix, radius: float) -> Matrix:
    """The t with |t| <= radius that minimises |along - size * t|."""
    alive = size > 1e-14 * size.max(initial=1e-300)
    free = np.where(alive, along / np.where(alive, size, 1.0), 0.0)
    if np.linalg.norm(free) <= radius:
        return free
    if radius == 0:
        return np.zeros_like(free)

    def at(multiplier: float) -> Matrix:
        return size * along / (size**2 + multiplier)

    high = 2 * float(np.linalg.norm(size * along)) / radius  # there |t| < radius
    multiplier = brentq(lambda m: np.linalg.norm(at(m)) - radius, 1e-16 * high, high, xtol=1e-300, rtol=1e-14)
    t = at(multiplier)
    return t * min(1.0, radius / float(np.linalg.norm(t)))


def _descend(value: Callable[[Matrix], tuple[float, Matrix]], centre: Matrix, start: Matrix, radius: float) -> float:
    theta, step = start, 1.0
    loss, slope = value(theta)
    for _ in range(STEPS):
        while True:
            delta = theta - step * slope - centre
            proposed = centre + delta * min(1.0, radius / max(float(np.linalg.norm(delta)), 1e-300))
            moved = proposed - theta
            reached, new_slope = value(proposed)
            if reached <= loss + float(slope @ moved) + float(moved @ moved) / (2 * step) or step < 1e-14:
                break
            step /= 2
        gain, theta, loss, slope, step = loss - reached, proposed, min(loss, reached), new_slope, 2 * step
        if gain <= GAIN * abs(loss):
            break
    return loss


def _root(sigma: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(sigma)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _checked(head: ArrayLike, weight: ArrayLike, moments: Moments, radius: float) -> tuple[Matrix, Matrix, Matrix]:
    h, w = np.asarray(head, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    dim = moments.covariance.shape[0]
    if w.ndim != 2 or w.shape[1] != dim or h.shape != (len(w),):
        raise ValueError(f"head has shape {h.shape}, weight {w.shape}; allowed: (r,) and (r, {dim})")
    if not 0 <= radius < np.inf:
        raise ValueError(f"radius is {radius!r}; allowed: a number >= 0")
    return h, w, moments.covariance
