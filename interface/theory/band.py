"""The exact interface band: which L*_adapt an encoder can have, given how far its L_pre lies above the floor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interface.theory._base import Matrix, SpectralForm, spectral_form

Index = NDArray[np.intp]

ROUND_OFF = 64 * np.finfo(np.float64).eps / 2  # of the excess, relative to the losses that it is a difference of
REACH = 1e9  # largest multiplier, in units of |target|^2 / s_1
ROUNDS = 24


class Band(NamedTuple):
    """Lowest and highest excess E* = L*_adapt - inf over all affine probes, each (...), in squared units of y."""

    low: Matrix
    high: Matrix


def band(
    S: Matrix,
    target: ArrayLike,
    rank: int,
    excess: ArrayLike,
    *,
    compression: bool = True,
    beyond: ArrayLike = (),
    at_equality: bool = False,
    tolerance: float = 1e-6,
) -> Band:
    """Range of E* = |(I-P)Y|_F^2 over all encoders of at most `rank` coordinates with L_pre <= floor + excess, squared units of y.

    L*_adapt = var_y - |Y|_F^2 + E*. Both ends come from a dual problem in one multiplier; any multiplier gives a valid outer value,
    so an end is never inside the true range, and lies within `tolerance` |Y|^2 of it. Excesses are raised by their own
    round-off first, because an error of 1e-16 in the excess is 1e-8 in E*.

    Args:
        S: (k, k) positive semi-definite pretext operator in whitened coordinates.
        target: Y (k,) or (k, K): cov(whitened x, y).
        rank: coordinates of the encoder.
        excess: (...) head-profiled L_pre minus the floor of this operator at this rank (the one that counts `beyond`, if given).
        compression: True, always valid: at most `rank` coordinates, linear or not. False: linear encoders of full rank only,
            tighter where rank > k - K.
        beyond: eigenvalues of S on functions that are not linear (spectral contrast with nonlinear encoders).
        at_equality: the slice L_pre = floor + excess, used for the position in the band; only where L_pre = c - tr(PS) holds
            as an equality (not for spectral contrast).
        tolerance: largest distance of an end from the true one, in units of |Y|^2, as long as multipliers are below 1e9 |Y|^2/s_1.

    Returns:
        Band of two arrays in the shape of `excess`, within [0, |Y|^2].

    Raises:
        ValueError: if shapes do not fit, S is not positive semi-definite, or an excess is not finite.

    Source: Lagrange duality for the joint numerical range {(tr PS, tr PT)}; the inner maximum is the sum of the largest
        eigenvalues of +-T + l S (Ky Fan 1949). No gap: compressions 0 <= Q <= I, tr Q <= rank form a convex set; for projectors the
        maximisers at the optimal multiplier form a connected Grassmannian (cf. Au-Yeung and Poon 1979).

    Example:
        >>> aligned, foreign = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
        >>> S = np.diag([3.0, 2.0, 1.0])
        >>> [round(float(end), 5) for end in band(S, aligned, 2, 0.1)], [round(float(end), 5) for end in band(S, foreign, 2, 0.1)]
        ([0.0, 0.05], [0.9, 1.0])
    """
    form = spectral_form(S, target, rank, beyond)
    excess = np.asarray(excess, dtype=np.float64)
    if not np.isfinite(excess).all():
        raise ValueError("excess holds a value that is not finite; allowed: L_pre minus its floor")
    raised = (excess.clip(min=0) + ROUND_OFF * (form.spectrum.sum() + form.best)).ravel()
    if at_equality:
        # The loss of a constant encoder, or of the least useful full-rank one, is the most that can be reached.
        raised = raised.clip(max=form.best - (0.0 if compression else np.sort(form.spectrum)[: form.rank].sum()))
    most = _largest_explained(form, 1.0, raised, compression, at_equality, tolerance)
    least = -_largest_explained(form, -1.0, raised, compression, at_equality, tolerance)
    total = form.total
    return Band(*((total - end).clip(0, total).reshape(excess.shape) for end in (most, least)))


def sufficiency(S: Matrix, target: ArrayLike, rank: int, excess: ArrayLike, *, beyond: ArrayLike = ()) -> Matrix:
    """psi(e): the largest E* that any encoder with L_pre <= floor + e can have, squared units of y; the band's upper edge.

    Concave and nondecreasing. psi(0) is the intercept: the part of the label that the pretext's optimum cannot read.

    Args:
        as `band`.
    """
    return band(S, target, rank, excess, beyond=beyond).high


def sufficient_excess(S: Matrix, target: ArrayLike, rank: int, tolerated: float, *, beyond: ArrayLike = ()) -> float:
    """Largest excess of L_pre that still guarantees E* <= `tolerated`, in the unit of L_pre; -inf if not even the floor does.

    inf where every encoder satisfies it. The inverse of `sufficiency`, by bisection on a concave function.

    Args:
        tolerated: E*, squared units of y.
    """
    form = spectral_form(S, target, rank, beyond)
    if tolerated >= form.total:
        return np.inf
    low, high = 0.0, form.best
    if sufficiency(S, target, rank, 0.0, beyond=beyond) > tolerated:
        return -np.inf
    for _ in range(5):  # each round narrows 64-fold
        grid = np.linspace(low, high, 65)
        inside = np.flatnonzero(sufficiency(S, target, rank, grid, beyond=beyond) <= tolerated)[-1]
        low, high = grid[inside], grid[min(inside + 1, 64)]
    return float(low)


def position(adapt_excess: ArrayLike, ends: Band, *, least_width: float = 1e-6) -> Matrix:
    """pi: place of E* in the band, 0 at its lowest and 1 at its highest value, unitless; NaN where the band has no width.

    Args:
        adapt_excess: (...) E* of the checkpoints.
        ends: their band, `at_equality` where that is available.
        least_width: width below which a band counts as having none, squared units of y.
    """
    width = ends.high - ends.low
    known = width > least_width
    return np.where(known, (np.asarray(adapt_excess) - ends.low) / np.where(known, width, 1.0), np.nan)


class _Tangents(NamedTuple):
    """One supporting line per multiplier l: cost(e) = value + l (e - spent), with the maximiser's own spent excess and value."""

    multiplier: Matrix
    spent: Matrix
    value: Matrix


