"""Spectra of features: from singular values of the rows, or from X'X only where its rounding cannot matter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interface.estimators._base.inputs import Array
from interface.estimators._base.samples import Sample

EPS = float(np.finfo(np.float64).eps)
HARMLESS = 1e-8  # largest effect of rounding on a value, relative, at which the X'X route is taken
LOST = "small singular values lost: only X'X was at hand"


@dataclass(frozen=True)
class Spectrum:
    """Singular values, descending, with a bound on each one's rounding error.

    Args:
        singular: (min(n, d),) singular values.
        error: (min(n, d),) bounds on their absolute errors.
        status: "ok", or that small ones were lost.
    """

    singular: Array
    error: Array
    status: str = "ok"


def spectrum(rows: Sample, *, centred: bool, effect: Callable[[Array, Array], float]) -> Spectrum:
    """Singular values of the features, by X'X where `effect(singular, error)` <= HARMLESS, else from the rows.

    The eigenvalues of X'X are right to about d eps of the largest, so that singular values below 1e-8 of the
    largest are lost; those of the rows are right to eps of the largest.
    """
    if not rows.small:
        moments = rows.moments
        found = from_gram(moments.scatter() if centred else moments.gram(), rows.n)
        if effect(found.singular, found.error) <= HARMLESS:
            return found
        x = rows.rows()
        if x is None:
            return Spectrum(found.singular, found.error, LOST)
    else:
        x = rows.x
    assert x is not None
    x = centre(x) if centred else x
    singular: Array = np.linalg.svd(x, compute_uv=False).astype(np.float64)
    return Spectrum(singular, np.full(len(singular), EPS * max(x.shape) * (singular[0] if len(singular) else 0.0)))


def from_gram(gram: Array, n: int) -> Spectrum:
    """Singular values from X'X; those at the level of its rounding error are set to 0."""
    largest = min(n, len(gram))
    eigenvalues = np.linalg.eigvalsh(gram)[::-1][:largest]
    top = max(float(eigenvalues[0]), 0.0)
    noise = 4 * EPS * np.sqrt(len(gram)) * top
    kept = np.where(eigenvalues > noise, eigenvalues, 0.0)
    singular = np.sqrt(kept)
    return Spectrum(singular, np.asarray(np.minimum(noise / (2 * np.maximum(singular, 1e-300)), np.sqrt(noise))))


def centre(x: Array) -> Array:
    """x minus its column means; about a pivot first, so that a large offset costs no digits."""
    shifted = x - x[0]
    return shifted - shifted.mean(0)


def variances(found: Spectrum, n: int) -> Array:
    """Eigenvalues of the covariance (divided by n - 1) from centred singular values, those at rounding level set to 0."""
    singular = np.where(found.singular > found.error, found.singular, 0.0)
    return singular**2 / max(n - 1, 1)


def rank(found: Spectrum) -> int:
    """Number of singular values above their rounding error."""
    return int(np.sum(found.singular > found.error))
