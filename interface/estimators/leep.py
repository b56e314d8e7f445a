"""LEEP: how well a source model's own predictions explain the target labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import class_codes, log_expected, one_of, probabilities

CONVENTIONS = ("published", "pactran")


def leep(source_probabilities: ArrayLike, labels: ArrayLike, *, convention: str = "published") -> Estimate:
    """Mean log of the expected empirical predictor, sum_z theta(x)_z P(y|z), at the true label; nats, <= 0.

    High (near 0): the source classes predict the target classes.

    Args:
        source_probabilities: (n, Z) the source model's softmax outputs on the target inputs; not logits.
        labels: (n,) target classes.
        convention: "published", or "pactran": the sign changed and 1e-10 inside the logarithm.

    Returns:
        Estimate with the analytic (influence function) standard error, which counts that P(y|z) is estimated from
        the same rows; source classes of no mass count nothing. The value is optimistic, as published: P(y|z) has seen
        the labels. "one class" and 0.

    Raises:
        ValueError: if rows are no probabilities (logits?) or an input is malformed.

    Source: Nguyen et al., "LEEP", ICML 2020, arXiv:2002.12462, eq. (1)-(2).

    Example:
        >>> y = np.arange(60) % 3
        >>> perfect, useless = np.eye(3)[y], np.full((60, 4), 0.25)
        >>> f"{leep(perfect, y):.4f} {leep(useless, y) + np.log(3):.4f}"
        '0.0000 0.0000'
    """
    one_of(convention, CONVENTIONS, "convention")
    theta = probabilities(source_probabilities, "source_probabilities")
    codes, classes = class_codes(labels, len(theta))
    terms, influence = log_expected(theta, codes)
    value = float(terms.mean())
    n = len(theta)
    if convention == "pactran":
        value = -float(np.log(np.exp(terms) + 1e-10).mean())
    stderr = float(influence.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status="ok" if len(classes) > 1 else "one class")
