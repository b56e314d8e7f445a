"""Indicators or targets projected on the span of the features: what LogME and the H-score are functions of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interface.estimators._base.inputs import Array
from interface.estimators._base.samples import Sample
from interface.estimators._base.spectra import EPS, centre

CONDITION = 1e-9  # smallest ratio of eigenvalues of X'X at which it loses nothing that matters
LOST = "ill-conditioned features: only X'X was at hand"


@dataclass(frozen=True)
class Projection:
    """Left singular coordinates of k outputs.

    Args:
        sigma: (r,) squared nonzero singular values of the features.
        squared: (r, k) squared coordinates (u_i'y)^2 of every output.
        total: (k,) squared norms of the outputs.
        residual: (k,) total minus the sum of squared, with round-off set to 0.
        n, d: shape of the features.
        trace: sum of all squared singular values.
        status: "ok", or that X'X was too ill-conditioned.
    """

    sigma: Array
    squared: Array
    total: Array
    residual: Array
    n: int
    d: int
    trace: float
    status: str = "ok"


def project(rows: Sample, *, centred: bool) -> Projection:
    """By one eigendecomposition of X'X for many well-conditioned rows, else by the singular values of the rows."""
    if not rows.small and rows.n > rows.d:
        found = _from_moments(rows, centred)
        if found.status == "ok":
            return found
    x = rows.rows()
    return _from_moments(rows, centred) if x is None else _from_rows(x, _outputs(rows), centred)


def _outputs(rows: Sample) -> Array:
    if rows.targets is not None:
        return rows.targets
    assert rows.codes is not None
    indicators = np.zeros((rows.n, int(rows.codes.max()) + 1))
    indicators[np.arange(rows.n), rows.codes] = 1.0
    return indicators[:, indicators.any(0)]


def _from_rows(x: Array, outputs: Array, centred: bool) -> Projection:
    x = centre(x) if centred else x
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    keep = s > max(x.shape) * EPS * s[0] * (1 if s[0] > 0 else 0)
    squared = (u[:, keep].T @ outputs) ** 2
    total = (outputs**2).sum(0)
    return Projection(s[keep] ** 2, squared, total, _residual(total, squared, len(x)), len(x), x.shape[1], float(s @ s))


def _from_moments(rows: Sample, centred: bool) -> Projection:
    moments = rows.moments
    gram = moments.scatter() if centred else moments.gram()
    eigenvalues, vectors = np.linalg.eigh(gram)
    top = float(eigenvalues[-1])
    keep = eigenvalues > 4 * EPS * np.sqrt(len(gram)) * top * (1 if top > 0 else 0)
    keep[: max(0, len(gram) - rows.n)] = False
    sigma, vectors = eigenvalues[keep], vectors[:, keep]
    if moments.targets is not None:
        t, xt, tt = moments.targets
        offset = moments.shift if centred else -moments.pivot
        cross, total = xt - np.outer(offset, t), np.diagonal(tt).copy()
    else:
        counts = moments.class_counts()
        means = moments.class_means() + (0.0 if centred else moments.mean)
        cross, total = (means * counts[:, None]).T, counts
    squared = (vectors.T @ cross) ** 2 / sigma[:, None]
    status = "ok" if eigenvalues[0] > CONDITION * top else LOST
    return Projection(sigma, squared, total, _residual(total, squared, rows.n), rows.n, rows.d, float(np.trace(gram)), status)


def _residual(total: Array, squared: Array, n: int) -> Array:
    residual = total - squared.sum(0)
    return np.where(residual > 8 * EPS * np.sqrt(n) * total, residual, 0.0)
