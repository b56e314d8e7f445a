"""Participation ratio, stable rank and NESum: soft ranks of the covariance that need no entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import EPS, Sample, Statistics, centre, sample, scored


def participation_ratio(features: ArrayLike | Statistics, *, blocks: int | None = None) -> Estimate:
    """(sum of covariance eigenvalues)^2 / sum of their squares; unitless, in [1, min(n - 1, d)].

    High: variance is spread over many directions; less sensitive to small ones than the effective rank.

    Args:
        features: (n, d) representation, or Statistics; centred here.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and 0 if no feature varies.

    Raises:
        ValueError: if features are malformed.

    Source: Gao et al., "A theory of multineuronal dimensionality", bioRxiv 2017, eq. (2).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2000, 6))
        >>> bool(5.9 < participation_ratio(x) <= 6), bool(participation_ratio(x * [9, 1, 1, 1, 1, 1]) < 1.3)
        (True, True)
    """
    return scored(sample(features, blocks=blocks, cost=0.5), _participation)


def stable_rank(features: ArrayLike | Statistics, *, centred: bool = False, blocks: int | None = None) -> Estimate:
    """Squared Frobenius norm over squared spectral norm; unitless, in [1, min(n, d)].

    High: no direction dominates. Not centred by default, as usually defined for a matrix; a large mean gives 1.

    Args:
        features: (n, d) representation, or Statistics.
        centred: subtract the mean first; it is then NESum.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and 0 if every feature is 0 (centred: is constant).

    Raises:
        ValueError: if features are malformed.

    Source: Rudelson and Vershynin, "Sampling from large matrices", J. ACM 54, 2007, section 1.

    Example:
        >>> f"{stable_rank(np.eye(5)):.6f} {stable_rank(np.ones((20, 5))):.6f}"
        '5.000000 1.000000'
    """
    return scored(sample(features, blocks=blocks, cost=4.0), lambda part: _stable(part, centred))


def nesum(features: ArrayLike | Statistics, *, blocks: int | None = None) -> Estimate:
    """Sum of the covariance eigenvalues over the largest one; unitless, in [1, min(n - 1, d)].

    High: whitened features (d); 1: collapse on one direction.

    Args:
        features: (n, d) representation, or Statistics; centred here.
        blocks: blocks of rows for the standard error; None: where cheap, 0: none.

    Returns:
        Estimate with a delete-a-block standard error; "no signal" and 0 if no feature varies.

    Raises:
        ValueError: if features are malformed.

    Source: He and Ozay, "Exploring the gap between collapsed and whitened features in self-supervised learning",
        ICML 2022.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 1)) * np.ones(4)
        >>> f"{nesum(x):.4f}"
        '1.0000'
    """
    return scored(sample(features, blocks=blocks, cost=4.0), lambda part: _stable(part, True))


def _gram(rows: Sample, centred: bool) -> np.ndarray:
    """X'X or X X', whichever is smaller; their nonzero eigenvalues agree."""
    if rows.small:
        assert rows.x is not None
        x = centre(rows.x) if centred else rows.x
        return x.T @ x if rows.n >= rows.d else x @ x.T
    return rows.moments.scatter() if centred else rows.moments.gram()


def _scale(rows: Sample) -> float:
    """Squared size of the uncentred rows, in units of which round-off is judged."""
    return float((rows.x**2).sum()) if rows.small and rows.x is not None else float(np.trace(rows.moments.gram()))


def _participation(rows: Sample) -> tuple[float, str]:
    gram = _gram(rows, True)
    trace = float(np.trace(gram))
    if trace <= EPS**2 * _scale(rows):
        return 0.0, "no signal"
    return 1.0 / float(((gram / trace) ** 2).sum()), "ok"


def _stable(rows: Sample, centred: bool) -> tuple[float, str]:
    gram = _gram(rows, centred)
    trace = float(np.trace(gram))
    if trace <= (EPS**2 * _scale(rows) if centred else 0.0):
        return 0.0, "no signal"
    return 1.0 / float(np.linalg.eigvalsh(gram / trace)[-1]), "ok"
