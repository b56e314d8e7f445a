"""The answer's three numbers: what low L_pre leaves (intercept), what it buys (slope), what it does not fix (spread)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from interface.analysis._panels import Panel, Scale
from interface.analysis.branch import at, ends
from interface.analysis.ttest import ClusterMean, cluster_mean

REACHED = 0.05  # in shares of D: a run counts as pretrained to the end if its x falls this low
NOISE_FACTOR = 0.43  # middle of .32-.54, the measured share of the marginal variance that differences on common draws keep


@dataclass(frozen=True)
class Spread:
    """V: variance of y among runs of equal x beyond measurement noise, in squared adaptation ranges.

    A variance over few runs is skewed, so that its interval is taken on the log scale, before noise is subtracted. By simulation
    (4,000 tables, 6 to 12 instances) the nominal 95% cover .93 with two runs an instance, .94 with three and .95 with nine, and
    .92-.93 where the variance itself differs between instances; a t interval would cover .83-.86, .89-.91 and .93-.94.

    Args:
        mean: over instances; may be negative, because noise was subtracted. Its own t interval is too short: use `interval`.
        x: mean x at which it was taken.
        noise: mean noise variance that was subtracted.
        runs: number of runs compared, over all instances.
        status: "ok", "below noise" (the mean is not above 0), or why there is none.
        contains: what it does not separate, to be said beside it.
        raw: of each instance of the mean, the variance before noise was subtracted.
    """

    mean: ClusterMean
    x: float
    noise: float
    runs: int
    status: str
    contains: str = "initialisation, where runs differ in it"
    raw: tuple[float, ...] = ()

    @property
    def estimate(self) -> float:
        return self.mean.estimate

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Limits by the jackknife over instances of the log of the mean variance, less the noise; (nan, nan) below two instances.

        Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11, on the scale that makes a variance
            nearly symmetric; t with one degree of freedom less than instances.
        """
        raw, n = np.asarray(self.raw), len(self.raw)
        without = raw.sum() - raw
        if n < 2 or not (without > 0).all():
            return self.mean.interval(level)
        width = float(stats.t.ppf((1 + level) / 2, n - 1)) * float(np.sqrt((n - 1) * np.var(np.log(without))))
        return float(raw.mean() * np.exp(-width)) - self.noise, float(raw.mean() * np.exp(width)) - self.noise


@dataclass(frozen=True)
class ThreeNumbers:
    """I, B and V of one cell, on one scale, each a mean over instances.

    Args:
        intercept: I = y(x0), in adaptation ranges: what is left of L* when pretraining is as good as it gets here.
        slope: B = (y(x1) - y(x0)) / (x1 - x0), in ranges per D, between barely trained and fully trained.
        spread: V at x0, among the runs that I is made of (largest n_unlabelled).
        spread_all: V at the lowest x that all runs (every lr x n_unlabelled) share.
        x0: mean lowest x that each of the runs reaches; what is printed with I as the excess that is left, in shares of D.
        x1: mean highest x that each of them passes.
        excess: x0 in units of the pretraining loss.
        runs: runs that reach x <= .05 and enter I and B.
        left_out: runs with the largest n_unlabelled that do not.
        scale: whose floor and range y has.
    """

    intercept: ClusterMean
    slope: ClusterMean
    spread: Spread
    spread_all: Spread
    x0: float
    x1: float
    excess: float
    runs: int
    left_out: int
    scale: Scale


