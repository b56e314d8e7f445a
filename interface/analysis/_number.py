"""A number of an analysis of a user's table, with its interval over clusters."""

from __future__ import annotations

from dataclasses import dataclass

from interface.analysis.ttest import ClusterMean

NAN = float("nan")


@dataclass(frozen=True)
class Number:
    """One line of the printout.

    Args:
        name: what it is.
        estimate, stderr: value and standard error over clusters (nan where there is none).
        low, high: 95% limits over clusters.
        n_clusters: clusters behind it.
        unit: in words.
        where: at which pretraining loss, or over what.
        p: two-sided p at the smallest effect of interest, by t over clusters; nan where none is tested.
        status: "ok", or why there is no number or no interval.
    """

    name: str
    estimate: float
    stderr: float
    low: float
    high: float
    n_clusters: int
    unit: str
    where: str = ""
    p: float = NAN
    status: str = "ok"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The 95% limits, the only ones that were computed.

        Raises:
            ValueError: at another level.
        """
        if level != 0.95:
            raise ValueError(f"Number.interval: level is {level!r}; only 0.95 was computed")
        return self.low, self.high

    def __str__(self) -> str:
        if self.estimate != self.estimate:
            return f"{self.name:<10} none: {self.status}"
        limits = "no interval" if self.low != self.low else f"[{self.low:.3g}, {self.high:.3g}]"
        p = "" if self.p != self.p else f"; p at the smallest effect {self.p:.2g}"
        where = f", {self.where}" if self.where else ""
        status = "" if self.status == "ok" else f" ({self.status})"
        return f"{self.name:<10} {self.estimate:.3g} {limits} over {self.n_clusters} clusters; {self.unit}{where}{p}{status}"


def from_mean(name: str, mean: ClusterMean, unit: str, *, where: str = "", against: float | None = None) -> Number:
    """A mean over clusters as a line of the printout; `against` is the value that its p tests."""
    low, high = mean.interval()
    p = NAN if against is None or mean.status != "ok" else mean.p_value(against)
    return Number(name, mean.estimate, mean.stderr, low, high, mean.n_clusters, unit, where, p, mean.status)


def absent(name: str, unit: str, status: str) -> Number:
    """A number that the table does not hold, with the reason."""
    return Number(name, NAN, NAN, NAN, NAN, 0, unit, status=status)
