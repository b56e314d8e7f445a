"""What the files of this folder share: the records of an encoder and of a pretext, and the matrix roots behind both."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from interface.theory.moments import Matrix, Moments

__all__ = [
    "Embedding",
    "Matrix",
    "Moments",
    "Operator",
    "SpectralForm",
    "alignment",
    "hermite_spectrum",
    "inverse_root",
    "root",
    "spectral_form",
    "whitening",
]

CUT = 1e-10  # directions of z with less than this share of the largest variance (each coordinate scaled to 1) count as absent
DEAD = 1e-15  # coordinates below this share of the largest coordinate's variance are round-off
MAX_RANK = 64  # eigenvalues beyond the linear functions that an operator keeps: enough for bands up to this rank


class Embedding(NamedTuple):
    """Exact second moments of z = h(x) under one population; leading axes are runs or checkpoints. All float64.

    mean (..., r); covariance (..., r, r) of z, centred; with_input (..., r, d) = cov(z, x);
    cross (..., r, r) = cov(z(x1), z(x2)) between two views of one example, None where there are no views.
    """

    mean: Matrix
    covariance: Matrix
    with_input: Matrix
    cross: Matrix | None


class Operator(NamedTuple):
    """A pretext seen from the span of an encoder's coordinates: head-profiled L_pre = c - tr(PS), or >= for spectral contrast.

    S (k, k) positive semi-definite, on the linear functions of what the encoder reads, in whitened coordinates;
    c: loss of a constant encoder; whitener (k, d): takes x to those coordinates; beyond (m,): eigenvalues, descending,
    of S on functions that are not linear, which a nonlinear encoder can use (empty: all zero).
    """

    S: Matrix
    c: float
    whitener: Matrix
    beyond: Matrix

    def target(self, cov_xy: Matrix) -> Matrix:
        """Label in whitened coordinates: (d,) or (d, K) = E[x y] -> (k,) or (k, K)."""
        return self.whitener @ np.asarray(cov_xy, dtype=np.float64)

    def slope(self, direction: Matrix) -> Matrix:
        """beta (d,) of the label beta'x that is `direction` (k,) in whitened coordinates."""
        return self.whitener.T @ np.asarray(direction, dtype=np.float64)

    def floor(self, rank: int, *, linear: bool) -> float:
        """Lowest head-profiled L_pre that an encoder with `rank` coordinates can reach, in the loss's unit.

        Args:
            linear: True for linear encoders; False for any encoder (differs where `beyond` is not empty).
        """
        spectrum = np.linalg.eigvalsh(self.S)
        if not linear:
            spectrum = np.concatenate([spectrum, self.beyond])
        return float(self.c - np.sort(spectrum.clip(min=0))[::-1][:rank].sum())


class SpectralForm(NamedTuple):
    """A pretext and a target in the eigenbasis of S, eigenvalues descending, those beyond the linear functions among them.

    spectrum (n,); target (n, K), 0 on functions that are not linear; rank, at most n; best = sum of the top `rank` eigenvalues,
    c minus the floor; total = |target|_F^2.
    """

    spectrum: Matrix
    target: Matrix
    rank: int
    best: float
    total: float


def spectral_form(S: Matrix, target: ArrayLike, rank: int, beyond: ArrayLike = ()) -> SpectralForm:
    """Rotates S (k, k) and target (k,) or (k, K) into the eigenbasis of S, joined by the eigenvalues `beyond`.

    Raises:
        ValueError: if shapes do not fit, S is not positive semi-definite, rank < 1, or `beyond` is too short for the rank.
    """
    S, extra = np.asarray(S, dtype=np.float64), np.asarray(beyond, dtype=np.float64)
    label = np.asarray(target, dtype=np.float64)
    label = label[:, None] if label.ndim == 1 else label
    if S.ndim != 2 or S.shape[0] != S.shape[1] or label.ndim != 2 or len(label) != len(S):
        raise ValueError(f"S has shape {S.shape} and target {np.shape(target)}; allowed: (k, k) with (k,) or (k, K)")
    if rank < 1 or (len(extra) == MAX_RANK and rank > MAX_RANK):
        raise ValueError(f"rank is {rank}; allowed: at least 1{', at most 64 with `beyond`' if len(extra) else ''}")
    values, vectors = np.linalg.eigh(S)
    if not np.allclose(S, S.T, rtol=0, atol=1e-9 * np.abs(S).max(initial=0)) or values[0] < -1e-9 * np.abs(values).max():
        raise ValueError(f"S is not symmetric positive semi-definite: its lowest eigenvalue is {values[0]!r}")
    extra = np.sort(extra)[::-1][:rank]
    spectrum = np.concatenate([values.clip(min=0), extra])
    rotated = np.concatenate([vectors.T @ label, np.zeros((len(extra), label.shape[1]))])
    order = np.argsort(-spectrum, kind="stable")
    spectrum, rank = spectrum[order], min(rank, len(spectrum))
    return SpectralForm(spectrum, rotated[order], rank, float(spectrum[:rank].sum()), float(np.square(label).sum()))


