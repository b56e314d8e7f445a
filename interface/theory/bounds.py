"""Closed-form bounds on L*_adapt from the excess of L_pre: looser than the band, and readable."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from interface.theory._base import Matrix, SpectralForm, spectral_form

GAP = 1e-12  # share of the largest eigenvalue below which two neighbours count as equal


class Rates(NamedTuple):
    """Behaviour of the band near the floor: E* in mismatch +- root sqrt(e) + O(e), or up to slope e where the mismatch is 0.

    mismatch: squared norm of the target outside the top eigenspace, squared units of y; slope: kappa_r, squared units of y per
    unit of L_pre; root: coefficient of the square root. slope and root are inf where the gap is closed and the target has a part
    in the degenerate eigenspace.
    """

    mismatch: float
    slope: float
    root: float


def interface_bound(S: Matrix, target: ArrayLike, rank: int, excess: ArrayLike, *, beyond: ArrayLike = ()) -> Matrix:
    """Upper bound on E* of any encoder with `rank` coordinates whose L_pre is within `excess` of the floor, squared units of y.

    min over k <= rank with s_k > s_{rank+1} of (|(I-P_k)Y|_F + sqrt(kappa_k e))^2, and |Y|_F^2, with
    kappa_k = lambda_max(Y'U_k diag(1/(s_i - s_{rank+1})) U_k'Y). Never below the band's upper end; equal to it to first order
    at e -> 0 if the target lies in the top eigenspace.

    Args:
        S: (k, k) pretext operator; target: Y (k,) or (k, K) in its whitened coordinates; rank: coordinates of the encoder.
        excess: (...) head-profiled L_pre minus the floor, >= 0 up to round-off.
        beyond: eigenvalues of S on functions that are not linear.

    Returns:
        (...) bounds, in the shape of `excess`.

    Source: q_i = u_i'Pu_i in [0,1] gives e >= sum_{i<=r} (s_i - s_{r+1})(1 - q_i); then the triangle inequality. With one target
        and a multitask S it is the task-diversity bound of Tripuraneni, Jordan, Jin 2020, arXiv:2006.11650, its constant explicit.

    Example:
        >>> S = np.diag([3.0, 2.0, 1.0])
        >>> float(interface_bound(S, [1.0, 0.0, 0.0], 2, 0.1)).__round__(12)  # slope 1 / (3 - 1)
        0.05
    """
    form = spectral_form(S, target, rank, beyond)
    excess = np.asarray(excess, dtype=np.float64).clip(min=0)
    bound = np.full(excess.shape, form.total)
    for k in range(1, form.rank + 1):
        slope = _slope(form, k)
        if np.isfinite(slope):
            outside = np.linalg.norm(form.target[k:])
            bound = np.minimum(bound, (outside + np.sqrt(slope * excess)) ** 2)
    return bound


def rates(S: Matrix, target: ArrayLike, rank: int, *, beyond: ArrayLike = ()) -> Rates:
    """Intercept, slope and square-root coefficient of the band at the floor.

    Args:
        as `interface_bound`.

    Source: second-order perturbation of the top eigenspace: root = 2 sqrt(sum_{i<=r<j} <Y_i, Y_j>^2 / (s_i - s_j)).

    Example:
        >>> S = np.diag([3.0, 2.0, 1.0])
        >>> aligned, foreign = rates(S, [1.0, 0.0, 0.0], 2), rates(S, [0.0, 0.0, 1.0], 2)
        >>> aligned.mismatch, round(aligned.slope, 12), foreign.mismatch
        (0.0, 0.5, 1.0)
    """
    form = spectral_form(S, target, rank, beyond)
    inside, outside = form.target[: form.rank], form.target[form.rank :]
    overlap = np.square(inside @ outside.T)
    gaps = form.spectrum[: form.rank, None] - form.spectrum[None, form.rank :]
    closed = gaps <= GAP * form.spectrum[0]
    if (overlap[closed] > GAP * form.total**2).any():
        root = np.inf
    else:
        root = 2 * float(np.sqrt((overlap[~closed] / gaps[~closed]).sum()))
    return Rates(float(np.square(outside).sum()), _slope(form, form.rank), root)


def _slope(form: SpectralForm, k: int) -> float:
    """kappa_k; rows of the target that are 0 may have a closed gap."""
    following = form.spectrum[form.rank] if len(form.spectrum) > form.rank else 0.0
    gaps, rows = form.spectrum[:k] - following, form.target[:k]
    read = np.square(rows).sum(1) > GAP * form.total
    if (gaps[read] <= GAP * form.spectrum[0]).any():
        return np.inf
    scaled = rows[read] / np.sqrt(gaps[read])[:, None]
    return float(np.linalg.norm(scaled, 2) ** 2) if len(scaled) else 0.0
