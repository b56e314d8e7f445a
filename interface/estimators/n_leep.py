"""N-LEEP: LEEP with the clusters of a Gaussian mixture instead of source classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, centre, class_codes, log_expected, matrix, one_of

# share of variance that PCA keeps, covariance type, ridge
CONVENTIONS = {
    "paper": (0.8, "full", 1e-6),
    "google": (None, "full", 1e-6),
    "secret_hammer": (0.8, "spherical", 1e-5),
    "pactran": (0.8, "full", 1e-6),
}


def n_leep(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    convention: str = "paper",
    components: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    halves: int | None = None,
) -> Estimate:
    """LEEP of the posteriors of a Gaussian mixture fitted to the features; nats, <= 0.

    High (near 0): clusters are pure in the labels. Optimistic, because mixture and P(y|z) have seen the same rows:
    0 for separable data; and it depends on the seed.

    Args:
        features: (n, d) features.
        labels: (n,) classes.
        convention: "paper" (PCA keeps 80% of the variance, 5 C components, full covariances), "google" (no PCA; its
            code takes seed 123), "secret_hammer" (spherical, ridge 1e-5), "pactran" (max(min(C, n/5), n/10) components).
        components: clusters instead of the convention's number; never more than n.
        seeds: one mixture each; the value is their mean. Call with one seed at a time to see the spread.
        halves: random half samples for the standard error, each with its own mixture; None: 16 for n d <= 10,000,
            0: none.

    Returns:
        Estimate with a delete-half jackknife standard error, in which mixtures move with the sample and the seed
        (errors given one mixture are half as large). "not converged" where a mixture's EM stopped early; "no signal"
        and the entropy of the labels, negated, if no feature varies; "one class" and 0.

    Raises:
        ValueError: if an option is unknown, no seed is given, or an input is malformed.

    Source: Li et al., "Ranking neural checkpoints", CVPR 2021, arXiv:2011.11200, section 4.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = np.arange(120) % 2
        >>> noise = rng.normal(size=(120, 2))
        >>> bool(n_leep(noise + 9 * np.eye(2)[y], y, seeds=[0]) > n_leep(noise, y, seeds=[0]))
        True
    """
    one_of(convention, tuple(CONVENTIONS), "convention")
    if len(seeds) == 0:
        raise ValueError("seeds is empty; give at least one")
    if components is not None and components < 1:
        raise ValueError(f"components is {components}; allowed: None or a number >= 1")
    x = matrix(features, min_rows=2)
    codes, classes = class_codes(labels, len(x))
    n, c = len(x), len(classes)
    if convention == "paper":  # mixtures start from rows in their order; the published codes take the caller's
        order = np.lexsort(np.column_stack([codes, x[:, :3]]).T)
        x, codes = x[order], codes[order]
    centred = centre(x)
    scale = float(np.sqrt((centred**2).mean()))
    if scale <= 1e-15 * float(np.abs(x).max()) or scale == 0:
        share = np.bincount(codes) / n
        return Estimate(float((share * np.log(share)).sum()), how="plug_in", n=n, status="no signal")
    fits = [_fit(x, codes, convention, components, seed) for seed in seeds]
    value = float(np.mean([mean for mean, _ in fits]))
    status = "ok" if c > 1 else "one class"
    if status == "ok" and not all(done for _, done in fits):
        status = "not converged"
    count = (16 if x.size <= 10_000 else 0) if halves is None else halves
    stderr = None
    if count > 1 and n >= 8:
        rng = np.random.default_rng(n)
        chosen = [np.sort(rng.permutation(n)[: n // 2]) for _ in range(count)]
        values = [_fit(x[half], codes[half], convention, components, seed)[0] for seed, half in enumerate(chosen)]
        # of one mixture; the mean over seeds has no larger error
        stderr = float(np.std(values, ddof=1) * np.sqrt((n // 2) / (n - n // 2)))
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status=status)


def _reduced(x: Array, energy: float) -> Array:
    """Principal components that keep a share of the variance."""
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    keep = int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), energy) + 1)
    return u[:, :keep] * s[:keep]


def _fit(x: Array, codes: np.ndarray, convention: str, components: int | None, seed: int) -> tuple[float, bool]:
    """LEEP of one mixture's posteriors, and whether its EM converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    energy, covariance, ridge = CONVENTIONS[convention]
    codes = np.unique(codes, return_inverse=True)[1]
    n, c = len(x), int(codes.max()) + 1
    x = centre(x)
    if not x.any():
        share = np.bincount(codes) / n
        return float((share * np.log(share)).sum()), True
    if energy is not None:
        x = _reduced(x, energy)
    if convention == "paper":  # in units of its own scale, except where a published ridge is to be met
        x = x / float(np.sqrt((x**2).mean()))
    wanted = components or (int(max(min(c, n / 5), n / 10)) if convention == "pactran" else 5 * c)
    wanted = max(1, min(wanted, n))
    mixture = GaussianMixture(wanted, covariance_type=covariance, reg_covar=ridge, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by the status; also raised for repeated rows
        posterior = mixture.fit(x).predict_proba(x)
    return float(log_expected(posterior, codes)[0].mean()), bool(mixture.converged_)