def _largest_explained(
    form: SpectralForm, sign: float, excess: Matrix, compression: bool, at_equality: bool, tolerance: float
) -> Matrix:
    """Upper value (n,) of sign * tr(PT) over tr(PS) >= best - excess, by its dual in one multiplier."""
    if form.total == 0:
        return np.zeros_like(excess)
    unit = form.total / (form.spectrum[0] or 1.0)
    grid = unit * np.concatenate([[0.0], np.logspace(-4, 4, 33)])
    if at_equality:
        grid = np.concatenate([-unit * np.logspace(4, -4, 25), grid])
    lines = _tangents(form, sign, grid, compression)
    further = np.array([3.0, 10.0, 30.0])
    while lines.spent[-1] > excess.min() and lines.multiplier[-1] < REACH * unit:
        lines = _merged(lines, _tangents(form, sign, lines.multiplier[-1] * further, compression))
    while at_equality and lines.spent[0] < excess.max() and lines.multiplier[0] > -REACH * unit:
        lines = _merged(lines, _tangents(form, sign, lines.multiplier[0] * further, compression))

    active = np.arange(len(excess))
    for turn in range(ROUNDS):
        below = _first_affordable(lines, excess[active])
        inner = (below > 0) & (below < len(lines.spent))
        active, below = active[inner], below[inner]
        proposal, gap = _refinement(lines, below, excess[active], logarithmic=turn % 2 == 0)
        active, proposal = active[gap > tolerance * form.total], proposal[gap > tolerance * form.total]
        new = np.setdiff1d(np.unique(proposal), lines.multiplier)
        if not len(new):
            break
        lines = _merged(lines, _tangents(form, sign, new, compression))
    return np.min(lines.value + lines.multiplier * (excess[:, None] - lines.spent), axis=1)


