"""The exponential link and the power link: L*_adapt approaches an asymptote as L_pre moves."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from interface.analysis._link import RESAMPLES, Curve, LinkFit, checked
from interface.analysis._projection import STATUS, in_chunks, project


def exponential_link(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    flat: Literal["high", "low"] = "high",
    resamples: int = RESAMPLES,
) -> LinkFit:
    """y = asymptote + amplitude exp(-rate (x - reference)), reference the middle of x; parameters asymptote, amplitude, rate.

    With `flat="high"` (rate > 0) the curve levels off at large x: an error that starts at chance and falls faster the lower the
    pretraining loss, with amplitude < 0. With "low" (rate < 0) it levels off where the loss is lowest. rate times half the range
    of x lies in [.01, 10]; "bound hit" at .01 means that the data cannot tell the curve from a line.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        clusters: (n,) labels of what is independent; by default each row.
        rng: randomness of the bootstrap.
        flat: on which side the asymptote lies.
        resamples: bootstrap resamples of clusters.

    Raises:
        ValueError: if the rows do not identify three parameters, or shapes and values are not as said.

    Source: the form of Gadre et al., "Language models scale reliably with over-training and on downstream tasks", 2024,
        arXiv:2403.08540, equation 5 (their k is `plain_amplitude` with the sign turned); fitted by variable projection.

    Example:
        >>> x = np.linspace(2, 4, 60)
        >>> fit = exponential_link(x, 0.9 - 2 * np.exp(-0.8 * x), rng=np.random.default_rng(0), resamples=20)
        >>> round(fit["asymptote"], 6), round(fit["rate"], 6), round(plain_amplitude(fit), 6), fit.status
        (0.9, 0.8, -2.0, 'converged')
    """
    x, y, codes = checked(x, y, clusters, 3)
    middle, half = 0.5 * (x.min() + x.max()), 0.5 * np.ptp(x)
    sign = 1.0 if flat == "high" else -1.0
    a, b, k, status = _fitted(sign * (x - middle) / half, y, codes, rng, resamples)

    def curve(at: np.ndarray, parameters: tuple[np.ndarray, ...]) -> np.ndarray:
        return parameters[0] + parameters[1] * np.exp(-parameters[2] * (at - middle))

    return _link("exponential", ("asymptote", "amplitude", "rate"), (a, b, sign * k / half), status, x, y, codes, curve)


def plain_amplitude(fit: LinkFit) -> float:
    """Amplitude of an exponential link at x = 0, as in y = asymptote + amplitude exp(-rate x); inf where that overflows."""
    with np.errstate(over="ignore"):
        return float(fit["amplitude"] * np.exp(fit["rate"] * 0.5 * sum(fit.span)))


def power_link(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    floor: float = 0.0,
    resamples: int = RESAMPLES,
) -> LinkFit:
    """y = asymptote + amplitude ((x - floor) / reference)^exponent, reference the geometric middle of x - floor; exponent > 0.

    The asymptote is what is left at x = floor. Theory for linear encoders: exponent 1 where the pretext sees what the label needs,
    1/2 at the misaligned edge of the band.

    Args:
        x, y: (n,) pretraining loss, adaptation loss or error.
        clusters: (n,) labels of what is independent; by default each row.
        rng: randomness of the bootstrap.
        floor: lowest pretraining loss that anything can reach; taken as known.
        resamples: bootstrap resamples of clusters.

    Raises:
        ValueError: as `exponential_link`; also if an x is not above the floor.

    Source: a power law in the excess is an exponential in its logarithm, so that the same projection fits it.

    Example:
        >>> x = np.linspace(1.1, 3, 60)
        >>> fit = power_link(x, 0.2 + 0.5 * (x - 1) ** 0.5, rng=np.random.default_rng(0), floor=1.0, resamples=20)
        >>> round(fit["asymptote"], 6), round(fit["exponent"], 6)
        (0.2, 0.5)
    """
    x, y, codes = checked(x, y, clusters, 3)
    if not x.min() > floor:
        raise ValueError(f"power_link: floor is {floor:g} and the lowest x is {x.min():g}; allowed: a floor below every x")
    log = np.log(x - floor)
    middle, half = 0.5 * (log.min() + log.max()), 0.5 * np.ptp(log)
    a, b, k, status = _fitted(-(log - middle) / half, y, codes, rng, resamples)

    def curve(at: np.ndarray, parameters: tuple[np.ndarray, ...]) -> np.ndarray:
        return parameters[0] + parameters[1] * np.exp(parameters[2] * (np.log(at - floor) - middle))

    return _link("power", ("asymptote", "amplitude", "exponent"), (a, b, k / half), status, x, y, codes, curve)


def _fitted(
    u: np.ndarray, y: np.ndarray, codes: np.ndarray, rng: np.random.Generator, resamples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    centre, scale = y.mean(), y.std()
    if scale <= 1e-12 * np.abs(y).max():
        raise ValueError("link: y is constant; there is nothing to relate")
    g = int(codes.max()) + 1
    a, b, k, status = project(u, (y - centre) / scale, codes, in_chunks(g, resamples, rng))
    return centre + scale * a, scale * b, k, status


def _link(
    kind: str,
    names: tuple[str, ...],
    found: tuple[np.ndarray, ...],
    status: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    codes: np.ndarray,
    curve: Curve,
) -> LinkFit:
    values = tuple(float(v[0]) for v in found)
    residuals = y - curve(x, tuple(map(np.asarray, values)))
    return LinkFit(
        kind=kind,
        names=names,
        values=values,
        residual_variance=float(residuals @ residuals / (len(y) - len(names))),
        status=STATUS[status[0]],
        n_clusters=int(codes.max()) + 1,
        span=(float(x.min()), float(x.max())),
        resamples=np.stack([v[1:] for v in found], axis=1),
        unsettled=float((status[1:] != 0).mean()) if len(status) > 1 else 0.0,
        curve=curve,
    )
