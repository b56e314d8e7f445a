"""The t test over clusters: the only inference that this package makes about a mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

ROUND_OFF = 1e-12  # relative: values that differ by less do not differ
ALL_ALIKE = "all clusters have the same value; is the outcome constant?"


@dataclass(frozen=True)
class ClusterMean:
    """Mean over clusters with its standard error, in the unit of the values; a cluster is the unit of inference.

    Args:
        estimate: mean of one value a cluster; nan if no cluster has one.
        stderr: standard error over clusters, nan below two clusters.
        clusters: (n,) names of the clusters that have a value.
        values: (n,) their values.
        missing: names of the clusters without a value: counted and named, never filled in.
        status: "ok", or why no test can be made.
    """

    estimate: float
    stderr: float
    clusters: tuple[str, ...]
    values: tuple[float, ...]
    missing: tuple[str, ...] = ()
    status: str = "ok"

    @property
    def n_clusters(self) -> int:
        return len(self.clusters)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided t interval for the mean over the population of clusters; (nan, nan) below two clusters."""
        if self.n_clusters < 2:
            return float("nan"), float("nan")
        half = float(stats.t.ppf((1 + level) / 2, self.n_clusters - 1)) * self.stderr
        return self.estimate - half, self.estimate + half

    def p_value(self, against: float) -> float:
        """Two-sided p of mean = against, by t over clusters; 1 where no test can be made (see `status`)."""
        if self.status != "ok":
            return 1.0
        return float(2 * stats.t.sf(abs(self.estimate - against) / self.stderr, self.n_clusters - 1))

    def p_null(self, margin: float) -> float:
        """p of |mean| >= margin, by two one-sided t tests: small means that the mean is shown to be negligible.

        Source: Schuirmann, "A comparison of the two one-sided tests procedure", 1987, J. Pharmacokinet. Biopharm. 15.
        """
        if self.status != "ok":
            return 1.0
        return float(stats.t.sf((margin - abs(self.estimate)) / self.stderr, self.n_clusters - 1))

    def minimal_detectable_effect(self, *, level: float = 0.05, power: float = 0.8) -> float:
        """Distance of the mean from the tested value that a two-sided test at `level` finds with this power, at this stderr."""
        if self.status != "ok":
            return float("nan")
        return self.stderr * detectable_noncentrality(self.n_clusters, level=level, power=power)

    def scaled(self, factor: float) -> ClusterMean:
        """The same mean in another unit: every value times `factor` > 0."""
        values = tuple(factor * value for value in self.values)
        return ClusterMean(factor * self.estimate, factor * self.stderr, self.clusters, values, self.missing, self.status)


def cluster_mean(values: ArrayLike, clusters: Sequence[object], *, reason: str = "no cluster has a value") -> ClusterMean:
    """Mean of one value a cluster, with a t interval over clusters; a value that is not finite counts as missing.

    Args:
        values: (n,) one value a cluster, nan where the cluster has none.
        clusters: (n,) their names.
        reason: the status to give if no cluster has a value.

    Raises:
        ValueError: if the two differ in length or a cluster occurs twice.

    Example:
        >>> mean = cluster_mean([1.0, 2.0, 3.0, float("nan")], ["a", "b", "c", "d"])
        >>> mean.estimate, mean.n_clusters, mean.missing, mean.p_value(2.0)
        (2.0, 3, ('d',), 1.0)
    """
    array, names = np.asarray(values, dtype=np.float64), tuple(str(name) for name in clusters)
    if array.shape != (len(names),):
        raise ValueError(f"cluster_mean: values has shape {array.shape} for {len(names)} clusters; give one value a cluster")
    if len(set(names)) < len(names):
        raise ValueError("cluster_mean: a cluster occurs twice; average inside clusters first")
    finite = np.isfinite(array)
    used, n = array[finite], int(finite.sum())
    estimate = float(used.mean()) if n else float("nan")
    stderr = float(used.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    status = "ok"
    if n == 0:
        status = reason
    elif n == 1:
        status = "1 cluster, needs 2"
    elif stderr <= ROUND_OFF * np.abs(used).max():
        status = ALL_ALIKE
    present = tuple(name for name, keep in zip(names, finite, strict=True) if keep)
    missing = tuple(name for name, keep in zip(names, finite, strict=True) if not keep)
    return ClusterMean(estimate, stderr, present, tuple(map(float, used)), missing, status)


def detectable_noncentrality(n_clusters: int, *, level: float = 0.05, power: float = 0.8) -> float:
    """Shift of the mean, in standard errors, at which a two-sided t test at `level` rejects with probability `power`.

    Both tails of the noncentral t distribution count. In standard deviations of one cluster divide by sqrt(n_clusters).

    Raises:
        ValueError: if n_clusters < 2, or not 0 < level < power < 1.

    Example:
        >>> [round(detectable_noncentrality(n, level=0.05 / 8) / n**0.5, 1) for n in (6, 12)]
        [2.3, 1.2]
    """
    if n_clusters < 2 or not 0 < level < power < 1:
        got = f"{n_clusters} clusters, level {level}, power {power}"
        raise ValueError(f"detectable_noncentrality: got {got}; allowed: at least 2 clusters and 0 < level < power < 1")
    df = n_clusters - 1
    critical = float(stats.t.ppf(1 - level / 2, df))

    # SciPy's lower tail is nan where it is below 1e-15, at large shifts: there it does not count
    low, high = 0.0, 2 * critical + 20.0
    while high - low > 1e-10 * high:
        middle = 0.5 * (low + high)
        reached = float(stats.nct.sf(critical, df, middle)) + float(np.nan_to_num(stats.nct.cdf(-critical, df, middle)))
        low, high = (middle, high) if reached < power else (low, middle)
    return 0.5 * (low + high)
