"""Limits for the mean of bounded losses that hold at every sample size."""

from __future__ import annotations

import math

from scipy.optimize import brentq

from interface.core import Estimate

LEVEL = 0.025  # of each side of an interval


def bounded_lower_limit(mean: float, n: int, bound: float, *, level: float = LEVEL) -> float:
    """Lower limit for the expectation of losses in [0, bound] from the mean of n independent ones, in the losses' unit.

    It fails with probability at most `level`, whatever the law of the losses. A mean that is minimised over a fixed family is at
    most the mean at the family's best member, so that the limit holds for the least expectation too.

    Args:
        mean: of n losses, or anything below it; n: their number; bound: the largest possible loss; level: chance to fail.

    Raises:
        ValueError: if `mean` is outside [0, bound], or n, bound or level is not usable.

    Source: Hoeffding, JASA 58 (1963), theorem 1: the Chernoff bound of a variable in [0, 1] is at most that of a Bernoulli
        variable of the same mean; here inverted in the mean.

    Example:
        >>> limits = [bounded_lower_limit(0.3, n, 10.0) for n in (100, 10_000)]
        >>> 0 < limits[0] < limits[1] < 0.3
        True
    """
    if n < 1 or not 0 < bound < math.inf or not 0 < level < 1 or not 0 <= mean <= bound:
        raise ValueError(f"mean, n, bound, level are {mean!r}, {n!r}, {bound!r}, {level!r}; allowed: a mean in [0, bound], n >= 1")
    p, most = mean / bound, math.log(1 / level) / n
    if p == 0:
        return 0.0
    least = p * math.exp(-most / p - 1)  # its divergence from p is above `most`: (1 - p) ln((1 - p) / (1 - q)) >= -p
    return bound * float(brentq(lambda q: _divergence(p, q) - most, least, p)) if least > 0 else 0.0


def bounded_upper_limit(mean: Estimate, bound: float, *, level: float = LEVEL) -> float:
    """Upper limit for the expectation of losses in [0, bound] from their mean and standard error, in the losses' unit.

    It fails with probability at most `level`, for a predictor that was fixed before the losses were drawn, such as the `high`
    side of a bracket; then with a certified lower limit the whole interval holds at every sample size.

    Args:
        mean: of `mean.n` independent losses, with its standard error; bound: the largest possible loss; level: chance to fail.

    Raises:
        ValueError: if the estimate has no standard error or n < 2, or bound or level is not usable.

    Source: Maurer and Pontil, COLT 2009, theorem 4 (empirical Bernstein), one side.

    Example:
        >>> high = Estimate(0.3, stderr=0.01, how="held_out", n=10_000)
        >>> 0.3196 < bounded_upper_limit(high, 10.0) < 0.4
        True
    """
    if mean.stderr is None or mean.n is None or mean.n < 2 or not 0 < bound < math.inf or not 0 < level < 1:
        raise ValueError(f"mean, bound, level are {mean!r}, {bound!r}, {level!r}; allowed: a mean of n >= 2 losses with its error")
    tail = math.log(2 / level)
    return float(mean) + mean.stderr * math.sqrt(2 * tail) + 7 * bound * tail / (3 * (mean.n - 1))


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of Bernoulli(q) from Bernoulli(p), 0 < q <= p <= 1, in nats."""
    rest = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return p * math.log(p / q) + rest
