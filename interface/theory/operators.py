"""Pretexts as operators: S and c with head-profiled L_pre = c - tr(PS), P the projector on the encoder's span."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from interface.theory._base import (
    MAX_RANK,
    Embedding,
    Matrix,
    Moments,
    alignment,
    hermite_spectrum,
    inverse_root,
    root,
    whitening,
)
from interface.theory._base import Operator as Operator
from interface.theory.losses import corrupted


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


def cross_view_operator(moments: Moments) -> Operator:
    """S = Sigma^-1/2 Sigma_12 Sigma_21 Sigma^-1/2, c = tr Sigma, squared units of x: one view predicted from the other.

    L_pre = c - tr(PS) exactly, for any encoder with an affine head, because E[x2 | x1] is linear.

    Raises:
        ValueError: if the moments have no cross-view covariance.
    """
    half = root(moments.covariance)
    predicted = alignment(moments) @ half  # Sigma^-1/2 Sigma_12
    return Operator(predicted @ predicted.T, float(np.trace(moments.covariance)), inverse_root(moments.covariance), np.zeros(0))


def tasks_operator(moments: Moments, tasks: Matrix) -> Operator:
    """S = sum_j b_j b_j' / T with b_j = Sigma^1/2 a_j, c = tr S: the mean squared error of T linear tasks a_j'x.

    Args:
        tasks: (T, d) coefficients a_j.

    Source: Tripuraneni, Jordan, Jin, "On the theory of transfer learning: the importance of task diversity", NeurIPS 2020:
        the least eigenvalue of S on the span of the target is the diversity that bounds the transfer.
    """
    whitened = np.asarray(tasks, dtype=np.float64) @ root(moments.covariance)
    S = whitened.T @ whitened / len(whitened)
    return Operator(S, float(np.trace(S)), inverse_root(moments.covariance), np.zeros(0))


def denoising_operator(moments: Moments, noise: float) -> Operator:
    """S = C^-1/2 Sigma^2 C^-1/2 with C = Sigma + noise^2 I, c = tr Sigma, squared units of x: x predicted from x + noise.

    Coordinates are those of the corrupted input: `target` is the label as a probe on x + noise reads it. A probe of clean x is
    not in its band; see `clean_probe`.

    Raises:
        ValueError: if the noise is not a number > 0.
    """
    within = inverse_root(corrupted(moments, noise).covariance)
    predicted = within @ moments.covariance
    return Operator(predicted @ predicted.T, float(np.trace(moments.covariance)), within, np.zeros(0))


class CleanProbe(NamedTuple):
    """E* of a probe on clean x is at most factor * band(S, target, rank, excess).high, for linear denoising encoders."""

    factor: float
    target: Matrix


def clean_probe(moments: Moments, noise: float) -> CleanProbe:
    """The upper side that a denoising excess sets for a probe which reads clean x: factor, unitless, and whitened label (d,).

    The factor is lambda_max(C^-1/2 Sigma C^-1/2) < 1, the label C^1/2 Sigma^-1 E[x y]; there is no lower side. `S` and `excess`
    are those of `denoising_operator` and `denoising_floor`.

    Source: for every residual slope s, s'Sigma s <= lambda_max(C^-1/2 Sigma C^-1/2) s'C s.
    """
    wide = corrupted(moments, noise).covariance
    within = inverse_root(wide)
    factor = float(np.linalg.eigvalsh(within @ moments.covariance @ within)[-1])
    return CleanProbe(factor, root(wide) @ np.linalg.solve(moments.covariance, moments.cov_xy))


def compression(embedding: Embedding, operator: Operator) -> Matrix:
    """Q (..., k, k), unitless: the encoder's span as it acts on the linear functions; a projector for linear encoders.

    Both losses follow from it with one basis: L_pre = c - tr(QS), L*_adapt = var_y - target' Q target.
    """
    basis = whitening(embedding.covariance) @ embedding.with_input @ operator.whitener.T
    return basis.swapaxes(-1, -2) @ basis
