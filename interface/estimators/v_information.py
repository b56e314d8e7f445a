"""V-information: what a family of predictors can use of the features about the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, one_of, vector

UNITS = {"bits": float(np.log(2)), "nats": 1.0}


def v_information(model: ArrayLike, null: ArrayLike, *, unit: str = "bits") -> Estimate:
    """H_V(Y) - H_V(Y|X), mean over held-out rows of log p_model(y) / p_null(y); bits by default, < 0 if it overfits.

    High: the family V gets much of the labels out of the features.

    Args:
        model: (n,) probabilities that the model trained with features gives to the true labels of held-out rows.
        null: (n,) the same of the model of the same family trained without features; not the label frequencies.
        unit: "bits" (published) or "nats".

    Returns:
        Estimate with the standard error of a mean over held-out rows, given the two fits.

    Raises:
        ValueError: if a probability is not in (0, 1], lengths differ, or the unit is unknown.

    Source: Xu et al., ICLR 2020, arXiv:2002.10689, definition 2; Ethayarajh et al., ICML 2022, arXiv:2110.08420.

    Example:
        >>> f"{v_information([0.8, 0.4], [0.4, 0.4]):.2f}"
        '0.50'
    """
    points = pointwise_v_information(model, null, unit=unit)
    n = len(points)
    stderr = float(points.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Estimate(float(points.mean()), stderr=stderr, how="held_out", n=n)


def pointwise_v_information(model: ArrayLike, null: ArrayLike, *, unit: str = "bits") -> Array:
    """(n,) log p_model(y) / p_null(y) row by row; bits by default. High: easy for the family; < 0: misled.

    Args:
        model, null, unit: as in `v_information`.

    Raises:
        ValueError: as in `v_information`.

    Source: Ethayarajh, Choi and Swayamdipta, ICML 2022, arXiv:2110.08420, eq. (4).

    Example:
        >>> pointwise_v_information([1.0, 0.25], [0.5, 0.5]).tolist()
        [1.0, -1.0]
    """
    one_of(unit, tuple(UNITS), "unit")
    p = vector(model, "model")
    q = vector(null, "null", n=len(p))
    for values, name in ((p, "model"), (q, "null")):
        if not ((values > 0) & (values <= 1)).all():
            raise ValueError(f"{name} holds {values.min():.4g} to {values.max():.4g}; allowed: probabilities in (0, 1]")
    return np.asarray((np.log(p) - np.log(q)) / UNITS[unit])
