"""Population pretraining loss from the losses of independent units: a ratio with its error, its control variate, its interval."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from interface.core import Estimate

Values = NDArray[np.float64]


def pretraining_loss(
    nats: Any, counts: Any = None, *, probabilities: Any = None, control: Any = None, reference_mean: float | None = None
) -> Estimate:
    """L_pre: sum of nats over sum of counts, in nats a count, with the delta-method error of that ratio.

    One entry is an *independent* unit: a sequence rather than a token, a batch where the loss couples its examples. Two values
    may be compared where they were computed on the same units (see `paired_differences`) or carry independent errors.

    Args:
        nats: (n,) loss of each unit, summed over its predictions; arrays or tensors.
        counts: (n,) number of predictions of each unit, > 0; None counts each unit once.
        probabilities: (n,) of units that are *all* there are, as from `Population.support()`: the loss is then exact.
        control: (n,) loss of a fixed reference model on the same units. What its known mean says about these draws is taken out;
            its coefficient is fitted on the draws, at a bias of order 1/n.
        reference_mean: population loss of the reference model, in nats a count.

    Returns:
        Estimate: "monte_carlo", or "exact" with probabilities.

    Raises:
        ValueError: if lengths differ, a value is not finite, a count not positive, there are fewer than 2 units (3 with a
            control), or only one of control and reference_mean is given.

    Source: Cochran, "Sampling Techniques", 3rd ed. 1977, chapter 6 (ratio); Owen, "Monte Carlo theory, methods and examples",
        2013, section 8.9 (control variates by regression).

    Example:
        >>> losses = np.array([2.0, 4.0, 6.0])
        >>> f"{pretraining_loss(losses, [1, 2, 3]):.1f}", pretraining_loss(losses, [1, 2, 3]).stderr
        ('2.0', 0.0)
    """
    loss = unit_values(nats, "nats")
    size = np.ones(len(loss)) if counts is None else unit_values(counts, "counts", len(loss))
    if not (size > 0).all():
        raise ValueError(f"counts holds {size.min():g}; allowed: numbers > 0")
    if probabilities is not None:
        weights = unit_values(probabilities, "probabilities", len(loss))
        if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-9:
            raise ValueError(f"probabilities sum to {weights.sum():g}; allowed: numbers >= 0 that sum to 1")
        return Estimate(float(weights @ loss / (weights @ size)), stderr=0.0, how="exact")
    if (control is None) != (reference_mean is None):
        raise ValueError("control and reference_mean: one is None; give both, or neither")
    fitted = 1
    if control is not None:
        known = unit_values(control, "control", len(loss)) - float(reference_mean or 0.0) * size  # of mean 0
        fitted, spread = 2, np.square(known - known.mean()).sum()
        if spread > 0:
            residual = loss - loss.sum() / size.sum() * size
            loss = loss - (known - known.mean()) @ residual / spread * known
    n = len(loss)
    if n <= fitted:
        raise ValueError(f"nats holds {n} independent units; allowed: at least {fitted + 1}")
    ratio = loss.sum() / size.sum()
    error = np.sqrt(np.square(loss - ratio * size).sum() * n / (n - fitted)) / size.sum()
    return Estimate(float(ratio), stderr=float(error), how="monte_carlo", n=n)


def bernstein_interval(losses: Any, *, largest: float, level: float = 0.05) -> tuple[float, float]:
    """Two-sided interval for the mean of losses in [0, largest] that holds at `1 - level` for every n: no normal approximation.

    mean -+ (s sqrt(2 ln(4 / level) / n) + 7 largest ln(4 / level) / (3 (n - 1))), cut to [0, largest]. It is about a predictor that
    was fixed before the draws; it is no lower limit for a loss that was minimised on them.

    Args:
        losses: (n,) of independent units, n >= 2, each in [0, largest].
        largest: the bound that the loss cannot exceed, known before the draws.
        level: probability that the interval misses, in (0, 1).

    Raises:
        ValueError: if a loss is outside [0, largest], or level is not in (0, 1).

    Source: Maurer and Pontil, "Empirical Bernstein bounds and sample-variance penalization", COLT 2009, arXiv:0907.3740,
        theorem 4, on both sides at half the level each.

    Example:
        >>> low, high = bernstein_interval(np.tile([0.2, 0.4], 500), largest=1.0)
        >>> 0.2 < low < 0.3 < high < 0.4
        True
    """
    values = unit_values(losses, "losses")
    n = len(values)
    if n < 2 or not 0 < level < 1:
        raise ValueError(f"losses holds {n} units, level is {level!r}; allowed: at least 2 units, and a number in (0, 1)")
    if not (values.min() >= 0 and values.max() <= largest):
        raise ValueError(f"losses range from {values.min():g} to {values.max():g}; allowed: 0 to largest = {largest!r}")
    evidence = log(4 / level)
    half = float(values.std(ddof=1)) * (2 * evidence / n) ** 0.5 + 7 * largest * evidence / (3 * (n - 1))
    mean = float(values.mean())
    return max(mean - half, 0.0), min(mean + half, float(largest))


def unit_values(values: Any, name: str, n: int | None = None) -> Values:
    """One number for each independent unit, (n,), in float64 on the CPU.

    Raises:
        ValueError: if they are not one-dimensional, of another length than n, or not finite.
    """
    tensor = torch.as_tensor(values)
    if tensor.ndim != 1 or tensor.is_complex() or (n is not None and len(tensor) != n):
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; allowed: ({'n' if n is None else n},), one number a unit")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds a value that is not finite (first in unit {int((~torch.isfinite(tensor)).nonzero()[0])})")
    return tensor.detach().double().cpu().numpy()
