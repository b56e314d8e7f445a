"""Exact moments of linear and one-hidden-layer relu encoders of a Gaussian input: no sampling, all checkpoints at once."""

from __future__ import annotations

import numpy as np

from interface.theory._base import Embedding as Embedding
from interface.theory._base import Matrix, Moments


def linear_embedding(weight: Matrix, moments: Moments) -> Embedding:
    """Moments of z = W x, in the units of z.

    Args:
        weight: (..., r, d); leading axes are runs or checkpoints. Columns may be 0 (inputs that a fixed mask hides).
        moments: of the population that x is drawn from.

    Raises:
        ValueError: if the weight's last axis is not the input's length.

    Example:
        >>> identity = Moments(np.diag([4.0, 1.0]), None, np.zeros(2), 1.0)
        >>> linear_embedding(np.eye(2), identity).covariance.tolist()
        [[4.0, 0.0], [0.0, 1.0]]
    """
    weight = _checked("weight", weight, moments.covariance.shape[0])
    with_input = weight @ moments.covariance
    return Embedding(
        mean=np.zeros(weight.shape[:-1]),
        covariance=_symmetric(with_input @ weight.swapaxes(-1, -2)),
        with_input=with_input,
        cross=None if moments.cross_covariance is None else weight @ moments.cross_covariance @ weight.swapaxes(-1, -2),
    )


def relu_embedding(hidden: Matrix, output: Matrix, moments: Moments) -> Embedding:
    """Moments of z = V relu(W x) without biases, in the units of z; a unit whose weights are 0 contributes 0.

    Args:
        hidden: (..., w, d) input weights W. Columns may be 0 (inputs that a fixed mask hides).
        output: (..., r, w) output weights V.
        moments: of the population that x is drawn from; x is centred and Gaussian.

    Raises:
        ValueError: if the axes of the weights and of the input do not fit.

    Source: Cho and Saul, "Kernel Methods for Deep Learning", NeurIPS 2009, eq. (6) (arc-cosine kernel of degree 1; theirs is
        twice the expectation, and inputs have covariance Sigma here); E[relu(w'x) x] = Sigma w / 2 by Stein's identity.

    Example:
        >>> standard = Moments(np.eye(1), None, np.zeros(1), 1.0)
        >>> one = relu_embedding(np.ones((1, 1)), np.ones((1, 1)), standard)  # relu of a standard normal
        >>> bool(np.isclose(one.covariance[0, 0], 0.5 - 1 / (2 * np.pi))), one.with_input.tolist()
        (True, [[0.5]])
    """
    hidden = _checked("hidden", hidden, moments.covariance.shape[0])
    output = _checked("output", output, hidden.shape[-2])
    with_input = hidden @ moments.covariance
    size = np.sqrt(np.einsum("...wd,...wd->...w", with_input, hidden).clip(min=0))
    within = _centred_arc_cosine(size, with_input @ hidden.swapaxes(-1, -2))
    cross = None
    if moments.cross_covariance is not None:
        between = _centred_arc_cosine(size, hidden @ moments.cross_covariance @ hidden.swapaxes(-1, -2))
        cross = output @ between @ output.swapaxes(-1, -2)
    return Embedding(
        mean=np.einsum("...rw,...w->...r", output, size) / np.sqrt(2 * np.pi),
        covariance=_symmetric(output @ within @ output.swapaxes(-1, -2)),
        with_input=0.5 * output @ with_input,
        cross=cross,
    )


def _centred_arc_cosine(size: Matrix, covariance: Matrix) -> Matrix:
    """cov(relu(u_i), relu(v_j)) for Gaussian u, v of standard deviation `size` (..., w) and cov(u_i, v_j) (..., w, w)."""
    product = size[..., :, None] * size[..., None, :]
    cosine = np.divide(covariance, product, out=np.zeros_like(product), where=product > 0).clip(-1, 1)
    sine = np.sqrt((1 - cosine) * (1 + cosine))
    return product * (sine + (np.pi - np.arccos(cosine)) * cosine - 1) / (2 * np.pi)  # -1: the product of the two means


def _symmetric(matrix: Matrix) -> Matrix:
    return 0.5 * (matrix + matrix.swapaxes(-1, -2))


def _checked(name: str, weight: Matrix, columns: int) -> Matrix:
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim < 2 or weight.shape[-1] != columns:
        raise ValueError(f"{name} has shape {weight.shape}; allowed: (..., out, {columns})")
    return weight
