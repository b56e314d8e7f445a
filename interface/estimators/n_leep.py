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
        seeds: one mixture each; the value is their mean.

    Returns:
        Estimate whose standard error adds the spread over seeds to the sampling error given a mixture, which leaves
        out that the mixture moves with the sample. "not converged" where a mixture's EM stopped early; "no signal"
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
    energy, covariance, ridge = CONVENTIONS[convention]
    if energy is not None:
        centred = _reduced(centred, energy)
    wanted = components or (int(max(min(c, n / 5), n / 10)) if convention == "pactran" else 5 * c)
    wanted = max(1, min(wanted, n))
    # in units of its own scale except where a published ridge is to be met
    data = centred if convention != "paper" else centred / scale
    fits = [_fit(data, codes, wanted, covariance, ridge, seed) for seed in seeds]
    values = np.array([terms.mean() for terms, _, _ in fits])
    sampling = float(np.mean([influence.var(ddof=1) / n for _, influence, _ in fits]))
    spread = float(values.var(ddof=1)) if len(seeds) > 1 else 0.0
    status = "ok" if c > 1 else "one class"
    if status == "ok" and not all(done for _, _, done in fits):
        status = "not converged"
    return Estimate(float(values.mean()), stderr=float(np.sqrt(sampling + spread)), how="plug_in", n=n, status=status)


def _reduced(x: Array, energy: float) -> Array:
    """Principal components that keep a share of the variance."""
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    keep = int(np.searchsorted(np.cumsum(s**2) / np.sum(s**2), energy) + 1)
    return u[:, :keep] * s[:keep]


def _fit(x: Array, codes: np.ndarray, components: int, covariance: str, ridge: float, seed: int) -> tuple[Array, Array, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(components, covariance_type=covariance, reg_covar=ridge, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by the status; also raised for repeated rows
        posterior = mixture.fit(x).predict_proba(x)
    terms, influence = log_expected(posterior, codes)
    return terms, influence, bool(mixture.converged_)