def three_numbers(panel: Panel, *, scale: Scale = "own", noise_factor: float = NOISE_FACTOR) -> ThreeNumbers:
    """I and B on runs with the largest n_unlabelled that reach x <= .05; V at equal x; t over instances.

    y is read off the descending branch, linear between checkpoints; nothing is interpolated between instances and nothing is
    extrapolated: no floor of the pretraining loss is assumed.

    Args:
        panel: one cell.
        scale: "own" range, or the "in_domain" one for differences between targets.
        noise_factor: share of the marginal sampling variance of L* that is subtracted from s². Runs are measured on common
            draws, so what scatters between them is the noise of *differences*, .32-.54 of the marginal one where it was
            measured; a table of marginal standard errors does not hold it. 0 subtracts nothing: V is then an upper side.

    Raises:
        ValueError: if noise_factor is outside [0, 1].
    """
    if not 0 <= noise_factor <= 1:
        raise ValueError(f"three_numbers: noise_factor is {noise_factor!r}; allowed: a number in [0, 1]")
    names, none = panel.instances, np.full(len(panel.instances), np.nan)
    if obstacle := panel.obstacle(scale):
        missing = cluster_mean(none, names, reason=obstacle)
        spread = Spread(missing, float("nan"), float("nan"), 0, obstacle)
        return ThreeNumbers(missing, missing, spread, spread, float("nan"), float("nan"), float("nan"), 0, 0, scale)

    y = panel.y(scale)
    noise = noise_factor * panel.variance / panel.range(scale)[:, None, None, None, None] ** 2
    x = np.where(np.isnan(y).all(axis=-1), np.nan, panel.x)  # checkpoints without this target are no points of the branch
    full = _largest(x)
    trained, y_trained, noise_trained = (values[np.arange(len(names))[:, None], :, full[:, None]][:, 0] for values in (x, y, noise))
    high, low = ends(trained)
    counts: np.ndarray = np.less_equal(low, REACHED)
    x0 = np.where(counts.any(1), np.where(counts, low, -np.inf).max(1), np.nan)
    x1 = np.where(counts.any(1), np.where(counts, high, np.inf).min(1), np.nan)

    def level(where: np.ndarray) -> np.ndarray:
        read = at(trained, y_trained, where[:, None]).mean(axis=-1)
        return np.divide(np.where(counts, read, 0).sum(1), counts.sum(1), out=none.copy(), where=counts.any(1))

    intercept, start = level(x0), level(x1)
    reason = "no run with the largest n_unlabelled reaches x <= .05"
    runs = len(names), -1, len(panel.steps)
    flat_x, flat_y, flat_noise = x.reshape(runs), y.reshape(*runs, y.shape[-1]), noise.reshape(*runs, y.shape[-1])
    measured = np.asarray(np.isfinite(flat_x).any(axis=-1))
    shared = np.where(measured.any(1), np.where(measured, ends(flat_x)[1], -np.inf).max(1), np.nan)
    return ThreeNumbers(
        intercept=cluster_mean(intercept, names, reason=reason),
        slope=cluster_mean(np.where(x1 > x0, (start - intercept) / np.where(x1 > x0, x1 - x0, 1), np.nan), names, reason=reason),
        spread=_spread(trained, y_trained, noise_trained, x0, counts, names),
        spread_all=_spread(flat_x, flat_y, flat_noise, shared, measured, names),
        x0=_mean(x0),
        x1=_mean(x1),
        excess=_mean(x0 * panel.drop),
        runs=int(counts.sum()),
        left_out=int((~np.isnan(low) & ~counts).sum()),
        scale=scale,
    )


def _largest(x: np.ndarray) -> np.ndarray:
    """(i,) index of the largest n_unlabelled that each instance has."""
    present = ~np.isnan(x).all(axis=(1, 3))
    return np.asarray(x.shape[2] - 1 - np.argmax(present[:, ::-1], axis=1))


def _spread(
    x: np.ndarray, y: np.ndarray, noise: np.ndarray, where: np.ndarray, counts: np.ndarray, names: tuple[str, ...]
) -> Spread:
    """V over the runs that count, (i, r, t); an instance is missing if one of them does not pass `where`."""
    read, error = at(x, y, where[:, None]), at(x, noise, where[:, None])
    k = np.where(counts.sum(1) > 1, counts.sum(1), np.nan)[:, None]
    masked = np.where(counts[..., None], read, 0)
    centred = np.where(counts[..., None], read - masked.sum(1, keepdims=True) / k[:, None], 0)
    subtracted = np.where(counts[..., None], error, 0).sum(1) / k
    value = ((centred**2).sum(1) / (k - 1) - subtracted).mean(axis=-1)  # by label direction, then averaged
    mean = cluster_mean(value, names, reason="needs two runs of one instance that pass a common x")
    used = np.isfinite(value)
    status = "below noise" if mean.n_clusters and mean.estimate <= 0 else mean.status
    raw = tuple(map(float, (value + subtracted.mean(axis=-1))[used]))
    return Spread(mean, _mean(where[used]), _mean(subtracted[used]), int(counts[used].sum()), status, raw=raw)


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
