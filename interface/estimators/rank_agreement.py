"""Rank agreement of a score with measured transfer over models, always with the nulls that it must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, jackknife, vector

COEFFICIENTS = ("weighted_kendall", "spearman", "pearson", "fidelity")
NULLS = ("size", "untrained", "l_pre")


@dataclass(frozen=True)
class Agreement:
    """How one score agrees with transfer over m models.

    Args:
        name: of the score.
        weighted_kendall, spearman, pearson: coefficients in [-1, 1], with standard errors.
        fidelity: correlation of |difference in score| with |difference in transfer| over pairs of models: whether a
            small (large) difference in score means a small (large) one in transfer.
        intervals: coefficient name -> 95% interval.
        p_values: coefficient name -> two-sided permutation p-value.
        top1_regret: best transfer minus the transfer of the model scored highest; in transfer's unit, >= 0.
        best_in_top_k: whether the best model is among the k scored highest.
        status: "ok", or why there is nothing to say.
    """

    name: str
    weighted_kendall: Estimate
    spearman: Estimate
    pearson: Estimate
    fidelity: Estimate
    intervals: dict[str, tuple[float, float]]
    p_values: dict[str, float]
    top1_regret: float
    best_in_top_k: bool
    status: str


@dataclass(frozen=True)
class RankAgreement:
    """A score's agreement beside those of its nulls.

    Args:
        score: of the score itself.
        nulls: "size", "untrained", "l_pre" -> agreement of that ranking; those passed as None are in `missing`.
        missing: nulls that were not given; a table must say so.
    """

    score: Agreement
    nulls: dict[str, Agreement]
    missing: tuple[str, ...]

    def table(self) -> str:
        """The score and its nulls, one line each, as a Markdown table."""
        lines = ["| ranking | weighted Kendall | Spearman | Pearson | fidelity | p | top-1 regret | best in top k |"]
        lines.append("|---" * 8 + "|")
        for row in (self.score, *self.nulls.values()):
            values = " | ".join(f"{getattr(row, name):.3f}" for name in COEFFICIENTS)
            p = f"{row.p_values['weighted_kendall']:.3g}"
            lines.append(f"| {row.name} | {values} | {p} | {row.top1_regret:.4g} | {'yes' if row.best_in_top_k else 'no'} |")
        lines += [f"| {name} | not given | | | | | | |" for name in self.missing]
        return "\n".join(lines)


def rank_agreement(
    scores: ArrayLike,
    transfer: ArrayLike,
    *,
    size: ArrayLike | None,
    untrained: ArrayLike | None,
    l_pre: ArrayLike | None,
    k: int = 3,
    permutations: int = 999,
    rng: np.random.Generator | None = None,
) -> RankAgreement:
    """Weighted Kendall, Spearman, Pearson, fidelity, regret and best-in-top-k of a score and its nulls; unitless.

    High: the score ranks models as transfer does. No more than its nulls: it says nothing that size, architecture
    or the pretraining loss did not.

    Args:
        scores: (m,) the score of each model; higher means better (negate losses and distances).
        transfer: (m,) measured transfer of each; higher means better.
        size: (m,) size of each model, the ranking by size alone; None must be written, and is reported as missing.
        untrained: (m,) the same score of each model before training; None as above.
        l_pre: (m,) pretraining loss of each, lower is better (negated here); None as above.
        k: for best-in-top-k.
        permutations: drawn for p-values; the data count as one.
        rng: source of the permutations; None is a generator with seed 0.

    Returns:
        RankAgreement. Standard errors are delete-one jackknife over models; intervals are of Fisher's z with them.
        A constant score gives NaN coefficients, the status "constant", and the regret of the worst model of the tie.

    Raises:
        ValueError: if fewer than 4 models are given, lengths differ, k is not in [1, m], permutations < 1, or a value
            is not finite.

    Source: weighted Kendall: Vigna, WWW 2015 (hyperbolic weights, both rankings), as in You et al., ICML 2021;
        why the nulls: arXiv:2510.06448. Fidelity: defined above.

    Example:
        >>> transfer = np.array([0.1, 0.3, 0.4, 0.7, 0.9])
        >>> found = rank_agreement(transfer**3, transfer, size=[5, 4, 3, 2, 1], untrained=None, l_pre=None)
        >>> f"{found.score.spearman:.3f} {found.nulls['size'].spearman:.3f}", found.missing
        ('1.000 -1.000', ('untrained', 'l_pre'))
    """
    y = vector(transfer, "transfer")
    m = len(y)
    if m < 4:
        raise ValueError(f"transfer has {m} models; allowed: at least 4")
    if not 1 <= k <= m:
        raise ValueError(f"k is {k}; allowed: 1 to {m}")
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; allowed: a number >= 1")
    rng = np.random.default_rng(0) if rng is None else rng
    orders = np.array([rng.permutation(m) for _ in range(permutations)])
    rankings = {"score": vector(scores, "scores", n=m)}
    for name, value in zip(NULLS, (size, untrained, l_pre), strict=True):
        if value is not None:
            rankings[name] = vector(value, name, n=m) * (-1.0 if name == "l_pre" else 1.0)
    found = {name: _agreement(name, x, y, k, orders) for name, x in rankings.items()}
    score = found.pop("score")
    return RankAgreement(score, found, tuple(name for name in NULLS if name not in found))


def _agreement(name: str, x: Array, y: Array, k: int, orders: np.ndarray) -> Agreement:
    m = len(x)
    tied = np.flatnonzero(x == x.max())
    regret = float(y.max() - y[tied].min())
    best = int(np.argmax(y))
    inside = bool(np.sum(x >= x[best]) <= k)  # ties count against the score
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        nothing = Estimate(float("nan"), how="plug_in", n=m, status="constant")
        nan = float("nan")
        return Agreement(
            name, nothing, nothing, nothing, nothing, dict.fromkeys(COEFFICIENTS, (nan, nan)),
            dict.fromkeys(COEFFICIENTS, 1.0), regret, inside, "constant",
        )  # fmt: skip
    estimates, intervals, p_values = {}, {}, {}
    for which in COEFFICIENTS:
        value = _coefficient(which, x, y)
        null = np.array([_coefficient(which, x, y[order]) for order in orders])
        p_values[which] = float((1 + np.sum(np.abs(null) >= abs(value) - 1e-12)) / (len(orders) + 1))
        left_out = [_coefficient(which, np.delete(x, i), np.delete(y, i)) for i in range(m)]
        error = jackknife(left_out)
        estimates[which] = Estimate(value, stderr=error, how="plug_in", n=m)
        intervals[which] = _interval(value, left_out)
    return Agreement(
        name, estimates["weighted_kendall"], estimates["spearman"], estimates["pearson"], estimates["fidelity"],
        intervals, p_values, regret, inside, "ok",
    )  # fmt: skip


def _interval(value: float, left_out: list[float]) -> tuple[float, float]:
    """95% interval of Fisher's z by its own jackknife error, at least the normal-theory one."""
    clip = 1 - 1e-12
    z = np.arctanh(np.clip([value, *left_out], -clip, clip))
    error = jackknife(list(z[1:])) if abs(value) < clip else None
    half = 1.96 * max(error or 0.0, 1 / np.sqrt(max(len(left_out) - 3, 1)))
    return float(np.tanh(z[0] - half)), float(np.tanh(z[0] + half))


