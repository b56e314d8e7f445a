"""Selectivity of a probe: its accuracy on the task minus that on a control task it can only memorise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import class_codes, numpy_of, vector


def selectivity(task: ArrayLike, control: ArrayLike, *, paired: bool | None = None) -> Estimate:
    """Mean of `task` minus mean of `control`; in [-1, 1] for accuracies.

    High: the probe reads the property off the features. Near 0: it could have memorised any labels of the types.

    Args:
        task: (n,) whether each held-out row was right on the task (or its log probability).
        control: (m,) the same on the control task, whose labels come from `control_labels`.
        paired: whether the rows are the same; None: if the lengths agree.

    Returns:
        Estimate with the standard error of a (paired) difference of means over held-out rows, given the fits.

    Raises:
        ValueError: if paired rows differ in number, or an input is malformed.

    Source: Hewitt and Liang, "Designing and interpreting probes with control tasks", EMNLP 2019, arXiv:1909.03368, eq. (2).

    Example:
        >>> float(selectivity([1, 1, 1, 0], [1, 0, 0, 0]))
        0.5
    """
    a, b = vector(task, "task"), vector(control, "control")
    together = len(a) == len(b) if paired is None else paired
    if together and len(a) != len(b):
        raise ValueError(f"control has {len(b)} rows; allowed: {len(a)}, as task, where paired")
    n = min(len(a), len(b))
    if n < 2:
        error = None
    elif together:
        error = float((a - b).std(ddof=1) / np.sqrt(n))
    else:
        error = float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return Estimate(float(a.mean() - b.mean()), stderr=error, how="held_out", n=n)


def control_labels(types: ArrayLike, labels: ArrayLike, *, rng: np.random.Generator) -> np.ndarray:
    """(n,) labels of a control task: one label a type, drawn from the label frequencies, the same wherever it recurs.

    Args:
        types: (n,) what the control label may depend on, such as the word or the image.
        labels: (n,) labels of the task, which give the frequencies.
        rng: source of the draw.

    Raises:
        ValueError: if lengths differ or an input is malformed.

    Source: Hewitt and Liang, EMNLP 2019, arXiv:1909.03368, section 2.

    Example:
        >>> drawn = control_labels(["a", "b", "a"], [0, 1, 1], rng=np.random.default_rng(0))
        >>> bool(drawn[0] == drawn[2])
        True
    """
    array = numpy_of(types, "types")
    codes, kinds = class_codes(array, len(array) if array.ndim else 0, "types")
    y, classes = class_codes(labels, len(codes))
    return np.asarray(classes[rng.choice(y, size=len(kinds))][codes])
