"""Pretexts as operators: S and c with head-profiled L_pre = c - tr(PS), P the projector on the encoder's span."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interface.theory._base import MAX_RANK, Embedding, Matrix, Moments, alignment, hermite_spectrum, inverse_root, whitening
from interface.theory._base import Operator as Operator


def autoencoding_operator(moments: Moments) -> Operator:
    """S = Sigma, c = tr Sigma, in squared units of x: L_pre = c - tr(PS) exactly, for any encoder with an affine decoder.

    A nonlinear span acts on the linear functions as a compression Q, 0 <= Q <= I and tr Q <= r, in place of P.

    Source: Baldi and Hornik 1989, in whitened coordinates.

    Example:
        >>> autoencoding_operator(Moments(np.diag([3.0, 2.0, 1.0]), None, np.zeros(3), 1.0)).floor(1, linear=False)
        3.0
    """
    covariance = np.array(moments.covariance)
    return Operator(covariance, float(np.trace(covariance)), inverse_root(covariance), np.zeros(0))


def fixed_mask_operator(moments: Moments, visible: Sequence[int] | np.ndarray, hidden: Sequence[int] | np.ndarray) -> Operator:
    """S = Sigma_AA^-1/2 Sigma_AB Sigma_BA Sigma_AA^-1/2, c = tr Sigma_BB, squared units of x: predicts block B from a span of A.

    Coordinates are those of x_A, whitened: k = len(visible), and the whitener is 0 on the hidden columns. A label has a part that
    no encoder of x_A sees: L*_adapt = var_y - |target|^2 + E*, with |target|^2 below the explained variance of y given all x.

    Raises:
        ValueError: if the blocks overlap, repeat or leave the input.

    Source: conditional expectation of x_B given x_A; Lee et al. 2021, arXiv:2008.01064, section 3 (reconstruction pretexts).
    """
    sigma = moments.covariance
    visible, hidden = np.asarray(visible), np.asarray(hidden)
    both = np.concatenate([visible, hidden])
    if not len(visible) or not len(hidden) or len(set(both.tolist())) < len(both) or not ((both >= 0) & (both < len(sigma))).all():
        got = f"visible {visible.tolist()} and hidden {hidden.tolist()}"
        raise ValueError(f"fixed_mask_operator: {got}; allowed: disjoint, not empty, within [0, {len(sigma)})")
    within = inverse_root(sigma[np.ix_(visible, visible)])
    predicted = within @ sigma[np.ix_(visible, hidden)]
    whitener = np.zeros((len(visible), len(sigma)))
    whitener[:, visible] = within
    return Operator(predicted @ predicted.T, float(sigma.diagonal()[hidden].sum()), whitener, np.zeros(0))


def spectral_operator(moments: Moments) -> Operator:
    """S = (M_+)^2, c = 0, unitless: an *outer* operator of the spectral contrastive loss, profiled L_pre >= -tr(PS).

    Equality holds where the span is invariant under M; so bands from it hold with tr(PS) >= ..., never as an equality.
    `beyond` has the squared products of canonical correlations that nonlinear encoders reach (centred features); linear
    encoders ignore it.

    Raises:
        ValueError: if the moments have no cross-view covariance.

    Source: |(PMP)_+|_F^2 <= tr(P M_+^2); HaoChen et al. 2021; Hermite spectrum by Mehler's formula.
    """
    between = alignment(moments)
    values, vectors = np.linalg.eigh(between)
    positive = values.clip(min=0)
    return Operator(
        (vectors * positive**2) @ vectors.T, 0.0, inverse_root(moments.covariance), hermite_spectrum(values, MAX_RANK) ** 2
    )


def compression(embedding: Embedding, operator: Operator) -> Matrix:
    """Q (..., k, k), unitless: the encoder's span as it acts on the linear functions; a projector for linear encoders.

    Both losses follow from it with one basis: L_pre = c - tr(QS), L*_adapt = var_y - target' Q target.
    """
    basis = whitening(embedding.covariance) @ embedding.with_input @ operator.whitener.T
    return basis.swapaxes(-1, -2) @ basis
