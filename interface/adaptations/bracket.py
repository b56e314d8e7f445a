"""The minimal adaptation loss of features that the user brings, in one call; and brackets of several samples as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from interface.adaptations._base import Labelled, Probe
from interface.adaptations.linear import LinearProbe
from interface.convex._base import as_features, as_tensor
from interface.core import Z_TWO_SIDES, Bracket, Estimate
from interface.seeds import generator


def minimal_adaptation_loss(
    features: Any,
    labels: Any,
    adaptation: Probe = LinearProbe(),
    *,
    test: Labelled | None = None,
    soft: Any | None = None,
    folds: int | None = None,
    seed: int = 0,
) -> Bracket:
    """Bracket of L*_adapt: the least population loss that the family reaches on these features, in nats or squared units.

    Args:
        features: (n, d) representations of independent examples; the encoder must not have seen them with their labels.
        labels: (n,) integers for log loss, real numbers for squared loss.
        adaptation: family of heads.
        test: (features (n', d), labels (n',)) of further independent examples; None splits the sample into random halves, one to
            fit and one to test.
        soft: known p(y|x): (n, C) without `test`; with it a pair ((n, C), (n', C)), either of them None.
        folds: K fits on all but one of K random parts, each tested on that part, in place of halves. Both sides then use all
            rows, but share them, so that the interval is always approximate: low's error is the grouped jackknife's.
        seed: of the random halves or folds.

    Returns:
        Bracket. Its bias width is about p / n for a log loss (p parameters, n rows a side): take n >= 50 p for .02 nats.

    Raises:
        ValueError: if there are too few rows, shapes disagree, features are not finite or labels not usable, or both folds and
            a test sample are given.

    Source: sample average approximation, see `LinearProbe.brackets`; for folds the delete-a-group jackknife (Efron, 1982).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(2000, 4))
        >>> lower, upper = minimal_adaptation_loss(x, x[:, 0] + rng.normal(size=2000)).interval()
        >>> lower < 1 < upper
        True
    """
    x, y = as_features(features), as_tensor(labels, "labels")
    n = x.shape[1]
    if x.shape[0] != 1:
        raise ValueError(f"features has shape {tuple(x.shape)}; allowed: (n, d). For many encoders use the adaptation's `brackets`")
    if y.ndim == 0 or len(y) != n:
        raise ValueError(f"labels has shape {tuple(y.shape)}, but features have {n} rows; one label a row is needed")
    if test is not None:
        if folds is not None:
            raise ValueError(f"folds is {folds!r}, but a test sample is given; leave one of them out")
        return adaptation.bracket((x, y), test, soft=soft)
    if folds is not None and (isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= n // 2):
        raise ValueError(f"folds is {folds!r}, but features have {n} rows; allowed: an integer from 2 to half their number")
    if n < 4:
        raise ValueError(f"features have {n} rows; at least 4 are needed to split them into halves, or give `test`")
    p = None if soft is None else as_tensor(soft, "soft")
    if p is not None and (p.ndim != 2 or len(p) != n):
        raise ValueError(f"soft has shape {tuple(p.shape)}, but features have {n} rows; without `test` one row each is needed")

    def split(first: Tensor, second: Tensor) -> Bracket:
        fit, held = ((x[:, rows.to(x.device)], y[rows.to(y.device)]) for rows in (first, second))
        pair = None if p is None else (p[first.to(p.device)], p[second.to(p.device)])
        return adaptation.bracket(fit, held, soft=pair)

    order = torch.randperm(n, generator=generator("halves", seed))
    if folds is None:
        return split(order[: n // 2], order[n // 2 :])
    part = torch.arange(n) % folds
    found = [split(order[part != k], order[part == k]) for k in range(folds)]
    spread = float(np.std([b.low for b in found], ddof=1))
    return _joined(found, spread * (folds - 1) / folds**0.5, None, rows=(n, n))


def replications(brackets: Sequence[Bracket]) -> Bracket:
    """One bracket from M of the same quantity, fitted on disjoint samples of one size and tested on one common sample.

    low is their mean, with the limit of Student's t over the M of them; high is the mean of theirs, with the mean of their
    standard errors, which no correlation exceeds. `low.stderr` is widened so that the interval is Student's. It is approximate:
    with losses that are rarely large its coverage falls, and the bias is that of one sample's size, not of all.

    Raises:
        ValueError: if there are fewer than two.

    Source: Mak, Morton and Wood, Operations Research Letters 24 (1999).

    Example:
        >>> side = lambda value: Estimate(value, stderr=0.05, how="held_out", n=100)
        >>> joined = replications([Bracket(side(low), side(0.5), gap=0.0) for low in (0.3, 0.4, 0.5)])
        >>> round(joined.low, 2), round(joined.interval()[1], 3), joined.certified
        (0.4, 0.598, False)
    """
    if len(brackets) < 2:
        raise ValueError(f"replications: {len(brackets)} bracket; at least 2 are needed for a standard error")
    errors = [b.high.stderr for b in brackets if b.high.stderr is not None]
    sampling = float(np.mean(errors)) if len(errors) == len(brackets) else None
    spread = float(np.std([b.low for b in brackets], ddof=1))
    rows = (sum(b.low.n or 0 for b in brackets), brackets[0].high.n or 0)
    return _joined(brackets, spread / len(brackets) ** 0.5, sampling, rows=rows)


def _joined(brackets: Sequence[Bracket], low_error: float, sampling: float | None, *, rows: tuple[int, int]) -> Bracket:
    """Mean of the brackets; high's error is `sampling`, or that of its spread where that is None; t for the normal."""
    count, highs = len(brackets), np.array([float(b.high) for b in brackets])
    widening = float(student.ppf(0.975, count - 1)) / Z_TWO_SIDES
    high_error = sampling
    if sampling is None and np.isfinite(highs).all():
        high_error = widening * float(highs.std(ddof=1)) / count**0.5
    low, high = (
        Estimate(
            float(np.mean(sides)),
            stderr=error,
            how="plug_in" if any(side.how == "plug_in" for side in sides) else "held_out",
            n=n,
            status=next((side.status for side in sides if side.status != "ok"), "ok"),
        )
        for sides, error, n in (
            ([b.low for b in brackets], widening * low_error, rows[0]),
            ([b.high for b in brackets], high_error, rows[1]),
        )
    )
    return Bracket(low, high, gap=max(b.gap for b in brackets))
