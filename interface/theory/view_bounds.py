"""Bounds on what a probe loses that reads a prediction of one part of the data from another, when both parts carry the label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def redundancy_bound(gap: float, oscillation: float = 0.0, excess: float = 0.0) -> float:
    """E* <= (sqrt(gap) + oscillation / 2 sqrt(2 excess))^2, squared units of y, for a probe on q(z | x) with real y.

    E* is the least E(E[y | x] - probe)^2. Low where z alone tells almost all that x and z together tell about y.

    Args:
        gap: E(E[y | z] - E[y | x, z])^2; oscillation: max - min over z of E[y | z]; excess: KL(p(z | x) || q(z | x)), nats.

    Source: Tosh, Krishnamurthy, Hsu, "Contrastive learning, multi-view redundancy, and linear models", ALT 2021,
        arXiv:2008.10150, whose mu(x) = E[E[y | z] | x] is linear in p(z | x); conditional expectation contracts, then Pinsker.

    Example:
        >>> redundancy_bound(0.25), redundancy_bound(0.0, oscillation=2.0, excess=0.5)
        (0.25, 1.0)
    """
    return (np.sqrt(gap) + 0.5 * oscillation * np.sqrt(2 * max(excess, 0.0))).item() ** 2


def reconstruction_bound(given_class: ArrayLike, dependence: float, excess: float) -> float:
    """E* <= ((sqrt(dependence) + sqrt(excess)) / sigma_min(A))^2 in squared units of one-hot labels, for a probe on psi-hat(x1).

    inf where the classes' mean targets are linearly dependent.

    Args:
        given_class: A (K, d2), E[x2 | y], one row a class.
        dependence: E|psi(x1) - A'E[y | x1]|^2 with psi = E[x2 | x1]; 0 if x1 and x2 are independent given y.
        excess: E|psi-hat - psi|^2, the excess of the squared pretraining loss of predicting x2 from x1.

    Source: Lee, Lei, Saunshi, Zhuo, "Predicting what you already know helps", NeurIPS 2021, arXiv:2008.01064, without its
        finite-sample term; E[y | x1] = (A')^+ (psi - remainder).
    """
    A = np.asarray(given_class, dtype=np.float64)
    least = np.linalg.svd(A, compute_uv=False)[-1] if A.shape[0] <= A.shape[1] else 0.0
    if least <= 1e-12:
        return float(np.inf)
    return float(((np.sqrt(max(dependence, 0.0)) + np.sqrt(max(excess, 0.0))) / least) ** 2)
