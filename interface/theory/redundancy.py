"""Barlow Twins in closed form: the loss of an embedding, its minimum over linear maps, and the lowest value of that."""

from __future__ import annotations

import numpy as np

from interface.theory._base import Embedding, Matrix, Moments, alignment, hermite_spectrum, whitening


def barlow_twins_loss(embedding: Embedding, *, weight: float = 1.0, profiled: bool = False) -> Matrix:
    """sum_i (1 - C_ii)^2 + weight sum_{i != j} C_ij^2 of the correlations C between the features of two views, unitless.

    Profiled: the minimum over all linear maps of z to equally many coordinates, at weight 1; between 0 and r. Where z is rank
    deficient it is a lower bound. A coordinate that does not vary counts 1.

    Returns:
        (...) one loss for each leading index of the embedding.

    Raises:
        ValueError: if the embedding has no cross-view covariance.

    Source: Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: self-supervised learning via redundancy reduction", ICML 2021,
        arXiv:2103.03230, eq. (1) and (2). The minimum is `least_redundancy` of the canonical correlations.
    """
    if embedding.cross is None:
        raise ValueError("embedding.cross is None; a loss of two views needs moments with a cross-view covariance")
    if profiled:
        whitener = whitening(embedding.covariance)
        between = whitener @ embedding.cross @ whitener.swapaxes(-1, -2)
        return least_redundancy(np.asarray(np.linalg.eigvalsh(0.5 * (between + between.swapaxes(-1, -2)))))
    deviation = np.sqrt(np.diagonal(embedding.covariance, axis1=-2, axis2=-1))
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    correlation = embedding.cross * scale[..., :, None] * scale[..., None, :]
    diagonal = np.diagonal(correlation, axis1=-2, axis2=-1)
    return np.square(1 - diagonal).sum(-1) + weight * (np.square(correlation).sum((-2, -1)) - np.square(diagonal).sum(-1))


def barlow_twins_floor(moments: Moments, rank: int, *, linear: bool) -> float:
    """Lowest profiled Barlow Twins loss with `rank` coordinates, unitless: from the largest correlations that views allow.

    Nonlinear encoders can use products of canonical correlations too (see `hermite_spectrum`).
    """
    rho = np.linalg.eigvalsh(alignment(moments))
    reach = rho if linear else np.concatenate([rho, hermite_spectrum(rho, rank)])
    best = np.sort(reach)[::-1][:rank]
    return float(least_redundancy(np.concatenate([best, np.zeros(rank - len(best))])))


def energies(correlations: Matrix) -> Matrix:
    """Variances k (..., r) >= 0 of sum at most r that minimise sum (1 - k_i rho_i)^2: k_i = (rho_i - m)_+ / rho_i^2, m >= 0.

    They are unequal so as to serve the less correlated coordinates better. Correlations <= 0 take what is left, at no cost; it is
    not returned.
    """
    rho = np.asarray(correlations, dtype=np.float64)
    order = np.argsort(-rho, axis=-1)
    ranked = np.take_along_axis(rho, order, -1)
    r = rho.shape[-1]
    usable = ranked > 1e-12
    safe = np.where(usable, ranked, 1.0)
    level = (np.where(usable, 1 / safe, 0).cumsum(-1) - r) / np.where(usable, safe**-2, 0).cumsum(-1).clip(min=1e-300)
    level = level.clip(min=0)
    # The first j coordinates share everything as long as the j-th is above the level that they need.
    inside = usable & (ranked > level)
    count = inside.sum(-1, keepdims=True)
    chosen = np.take_along_axis(level, (count - 1).clip(min=0), -1)
    k = np.where(inside & (np.arange(r) < count), (ranked - chosen) / safe**2, 0.0)
    out = np.empty_like(k)
    np.put_along_axis(out, order, k, -1)
    return out


def least_redundancy(correlations: Matrix) -> Matrix:
    """Minimum (...) of the Barlow Twins loss at weight 1 over linear maps, from canonical correlations (..., r), unitless.

    A map B of whitened features with unit rows has loss |I - B M B'|^2 = r - 2 tr(KM) + tr(KMKM) with K = B'B >= 0 and tr K = r,
    and every such K has a B with unit rows (Schur and Horn). For M >= 0 this is convex in K and least at K diagonal with M.
    Correlations below 0, which views that are drawn alike do not have, count as 0.
    """
    rho = np.asarray(correlations, dtype=np.float64).clip(min=0)
    return np.square(1 - energies(rho) * rho).sum(-1)
