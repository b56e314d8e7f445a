"""Exact population loss of a given head on a known encoder, such as one that was fitted to N labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.theory._base import Embedding, Matrix, Moments


def head_loss(embedding: Embedding, moments: Moments, weight: ArrayLike, intercept: ArrayLike = 0.0) -> Matrix:
    """Squared error E(y - w'z - b)^2 of a given head, in squared units of y; never below `probe_loss` of the same embedding.

    var_y - 2 w'E[z y] + w'C w + (w'E z + b)^2, exact because y = beta'x + independent noise and E y = 0.

    Args:
        embedding: of the encoder on the population of `moments`, with any leading axes.
        weight: w (..., r); intercept: b (...).

    Returns:
        (...) one loss for each leading index.

    Raises:
        ValueError: if the weight's length is not the number of features.

    Example:
        >>> standard = Moments(np.eye(1), None, np.ones(1), 1.5)
        >>> z = Embedding(np.zeros(1), np.eye(1), np.eye(1), None)
        >>> float(head_loss(z, standard, [1.0])), float(head_loss(z, standard, [0.0], 1.0))
        (0.5, 2.5)
    """
    w, b = np.asarray(weight, dtype=np.float64), np.asarray(intercept, dtype=np.float64)
    features = embedding.covariance.shape[-1]
    if w.ndim < 1 or w.shape[-1] != features:
        raise ValueError(f"weight has shape {w.shape}; allowed: (..., {features})")
    with_label = embedding.with_input @ np.linalg.solve(moments.covariance, moments.cov_xy)
    offset = (w * embedding.mean).sum(-1) + b
    return moments.var_y - 2 * (w * with_label).sum(-1) + np.einsum("...i,...ij,...j->...", w, embedding.covariance, w) + offset**2
