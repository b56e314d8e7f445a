"""The t test over clusters for values that are skewed, such as a regret, which has no other side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from interface.analysis.ttest import ClusterMean, cluster_mean


@dataclass(frozen=True)
class SkewedMean(ClusterMean):
    """Mean over clusters whose t is corrected for the skewness of the values; the plain one where they show none.

    Test, interval and detectable effect rest on one monotone transformation of t (see `straightened`), so that the interval holds
    exactly the values that are not rejected. The estimate and its standard error are those of `ClusterMean`.
    """

    @property
    def bend(self) -> float:
        """Sample skewness over 3 sqrt(n): > 0 where large values are the rare ones; 0 below three clusters."""
        n = self.n_clusters
        return float(stats.skew(self.values, bias=False)) / (3 * n**0.5) if n > 2 and self.status == "ok" else 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided interval for the mean over the population of clusters; (nan, nan) below two clusters."""
        if self.n_clusters < 2:
            return float("nan"), float("nan")
        critical = float(stats.t.ppf((1 + level) / 2, self.n_clusters - 1))
        low, high = (self.estimate - self.stderr * bent(side, self.bend) for side in (critical, -critical))
        return low, high

    def p_value(self, against: float) -> float:
        """Two-sided p of mean = against; 1 where no test can be made (see `status`)."""
        return 1.0 if self.status != "ok" else float(2 * stats.t.sf(abs(self._t(against)), self.n_clusters - 1))

    def p_null(self, margin: float) -> float:
        """p of |mean| >= margin: the larger of the two one-sided ones."""
        if self.status != "ok":
            return 1.0
        df = self.n_clusters - 1
        return float(max(stats.t.cdf(self._t(margin), df), stats.t.sf(self._t(-margin), df)))

    def minimal_detectable_effect(self, *, level: float = 0.05, power: float = 0.8) -> float:
        """Distance of the mean above the tested value that a two-sided test at `level` finds with this power, at this stderr.

        The plain distance, times how much further apart than quantiles of t the values lie that t has to pass and that it passes
        with probability `power`.
        """
        if self.status != "ok":
            return float("nan")
        critical, usual = (float(stats.t.ppf(q, self.n_clusters - 1)) for q in (1 - level / 2, 1 - power))
        stretch = (bent(critical, self.bend) - bent(usual, self.bend)) / (critical - usual)
        return stretch * ClusterMean.minimal_detectable_effect(self, level=level, power=power)

    def scaled(self, factor: float) -> SkewedMean:
        """The same mean in another unit: every value times `factor` > 0."""
        return _skewed(ClusterMean.scaled(self, factor))

    def _t(self, against: float) -> float:
        return straightened((self.estimate - against) / self.stderr, self.bend)


def straightened(t: float, bend: float) -> float:
    """t with the first-order effect of skewness taken out: t + bend t^2 + bend^2 t^3 / 3 + bend / 2, increasing in t.

    Args:
        t: Studentised mean.
        bend: skewness / (3 sqrt(n)).

    Source: Hall, "On the removal of skewness by transformation", JRSS B 54, 1992, with a = 1/3 and b = 1/6 of a Studentised mean.
        Held against t with n - 1 degrees of freedom in place of the normal, with the unbiased form of the sample skewness. The
        quadratic transformation of Johnson, "Modified t tests and confidence intervals for asymmetrical populations", JASA 73,
        1978, is no monotone one, so that its intervals can be empty or unbounded.

    Example:
        >>> straightened(-2.0, 0.1) > -2.0 and straightened(2.0, 0.1) > 2.0 and straightened(2.0, 0.0) == 2.0
        True
    """
    return t + bend * t**2 + bend**2 * t**3 / 3 + bend / 2


def bent(straight: float, bend: float) -> float:
    """The t that `straightened` turns into `straight`.

    Example:
        >>> round(bent(straightened(-2.5, 0.3), 0.3), 12)
        -2.5
    """
    moved = straight - bend / 2
    root = float(np.cbrt(1 + 3 * bend * moved))
    return 3 * moved / (root**2 + root + 1)  # = (root - 1) / bend, and `moved` at bend 0


def skewed_mean(values: ArrayLike, clusters: Sequence[object], *, reason: str = "no cluster has a value") -> SkewedMean:
    """Mean of one value a cluster, with a t test over clusters that is corrected for skewness; arguments of `cluster_mean`.

    Example:
        >>> values = [0.1, 0.1, 0.2, 0.2, 0.3, 1.0]
        >>> plain, corrected = cluster_mean(values, range(6)), skewed_mean(values, range(6))
        >>> corrected.estimate == plain.estimate and all(c > p for c, p in zip(corrected.interval(), plain.interval(), strict=True))
        True
    """
    return _skewed(cluster_mean(values, clusters, reason=reason))


def _skewed(mean: ClusterMean) -> SkewedMean:
    return SkewedMean(**{field.name: getattr(mean, field.name) for field in fields(mean)})