def _tangents(form: SpectralForm, sign: float, multiplier: Matrix, compression: bool) -> _Tangents:
    """Maximisers of tr P(sign T + l S) over rank <= r (== r without `compression`), at every multiplier at once."""
    spectrum, target, rank = form.spectrum, form.target, form.rank
    matrices = np.repeat((sign * target @ target.T)[None], len(multiplier), axis=0)
    diagonal = np.arange(len(spectrum))
    matrices[:, diagonal, diagonal] += multiplier[:, None] * spectrum
    values, vectors = np.linalg.eigh(matrices)
    chosen = np.zeros(values.shape, dtype=bool)
    chosen[:, -rank:] = True
    if compression:
        chosen &= values > 0
    kept = np.einsum("lij,lj->li", vectors**2, chosen)  # q_i = u_i'P u_i
    lost = np.einsum("lij,lj->li", vectors**2, ~chosen)  # 1 - q_i, without cancellation
    # best - tr(PS), as a sum of terms >= 0 around the r-th eigenvalue: accurate where it is 1e-16 of the trace.
    pivot = spectrum[rank - 1]
    spent = lost[:, :rank] @ (spectrum[:rank] - pivot) + kept[:, rank:] @ (pivot - spectrum[rank:])
    spent += pivot * (rank - chosen.sum(1))
    projected = np.einsum("ik,lij->lkj", target, vectors)
    value = sign * np.einsum("lkj,lj->l", projected**2, chosen)
    return _Tangents(multiplier, spent, value)


def _merged(lines: _Tangents, new: _Tangents) -> _Tangents:
    both = _Tangents(*(np.concatenate(pair) for pair in zip(lines, new, strict=True)))
    order = np.argsort(both.multiplier, kind="stable")
    return _Tangents(*(part[order] for part in both))


def _first_affordable(lines: _Tangents, excess: Matrix) -> Index:
    """Index of the first multiplier whose maximiser spends no more than `excess`; spent falls as the multiplier grows."""
    return np.searchsorted(-np.minimum.accumulate(lines.spent), -excess, side="left")


def _refinement(lines: _Tangents, below: Index, excess: Matrix, *, logarithmic: bool) -> tuple[Matrix, Matrix]:
    """Next multiplier for each excess, and the proven distance of its present value from the optimum."""
    above = below - 1
    (l0, d0, v0), (l1, d1, v1) = ([part[index] for part in lines] for index in (above, below))
    share = np.divide(d0 - excess, d0 - d1, out=np.zeros_like(d0), where=d0 > d1).clip(0, 1)
    attained = v0 + share * (v1 - v0)  # a mixture of the two maximisers: what is surely reachable in the dual
    outer = np.minimum(v0 + l0 * (excess - d0), v1 + l1 * (excess - d1))
    proposal = np.divide(v0 - v1, d0 - d1, out=0.5 * (l0 + l1), where=d0 > d1)  # where the two lines cross: exact at a kink
    if logarithmic:  # spent ~ 1 / l^2 near the floor: a straight line on logarithmic axes
        usable = (l0 > 0) & (d1 > 0) & (d0 > d1)
        a0, a1, b0, b1, b = (np.log(np.where(usable, part, 1.0)) for part in (l0, l1, d0, d1, excess))
        fraction = np.divide(b0 - b, b0 - b1, out=np.full_like(b, 0.5), where=usable)
        proposal = np.where(usable, np.exp(a0 + fraction.clip(0.02, 0.98) * (a1 - a0)), proposal)
    return proposal.clip(l0, l1), outer - attained
