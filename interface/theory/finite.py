"""Exact numbers on a finite support, where every expectation is a sum: entropy, divergence, and the minimal loss of a head."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from interface.core import Estimate
from interface.theory.moments import Matrix

CUT = 1e-10  # directions of the features with less than this share of the largest variance count as absent
DECREMENT = 1e-12  # nats, estimated, at which Newton's method has arrived
STEPS = 100


class _Points(NamedTuple):
    """features (k, d), target (k, c) and weights (k,) that sum to 1."""

    features: Matrix
    target: Matrix
    weights: Matrix


def entropy(p: ArrayLike) -> Matrix:
    """Entropy in nats over the last axis; 0 ln 0 = 0."""
    p = np.asarray(p, dtype=np.float64)
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)


def divergence(p: ArrayLike, q: ArrayLike) -> Matrix:
    """KL(p || q) in nats over the last axis; inf where q rules out what p allows."""
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    allowed = p > 0
    ratio = np.divide(p, q, out=np.full(np.broadcast_shapes(p.shape, q.shape), np.inf), where=q > 0)
    return (p * np.log(np.where(allowed, ratio, 1.0))).sum(-1)


def next_token_floor(x: ArrayLike, p: ArrayLike) -> Matrix:
    """H(token s | tokens before s) in nats, (t,), of a law over sequences x (k, t) with probabilities p (k,): no model is better.

    Example:
        >>> (next_token_floor([[0, 0], [0, 1], [1, 0], [1, 1]], [0.5, 0.0, 0.25, 0.25]) / np.log(2)).round(9).tolist()
        [1.0, 0.5]
    """
    sequences, weights = np.asarray(x), np.asarray(p, dtype=np.float64)
    joint = [0.0]
    for s in range(sequences.shape[1]):
        _, prefix = np.unique(sequences[:, : s + 1], axis=0, return_inverse=True)
        joint.append(float(entropy(np.bincount(prefix.ravel(), weights))))
    return np.diff(joint)


def squared_probe_loss(features: ArrayLike, target: ArrayLike, weights: ArrayLike) -> float:
    """E*: least E|target - (W z + b)|^2 over affine maps of the features, summed over columns, in squared units of the target.

    With target = E[y | x] it is the *excess* over the Bayes loss, which is E|y - E[y | x]|^2.

    Args:
        features: (k, d) one row a point of the support; target: (k,) or (k, c); weights: (k,) its probabilities.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, or the weights are no law.

    Example:
        >>> squared_probe_loss([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0], [0.25, 0.5, 0.25])
        0.25
    """
    points = _points(features, target, weights)
    white, centred = _whitened(points)
    explained = white.T @ (points.weights[:, None] * centred)
    residual = centred - white @ explained
    return float(points.weights @ np.square(residual).sum(1))


def log_probe_loss(features: ArrayLike, target: ArrayLike, weights: ArrayLike) -> Estimate:
    """L*: least cross-entropy of softmax(W z + b) from target laws, in nats; at least the mean entropy of the targets.

    Args:
        features: (k, d); target: (k, c) with rows p(y | x); weights: (k,) probabilities of the points.

    Returns:
        Estimate, exact; status "not_converged" if Newton's method is not done after 100 steps, e.g. where labels are separable.

    Raises:
        ValueError: as `squared_probe_loss`, or if a target is no law.
    """
    points = _points(features, target, weights)
    laws = points.target
    if laws.min() < 0 or np.abs(laws.sum(1) - 1).max() > 1e-9:
        raise ValueError("target holds a row that is no law; allowed: numbers >= 0 that sum to 1")
    laws = laws[:, points.weights @ laws > 0]  # a class that never occurs costs nothing
    white, _ = _whitened(points)
    z = np.concatenate([white, np.ones((len(white), 1))], 1)
    free = laws.shape[1] - 1  # the last class is the reference
    w, value = np.zeros((z.shape[1], free)), np.inf
    for _ in range(STEPS):
        value, q = _cross_entropy(z @ w, laws, points.weights)
        gradient = (z.T @ (points.weights[:, None] * (q - laws)[:, :free])).ravel()
        step = np.linalg.lstsq(_hessian(z, q[:, :free], points.weights), gradient, rcond=None)[0]
        decrement = float(gradient @ step)
        if decrement < 2 * DECREMENT:
            return Estimate(value, stderr=0.0, how="exact")
        size = 1.0
        while size > 1e-8 and _cross_entropy(z @ (w - size * step.reshape(w.shape)), laws, points.weights)[0] > (
            value - 0.25 * size * decrement
        ):
            size /= 2
        w = w - size * step.reshape(w.shape)
    return Estimate(value, stderr=0.0, how="exact", status="not_converged")


def box_probe_loss(features: ArrayLike, positive: ArrayLike, weights: ArrayLike, bound: float) -> float:
    """Least logistic loss of v'z, without intercept, over v in [-bound, bound]^d, in nats.

    Args:
        features: (k, d); positive: (k,) p(y = 1 | x); weights: (k,); bound: > 0.
    """
    points = _points(features, positive, weights)
    chance = points.target[:, 0]

    def value_and_gradient(v: Matrix) -> tuple[float, Matrix]:
        margin = points.features @ v
        loss = chance * np.logaddexp(0, -margin) + (1 - chance) * np.logaddexp(0, margin)
        slope = 0.5 * (1 + np.tanh(margin / 2)) - chance
        return float(points.weights @ loss), points.features.T @ (points.weights * slope)

    d = points.features.shape[1]
    options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 10_000}
    return float(
        minimize(value_and_gradient, np.zeros(d), jac=True, method="L-BFGS-B", bounds=[(-bound, bound)] * d, options=options).fun
    )


def _cross_entropy(logits: Matrix, laws: Matrix, weights: Matrix) -> tuple[float, Matrix]:
    """Mean cross-entropy, and the probabilities (k, c), of logits (k, c - 1) with a reference class at 0."""
    full = np.concatenate([logits, np.zeros((len(logits), 1))], 1)
    full = full - full.max(1, keepdims=True)
    normaliser = np.log(np.exp(full).sum(1, keepdims=True))
    return float(weights @ -(laws * (full - normaliser)).sum(1)), np.exp(full - normaliser)


def _hessian(z: Matrix, q: Matrix, weights: Matrix) -> Matrix:
    """Second derivative (d c, d c) of the mean cross-entropy in weights (d, c) of points z (k, d) with probabilities q (k, c)."""
    d, c = z.shape[1], q.shape[1]
    hessian = np.empty((d, c, d, c))
    for i in range(c):
        for j in range(i + 1):
            spread = weights * q[:, i] * ((i == j) - q[:, j])
            hessian[:, i, :, j] = hessian[:, j, :, i] = z.T @ (spread[:, None] * z)
    return hessian.reshape(d * c, d * c)


def _whitened(points: _Points) -> tuple[Matrix, Matrix]:
    """Features whose weighted covariance is the identity, without absent directions, and the centred target."""
    centred = points.features - points.weights @ points.features
    scale = np.sqrt(points.weights @ np.square(centred))
    alive = scale > 1e-12 * scale.max(initial=0.0)
    scaled = centred[:, alive] / scale[alive]
    left, values, _ = np.linalg.svd(np.sqrt(points.weights)[:, None] * scaled, full_matrices=False)
    kept = left[:, np.square(values) > CUT * np.square(values).max(initial=0.0)]
    seen = points.weights > 0
    white = np.zeros((len(centred), kept.shape[1]))
    white[seen] = kept[seen] / np.sqrt(points.weights[seen])[:, None]
    return white, points.target - points.weights @ points.target


def _points(features: ArrayLike, target: ArrayLike, weights: ArrayLike) -> _Points:
    z, y, w = (np.asarray(values, dtype=np.float64) for values in (features, target, weights))
    y = y[:, None] if y.ndim == 1 else y
    if z.ndim != 2 or y.ndim != 2 or w.shape != (len(z),) or len(y) != len(z):
        raise ValueError(f"features {z.shape}, target {y.shape}, weights {w.shape}; allowed: (k, d), (k, c) and (k,)")
    if not (np.isfinite(z).all() and np.isfinite(y).all()):
        raise ValueError("features or target hold a value that is not finite")
    if not (w >= 0).all() or abs(w.sum() - 1) > 1e-9:
        raise ValueError(f"weights sum to {w.sum()!r}, the least is {w.min()!r}; allowed: numbers >= 0 that sum to 1")
    return _Points(z, y, w)
