"""Mediation: how much of a treatment's effect on L*_adapt passes through L_pre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._resampling import cluster_weights, percentile_interval

RESAMPLES = 2_000
FEWEST = 6  # clusters below which resampling them says little


@dataclass(frozen=True, eq=False)
class Mediation:
    """A treatment's effect on y split in two, in units of y per unit of the treatment.

    Args:
        indirect: through the mediator: its response to the treatment times y's response to it at equal treatment.
        direct: what is left at equal mediator.
        total: their sum.
        n_clusters: clusters that were resampled.
        resamples: (b, 3) indirect, direct and total of each resample; nan where a resample identifies none.
    """

    indirect: float
    direct: float
    total: float
    n_clusters: int
    resamples: np.ndarray

    def interval(self, which: str = "indirect", level: float = 0.95) -> tuple[float, float]:
        """Cluster-bootstrap percentile interval, expanded for few clusters.

        Raises:
            ValueError: if `which` is not "indirect", "direct" or "total".
        """
        names = ("indirect", "direct", "total")
        if which not in names:
            raise ValueError(f"Mediation.interval: which is {which!r}; allowed: {', '.join(map(repr, names))}")
        return percentile_interval(self.resamples[:, names.index(which)], self.n_clusters, level)


def mediation(
    treatment: ArrayLike,
    mediator: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    controls: ArrayLike | None = None,
    resamples: int = RESAMPLES,
) -> Mediation:
    """Linear mediation by the product of coefficients, with a bootstrap of whole clusters.

    It is a decomposition, and an effect only if nothing else moves mediator and y together at equal treatment and controls; along
    a run time does, so that checkpoints at different steps must not be mixed without step among the controls.

    Args:
        treatment, mediator, y: (n,), such as log size, L_pre and L*.
        clusters: (n,) labels of what is independent.
        rng: randomness of the bootstrap.
        controls: (n, c) columns held equal; the constant is always among them.
        resamples: number of resamples.

    Raises:
        ValueError: if there are fewer than 6 clusters, a value is not finite, or treatment, mediator and controls are collinear.

    Source: Baron and Kenny 1986; interval by the percentile bootstrap as in MacKinnon, Lockwood and Williams 2004, over clusters.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> size, noise = rng.normal(size=400), rng.normal(size=400)
        >>> loss = -size + noise
        >>> found = mediation(size, loss, 0.5 * loss - 0.25 * size, np.arange(400) // 20, rng=rng, resamples=50)
        >>> round(found.direct, 6), abs(found.total - found.indirect - found.direct) < 1e-12
        (-0.25, True)
    """
    t, m, outcome = (np.asarray(v, dtype=np.float64) for v in (treatment, mediator, y))
    held = np.empty((len(t), 0)) if controls is None else np.asarray(controls, dtype=np.float64).reshape(len(t), -1)
    z = np.column_stack([np.ones(len(t)), held, t, m, outcome])
    if not np.isfinite(z).all():
        raise ValueError("mediation: a value is not finite; drop or impute it first")
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    g = int(codes.max()) + 1
    if g < FEWEST:
        raise ValueError(f"mediation: {g} cluster(s); at least {FEWEST} are needed for a bootstrap over clusters")
    centre, scale = z[:, 1:].mean(0), z[:, 1:].std(0)
    standard = (z[:, :-1] - np.r_[0, centre[:-1]]) / np.r_[1, np.where(scale[:-1] > 0, scale[:-1], 1)]
    if (scale[:-1] == 0).any() or np.linalg.matrix_rank(standard) < standard.shape[1]:
        raise ValueError("mediation: treatment, mediator and controls are collinear; no effect can be split")
    z[:, 1:] = (z[:, 1:] - centre) / np.where(scale > 0, scale, 1)
    products = np.zeros((g, z.shape[1], z.shape[1]))
    np.add.at(products, codes, z[:, :, None] * z[:, None, :])
    weights = np.vstack([np.ones(g), cluster_weights(g, resamples, rng)])
    effects = _effects(np.tensordot(weights, products, axes=1)) * scale[-1] / scale[-3]
    indirect, direct, total = map(float, effects[0])
    return Mediation(indirect, direct, total, g, effects[1:])


def _effects(moments: np.ndarray) -> np.ndarray:
    """(b, 3) indirect, direct, total from cross-products of (1, controls, t, m, y)."""
    k = moments.shape[-1] - 2  # columns up to the treatment
    with np.errstate(all="ignore"):
        usable = np.linalg.cond(moments[:, : k + 1, : k + 1]) < 1e12
    safe = np.where(usable[:, None, None], moments, np.eye(k + 2))
    first = np.linalg.solve(safe[:, :k, :k], safe[:, :k, k : k + 2])  # mediator and y on treatment
    second = np.linalg.solve(safe[:, : k + 1, : k + 1], safe[:, : k + 1, k + 1 :])[..., 0]  # y on treatment and mediator
    indirect = first[:, k - 1, 0] * second[:, k]
    effects = np.stack([indirect, second[:, k - 1], first[:, k - 1, 1]], axis=1)
    return np.where(usable[:, None], effects, np.nan)