def root(covariance: Matrix) -> Matrix:
    """Symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def inverse_root(covariance: Matrix) -> Matrix:
    """Symmetric inverse square root; directions below CUT of the largest variance give 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * _safe_power(values)) @ vectors.T


def whitening(covariance: Matrix) -> Matrix:
    """R (..., r, r) with R C R' = diag(1 or 0): rows whiten z; absent directions and dead coordinates give rows of 0.

    Coordinates are scaled to variance 1 before the cut, so that the span does not depend on their scales.
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    alive = variance > DEAD * variance.max(axis=-1, keepdims=True, initial=0.0)
    scale = np.where(alive, np.where(alive, variance, 1.0) ** -0.5, 0.0)
    values, vectors = np.linalg.eigh(covariance * scale[..., :, None] * scale[..., None, :])
    return _safe_power(values)[..., :, None] * vectors.swapaxes(-1, -2) * scale[..., None, :]


def _safe_power(values: Matrix) -> Matrix:
    keep = values > CUT * values.max(axis=-1, keepdims=True).clip(min=0)
    return np.where(keep, np.where(keep, values, 1.0) ** -0.5, 0.0)


def alignment(moments: Moments) -> Matrix:
    """M (d, d): correlation between two views in whitened coordinates; its eigenvalues are the canonical correlations.

    Raises:
        ValueError: if the moments have no cross-view covariance.
    """
    if moments.cross_covariance is None:
        raise ValueError("moments.cross_covariance is None; a contrastive loss needs a population with views")
    whitener = inverse_root(moments.covariance)
    between = whitener @ moments.cross_covariance @ whitener
    return 0.5 * (between + between.T)


def hermite_spectrum(correlations: ArrayLike, count: int = MAX_RANK) -> Matrix:
    """The `count` largest positive products prod rho_i^alpha_i with |alpha| >= 2, descending, unitless.

    They are the correlations between views that nonlinear functions of a Gaussian x reach: the conditional expectation
    of one view given the other is diagonal in the Hermite polynomials. |alpha| = 0, the constant, is left out because the loss
    centres features; |alpha| = 1 are the canonical correlations of the linear functions themselves.

    Args:
        correlations: (q,) canonical correlations, each in (-1, 1).

    Raises:
        ValueError: if a correlation is 1 or more in absolute value: infinitely many products are then 1.

    Source: Mehler's formula; Lancaster, "The structure of bivariate distributions", Ann. Math. Statist. 1958, section 3.

    Example:
        >>> hermite_spectrum(np.array([0.5, 0.0]), count=3).tolist()
        [0.25, 0.125, 0.0625]
    """
    rho = np.asarray(correlations, dtype=np.float64)
    rho = rho[np.abs(rho) > 1e-12]  # round-off of a zero correlation
    if (np.abs(rho) >= 1).any():
        raise ValueError(
            f"correlations: the largest is {np.abs(rho).max()!r} in absolute value; allowed: below 1 (is the noise 0?)"
        )
    found: list[float] = []
    # Best first: a multiset of factors is extended by its last factor or a later one, so each is met once, in order of |product|.
    heap = [(-abs(value), 1, position, value) for position, value in enumerate(rho)]
    heapq.heapify(heap)
    while heap and len(found) < count:
        size, degree, last, product = heapq.heappop(heap)
        if -size < 1e-18:
            break
        if degree > 1 and product > 0:
            found.append(product)
        for position in range(last, len(rho)):
            extended = product * rho[position]
            heapq.heappush(heap, (-abs(extended), degree + 1, position, extended))
    return np.array(found)
