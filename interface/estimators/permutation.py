"""Permutation tests of any score of two sets of rows, with the null's mean and spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import matrix, one_of, paired, two_samples


@dataclass(frozen=True)
class PermutationTest:
    """A score beside its values under permutation.

    Args:
        estimate: the score of the data.
        null_mean, null_sd: mean and standard deviation of the score under the null.
        p_value: share of permutations at least as extreme, the data counted in; never 0.
        permutations: how many were drawn.
    """

    estimate: Estimate
    null_mean: float
    null_sd: float
    p_value: float
    permutations: int


def permutation_test(
    score: Callable[[np.ndarray, np.ndarray], float],
    x: ArrayLike,
    y: ArrayLike,
    *,
    null: str,
    tail: str = "greater",
    permutations: int = 199,
    rng: np.random.Generator | None = None,
) -> PermutationTest:
    """p-value of score(x, y) under exchangeability, exact for any score.

    Args:
        score: function of two arrays, such as `cka` or `mmd`, or a partial of one.
        x, y: its two arguments.
        null: "pairing" shuffles the rows of y against those of x (cka, mutual_knn, procrustes); "domains" shuffles
            rows between x and y (mmd, proxy_a_distance, frechet).
        tail: "greater" (similarities under "pairing", distances under "domains") or "less".
        permutations: drawn at random.
        rng: source of the permutations; None is a generator with seed 0.

    Returns:
        PermutationTest.

    Raises:
        ValueError: if an option is unknown, permutations < 1, or inputs are malformed.

    Source: Phipson and Smyth, 2010 (the data count as one permutation).

    Example:
        >>> from interface.estimators import cka
        >>> x = np.random.default_rng(0).normal(size=(40, 3))
        >>> permutation_test(lambda a, b: cka(a, b, debiased=True, blocks=0), x, x, null="pairing").p_value
        0.005
    """
    one_of(null, ("pairing", "domains"), "null")
    one_of(tail, ("greater", "less"), "tail")
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; allowed: a number >= 1")
    rng = np.random.default_rng(0) if rng is None else rng
    a, b = paired(x, y, ("x", "y")) if null == "pairing" else two_samples(x, y, ("x", "y"))
    observed = score(a, b)
    estimate = observed if isinstance(observed, Estimate) else Estimate(float(observed), how="plug_in", n=len(a))
    pooled = None if null == "pairing" else matrix(np.concatenate([a, b]), "x")
    values = np.empty(permutations)
    for i in range(permutations):
        if pooled is None:
            values[i] = score(a, b[rng.permutation(len(b))])
        else:
            order = rng.permutation(len(pooled))
            values[i] = score(pooled[order[: len(a)]], pooled[order[len(a) :]])
    extreme = values >= float(estimate) if tail == "greater" else values <= float(estimate)
    p = (1 + int(extreme.sum())) / (permutations + 1)
    sd = float(values.std(ddof=1)) if permutations > 1 else 0.0
    return PermutationTest(estimate, float(values.mean()), sd, p, permutations)
