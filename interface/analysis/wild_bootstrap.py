"""The wild cluster bootstrap: a sensitivity test for few clusters that does not lean on a t distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._least_squares import least_squares

ENUMERATED = 12  # clusters up to which all sign vectors are tried: 4,096
DRAWS = 9_999
TIE = 1e-9  # relative: statistics that differ by less are equal


@dataclass(frozen=True, eq=False)
class WildBootstrap:
    """A coefficient with its restricted wild cluster bootstrap test.

    Args:
        estimate: weights'coefficients.
        n_clusters: g.
        draws: number of sign vectors; 2^g where all were tried.
        enumerated: whether all were tried: then p-values are exact for that distribution and need no seed.
        smallest_p: 2 / draws: what no table of so few clusters can fall below.
    """

    estimate: float
    n_clusters: int
    draws: int
    enumerated: bool
    smallest_p: float
    _observed: np.ndarray  # numerators at the null: constant and slope in theta of the summed cluster scores
    _pieces: tuple[np.ndarray, ...]

    def p_value(self, against: float = 0.0) -> float:
        """Two-sided p of coefficient = against, with the null imposed on the residuals."""
        own, pull, signs, scale = self._pieces
        base = own[:, 0] - against * own[:, 1]  # a_g: contribution of each cluster's restricted scores to the estimate
        leverage = pull[..., 0] - against * pull[..., 1]  # (g, g): how sign j moves the residual score of cluster i
        moved = signs @ base
        spread = signs * base - signs @ leverage.T
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(moved) / np.sqrt(scale * (spread**2).sum(1))
        observed = t[0]
        return float(np.mean(~(t < observed * (1 - TIE))))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Values that the test does not reject at 1 - level; infinite on a side where every value is kept."""
        alpha = 1 - level
        width = abs(float(self._observed[0])) or 1.0
        return self._end(-width, alpha), self._end(width, alpha)

    def _end(self, step: float, alpha: float) -> float:
        inside, outside = self.estimate, self.estimate + step
        for _ in range(40):
            if self.p_value(outside) <= alpha:
                break
            inside, outside = outside, self.estimate + 2 * (outside - self.estimate)
        else:
            return float("inf") if step > 0 else float("-inf")
        while abs(outside - inside) > 1e-6 * abs(step):
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if self.p_value(middle) > alpha else (inside, middle)
        return 0.5 * (inside + outside)


def wild_bootstrap(
    design: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike,
    weights: ArrayLike,
    *,
    rng: np.random.Generator | None = None,
    draws: int = DRAWS,
) -> WildBootstrap:
    """Restricted wild cluster bootstrap-t of weights'coefficients (units of y), Rademacher signs, CR1 in the statistic.

    All 2^g sign vectors are tried up to 12 clusters, `draws` random ones above. It is conservative at few clusters; where
    `smallest_p` exceeds the level it cannot reject at all.

    Args:
        design: (n, k), the constant included.
        y: (n,).
        clusters: (n,) labels.
        weights: (k,) which combination of coefficients.
        rng: randomness, needed above 12 clusters.
        draws: number of random sign vectors there.

    Raises:
        ValueError: if the columns are collinear, n <= k, there are fewer than 2 clusters, or above 12 clusters without rng.

    Source: Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference with clustered errors", Rev. Economics and
        Statistics 2008; Roodman, MacKinnon, Nielsen and Webb, "Fast and wild", Stata Journal 2019 (from cluster sums only).

    Example:
        >>> x, cluster = np.tile(np.arange(4.0), 6), np.repeat(np.arange(6), 4)
        >>> y = x + np.sin(cluster + x)
        >>> test = wild_bootstrap(np.column_stack([np.ones(24), x]), y, cluster, [0, 1])
        >>> test.draws, test.p_value(test.estimate), test.p_value(0.0) == test.smallest_p
        (64, 1.0, True)
    """
    matrix, outcome, c = (np.asarray(v, dtype=np.float64) for v in (design, y, weights))
    coefficients, root = least_squares(matrix, outcome)
    bread = root @ root.T
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    g = int(codes.max()) + 1
    if g < 2:
        raise ValueError(f"wild_bootstrap: clusters holds {g} label; at least 2 clusters are needed")
    if g > ENUMERATED and rng is None:
        raise ValueError(f"wild_bootstrap: {g} clusters need random signs (all are tried up to {ENUMERATED}); give rng")
    direction = bread @ c
    estimate = float(c @ coefficients)

    # restricted coefficients: b - bread c (c'b - theta) / (c' bread c); scores of its residuals are linear in theta
    toward = direction / (c @ direction)
    fixed, per_theta = outcome - matrix @ (coefficients - toward * estimate), matrix @ toward
    k = matrix.shape[1]
    scores = np.zeros((g, k, 2))
    np.add.at(scores, codes, matrix[:, :, None] * np.stack([fixed, per_theta], axis=-1)[:, None, :])
    heavy = np.zeros((g, k))  # X_g'X_g bread c
    np.add.at(heavy, codes, matrix * (matrix @ direction)[:, None])
    own = np.einsum("k,gkt->gt", direction, scores)
    pull = np.einsum("ik,kl,glt->igt", heavy, bread, scores)
    if g <= ENUMERATED:
        signs = 1.0 - 2.0 * ((np.arange(2**g)[:, None] >> np.arange(g)) & 1)
    else:
        assert rng is not None
        signs = np.vstack([np.ones(g), 1.0 - 2.0 * rng.integers(0, 2, size=(draws, g))])
    scale = g / (g - 1) * (len(outcome) - 1) / (len(outcome) - k)
    observed = np.array([np.sqrt(np.sum((own[:, 0] - estimate * own[:, 1]) ** 2) * scale)])
    smallest = 2 / len(signs) if g <= ENUMERATED else 1 / len(signs)
    pieces = (own, pull, signs, np.array(scale))
    return WildBootstrap(estimate, g, len(signs), g <= ENUMERATED, smallest, observed, pieces)
