"""LiDAR: the effective rank of what separates objects, in units of what separates views of one object."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Moments, Statistics, class_codes, matrix, one_of, positive, rowwise

CONVENTIONS = ("paper", "stable_pretraining")


def lidar(
    features: ArrayLike | Statistics,
    objects: ArrayLike | None = None,
    *,
    views: int | None = None,
    delta: float = 1e-4,
    relative: bool = False,
    eps: float = 1e-8,
    convention: str = "paper",
    blocks: int | None = None,
) -> Estimate:
    """Exponential of the entropy of the eigenvalues of S_w^-1/2 S_b S_w^-1/2; unitless, in [1, min(d, objects - 1)].

    High: many directions separate objects beyond the noise of their views.

    Args:
        features: (n, d) features, several views (rows) of every object; or Statistics that saw the objects as labels.
        objects: (n,) which object a row is a view of.
        views: instead of objects: rows come in groups of so many views of one object.
        delta: ridge on the within-object covariance. In the features' squared units, as published; so scale features,
            or set `relative`.
        relative: take delta in units of the mean within-object variance.
        eps: offset of the probabilities.
        convention: "paper": p = lam / sum(lam) + eps; "stable_pretraining": p = (lam + eps) / sum(lam + eps).
        blocks: blocks of *objects* for the standard error; None: 24 at most (none for d > 300), 0: none.

    Returns:
        Estimate with a delete-a-block standard error over objects, n the number of objects. "no signal" and 0 if
        all object means are equal; "one object" or "one view" and NaN where a covariance does not exist.

    Raises:
        ValueError: if neither or both of objects and views are given, or an input is malformed.

    Source: Thilak et al., "LiDAR", ICLR 2024, arXiv:2312.04000, section 3.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> centres = rng.normal(size=(80, 1, 6))
        >>> x = (centres + 0.1 * rng.normal(size=(80, 5, 6))).reshape(-1, 6)
        >>> bool(lidar(x, views=5) > 5)
        True
    """
    one_of(convention, CONVENTIONS, "convention")
    positive(delta, "delta", zero=True)
    positive(eps, "eps", zero=True)
    if isinstance(features, Statistics):
        if objects is not None or views is not None:
            raise ValueError("objects must be given to Statistics.add, beside its features")
        moments = features.moments
        value, status = _value(moments, delta, relative, eps, convention)
        return Estimate(value, how="plug_in", n=len(moments.present()), status=status)
    if (objects is None) == (views is None):
        raise ValueError("objects and views: give exactly one of them")
    x = matrix(features)
    if views is not None:
        if views < 1 or len(x) % views:
            raise ValueError(f"views is {views}; allowed: a divisor of the {len(x)} rows")
        objects = np.repeat(np.arange(len(x) // views), views)
    codes, _ = class_codes(objects, len(x), "objects")  # type: ignore[arg-type]
    count = int(codes.max()) + 1

    def on(kept: np.ndarray) -> float:
        chosen = np.isin(codes, kept)
        return _value(Statistics().add(x[chosen], codes[chosen]).moments, delta, relative, eps, convention)[0]

    value, status = _value(Statistics().add(x, codes).moments, delta, relative, eps, convention)
    wanted = 0 if not np.isfinite(value) or (blocks is None and x.shape[1] > 300) else blocks
    return Estimate(value, stderr=rowwise(on, count, wanted), how="plug_in", n=count, status=status)


def _value(moments: Moments, delta: float, relative: bool, eps: float, convention: str) -> tuple[float, str]:
    from scipy.linalg import eigh  # here, because it costs import time

    counts, means = moments.class_counts(), moments.class_means()
    objects = len(counts)
    if objects < 2:
        return float("nan"), "one object"
    if moments.n <= objects:
        return float("nan"), "one view"
    means = means - means.mean(0)
    between = means.T @ means / (objects - 1)
    within = (moments.scatter() - moments.between()) / (moments.n - objects)
    size = float(np.trace(between) + np.trace(within))
    if np.trace(between) <= 1e-24 * float(np.trace(moments.gram())) / moments.n:
        return 0.0, "no signal"
    ridge = delta * (max(float(np.trace(within)), 0.0) / moments.d if relative else 1.0)
    ridge = max(ridge, 1e-14 * size)  # keeps S_w invertible where views do not differ at all
    values = np.maximum(eigh(between, within + ridge * np.eye(moments.d), eigvals_only=True), 0.0)
    # 0 <= lam: round-off aside, at most objects - 1 of them differ from 0
    p = values / values.sum() + eps if convention == "paper" else (values + eps) / (values + eps).sum()
    return float(np.exp(-np.sum(p * np.log(np.where(p > 0, p, 1.0))))), "ok"