def _coefficient(which: str, x: Array, y: Array) -> float:
    if which == "weighted_kendall":
        return _weighted_kendall(x, y)
    if which == "spearman":
        x, y = _ranks(x), _ranks(y)
    elif which == "fidelity":
        upper = np.triu_indices(len(x), 1)
        x, y = np.abs(x[:, None] - x)[upper], np.abs(y[:, None] - y)[upper]
    xc, yc = x - x.mean(), y - y.mean()
    norm = float(np.linalg.norm(xc) * np.linalg.norm(yc))
    return float(np.clip(xc @ yc / norm, -1.0, 1.0)) if norm > 0 else 0.0


def _ranks(x: Array) -> Array:
    """Average ranks."""
    smaller, equal = (x[:, None] > x).sum(1), (x[:, None] == x).sum(1)
    return smaller + 0.5 * (equal + 1)


def _weighted_kendall(x: Array, y: Array) -> float:
    """Vigna's tau with additive hyperbolic weights, mean over ranking by x and by y, ties broken by the other."""
    sx, sy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    values = []
    for first, second in ((x, y), (y, x)):
        rank = np.empty(len(x))
        rank[np.lexsort((second, first))[::-1]] = np.arange(len(x))
        weight = 1 / (1 + rank)
        weights = weight[:, None] + weight
        norm = np.sqrt((weights * sx**2).sum() * (weights * sy**2).sum())
        values.append(float((weights * sx * sy).sum() / norm) if norm > 0 else 0.0)
    return float(np.clip(np.mean(values), -1.0, 1.0))
