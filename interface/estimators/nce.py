"""NCE: minus the conditional entropy of target labels given source labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import class_codes, matrix, numpy_of, one_of

CONVENTIONS = ("published", "pactran")


def nce(source: ArrayLike, labels: ArrayLike, *, miller_madow: bool = False, convention: str = "published") -> Estimate:
    """-H(Y|Z) of target labels Y given hard source labels Z; nats, in [-ln C, 0].

    High (near 0): the source label determines the target label.

    Args:
        source: (n,) source labels, or (n, Z) scores or probabilities, of which the largest is taken.
        labels: (n,) target classes.
        miller_madow: subtract (cells seen - source labels seen) / (2 n), the plug-in's leading bias: the plug-in is
            too near 0 by about (C - 1)(Z - 1) / (2 n).
        convention: "published", or "pactran": soft P(y, z) from (n, Z) probabilities, 1e-10 inside the logarithm.

    Returns:
        Estimate with the analytic (delta method) standard error; "one class" and 0.

    Raises:
        ValueError: if an input is malformed, or "pactran" is asked of hard labels.

    Source: Tran, Nguyen and Hassner, ICCV 2019, arXiv:1908.08142, section 3; correction: Miller, 1955.

    Example:
        >>> y = np.arange(60) % 3
        >>> f"{nce(y, y):.4f} {nce(np.zeros(60, int), y) + np.log(3):.4f}"
        '0.0000 0.0000'
    """
    one_of(convention, CONVENTIONS, "convention")
    array = numpy_of(source, "source")
    soft = array.ndim == 2
    if convention == "pactran" and not soft:
        raise ValueError("source holds hard labels; convention='pactran' needs (n, Z) probabilities")
    n = len(array) if array.ndim else 0
    y, classes = class_codes(labels, n)
    if convention == "pactran":
        theta = matrix(array, "source")
        joint = np.stack([theta[y == c].sum(0) for c in range(len(classes))]) / n
        mass = joint.sum(0)
        conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
        return Estimate(float((joint * np.log(conditional + 1e-10)).sum()), how="plug_in", n=n)
    z, sources = class_codes(matrix(array, "source").argmax(1) if soft else array, n, "source")
    counts = np.bincount(y * len(sources) + z, minlength=len(classes) * len(sources)).reshape(len(classes), len(sources))
    terms = np.log(counts[y, z] / counts.sum(0)[z])  # ln P(y|z), row by row
    value = float(terms.mean())
    if miller_madow:
        value -= (int((counts > 0).sum()) - len(sources)) / (2 * n)
    stderr = float(terms.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Estimate(value, stderr=stderr, how="plug_in", n=n, status="ok" if len(classes) > 1 else "one class")
