"""By how much a covariate shift can multiply the excess of a frozen representation."""

from __future__ import annotations

import numpy as np

from interface.theory._base import Matrix, inverse_root


def shift_constant(source: Matrix, target: Matrix, *, linear: bool) -> float:
    """kappa with E*_target <= kappa E*_source for one encoder and one label function E[y | x], unitless; inf if there is none.

    Linear encoders with a linear label: the largest eigenvalue of Sigma_S^-1/2 Sigma_T Sigma_S^-1/2. Any encoder: the essential
    supremum of the density ratio of two centred Gaussians, sqrt(det Sigma_S / det Sigma_T) where Sigma_T <= Sigma_S, else inf.
    A zero stays a zero; a label that changes with the population (concept shift) is outside of this.

    Args:
        source, target: (d, d) covariances of x.
        linear: whether the encoder is linear; the smaller constant fails for others.

    Source: E*_T is at most the target loss of the source's best probe, an integral of a nonnegative function (Cortes, Mansour,
        Mohri, "Learning bounds for importance weighting", NeurIPS 2010, eq. (3)).

    Example:
        >>> source, narrower = np.diag([2.0, 1.0]), np.diag([1.0, 1.0])
        >>> round(shift_constant(source, narrower, linear=True), 9), round(shift_constant(source, narrower, linear=False), 9)
        (1.0, 1.414213562)
    """
    whitener = inverse_root(source)
    ratios = np.linalg.eigvalsh(whitener @ target @ whitener)
    if linear:
        return float(ratios[-1])
    if ratios[-1] > 1 + 1e-12:
        return np.inf
    return float(np.exp(-0.5 * np.log(ratios).sum()))
