"""RankMe and the effective rank: the number of directions that a representation uses, without labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, Sample, Statistics, one_of, positive, sample, scored, spectrum

EPSILONS = {"paper": 1e-7, "stable_pretraining": 1e-5, "unit_interval": 1e-7}


def rankme(
    features: ArrayLike | Statistics,
    *,
    centred: bool = False,
    eps: float | None = None,
    convention: str = "paper",
    blocks: int | None = None,
) -> Estimate:
    """Exponential of the entropy of the normalised singular values; unitless, in (0, min(n, d)] up to eps.

    High: many directions are used. 1 or a little more: collapse, *or* one large mean, because features are not
    centred (as published): report it centred too. Compare values only at equal d and for n >> d.

    Args:
        features: (n, d) representation, or Statistics.
        centred: subtract the mean first; not published, but then a large mean does not hide the other directions.
        eps: added to each normalised singular value before the entropy; the probabilities then sum to
            1 + min(n, d) eps, as in the paper. None takes the convention's.
        convention: "paper" (1e-7), "stable_pretraining" (1e-5), or "unit_interval" (the paper's, divided by min(n, d)).
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error. "no signal" and 0 if every singular value is 0; a status says
        so where a Statistics lost small singular values that matter (from rows they are never lost: X'X is used only
        where its rounding changes the value by less than 1e-8).

    Raises:
        ValueError: if features are malformed, eps is negative or the convention is unknown.

    Source: Garrido, Balestriero, Najman, LeCun, "RankMe", ICML 2023, arXiv:2210.02885, eq. (2).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> isotropic, collapsed = rng.normal(size=(500, 8)), np.ones((500, 8))
        >>> bool(rankme(isotropic) > 7.5), f"{rankme(collapsed):.2f}"
        (True, '1.00')
    """
    one_of(convention, tuple(EPSILONS), "convention")
    offset = EPSILONS[convention] if eps is None else positive(eps, "eps", zero=True)
    rows = sample(features, blocks=blocks, cost=4.0)
    share = convention == "unit_interval"
    return scored(rows, lambda part: _value(part, offset, centred, share))


def effective_rank(features: ArrayLike | Statistics, *, centred: bool = False, blocks: int | None = None) -> Estimate:
    """Exponential of the entropy of the normalised singular values, with 0 ln 0 = 0; unitless, in [1, min(n, d)].

    High: many directions are used. It is RankMe with eps = 0, and finite where singular values are 0.

    Args:
        features: (n, d) representation, or Statistics.
        centred: subtract the mean first.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and 0 if every singular value is 0.

    Raises:
        ValueError: if features are malformed.

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007, definition 1.

    Example:
        >>> f"{effective_rank(np.eye(7)):.6f}"
        '7.000000'
    """
    rows = sample(features, blocks=blocks, cost=4.0)
    return scored(rows, lambda part: _value(part, 0.0, centred, False))


def _value(rows: Sample, eps: float, centred: bool, share: bool) -> tuple[float, str]:
    found = spectrum(rows, centred=centred, effect=_effect)
    total = found.singular.sum()
    if total == 0 or (centred and not (found.singular > found.error).any()):
        return 0.0, "no signal"
    p = found.singular / total + eps
    value = float(np.exp(-np.sum(p * np.log(np.where(p > 0, p, 1.0)))))
    return (value / min(rows.n, rows.d) if share else value), found.status


def _effect(singular: Array, error: Array) -> float:
    """Bound on the change of the entropy, which is the relative change of the value."""
    total = singular.sum()
    if total == 0:
        return 0.0
    p = np.maximum(singular, error) / total
    return float(np.sum(error / total * (1 + np.abs(np.log(np.where(p > 0, p, 1.0))))))
