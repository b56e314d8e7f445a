"""Labels that a pretext sees, sees in part or does not see: directions in whitened coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interface.theory._base import Matrix, Moments, Operator, root

UNIT = 1e-9  # allowed departure of a unit vector from length 1, and of orthogonal ones from 0
GAP = 1e-9  # share of the largest eigenvalue below which two neighbours count as equal


@dataclass(frozen=True)
class LinearLabel:
    """A family of labels y = scale * a'Sigma^-1/2 x + noise, with a a unit vector in whitened coordinates of the source.

    a(o, s) = cos(pi s/2) (sqrt(o) aligned + sqrt(1 - o) foreign) + sin(pi s/2) q, with q the part of `fresh` orthogonal to
    the bracket: o is the overlap with what the pretext sees, s the strength of a concept shift. Every a has the same length, so
    the label's variance, hence its scale of difficulty, stays as it is.

    Args:
        aligned: unit d-vector: the label at overlap 1.
        foreign: unit d-vector orthogonal to it: the label at overlap 0.
        fresh: unit d-vector not parallel to either: where a concept shift leads.
        scale: standard deviation of the part of y that x explains, > 0.

    Raises:
        ValueError: if the vectors are not of that kind.

    Example:
        >>> label = LinearLabel((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        >>> label.direction(overlap=0.0).round(12).tolist(), label.direction(concept=1.0).round(12).tolist()
        ([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    """

    aligned: tuple[float, ...]
    foreign: tuple[float, ...]
    fresh: tuple[float, ...]
    scale: float = 1.0

    def __post_init__(self) -> None:
        vectors = {name: np.asarray(getattr(self, name), dtype=np.float64) for name in ("aligned", "foreign", "fresh")}
        for name, vector in vectors.items():
            if vector.shape != (len(self.aligned),) or not abs(np.linalg.norm(vector) - 1) <= UNIT:
                raise ValueError(f"LinearLabel: {name} {vector.shape} must be a unit vector of length {len(self.aligned)}")
        if abs(vectors["aligned"] @ vectors["foreign"]) > UNIT:
            raise ValueError("LinearLabel: aligned and foreign are not orthogonal")
        if max(abs(vectors["fresh"] @ vectors["aligned"]), abs(vectors["fresh"] @ vectors["foreign"])) > 1 - UNIT:
            raise ValueError("LinearLabel: fresh is parallel to aligned or foreign; a concept shift would lead nowhere")
        if not self.scale > 0:
            raise ValueError(f"LinearLabel: scale is {self.scale!r}; allowed: a number > 0")

    def direction(self, overlap: float = 1.0, concept: float = 0.0) -> Matrix:
        """Unit d-vector a(overlap, concept) in whitened coordinates; both arguments in [0, 1]."""
        if not (0 <= overlap <= 1 and 0 <= concept <= 1):
            raise ValueError(f"direction: overlap, concept are {overlap!r}, {concept!r}; allowed: numbers in [0, 1]")
        base = np.sqrt(overlap) * np.asarray(self.aligned) + np.sqrt(1 - overlap) * np.asarray(self.foreign)
        base /= np.linalg.norm(base)
        fresh = np.asarray(self.fresh) - base * (base @ np.asarray(self.fresh))
        angle = np.pi * concept / 2
        return np.cos(angle) * base + np.sin(angle) * fresh / np.linalg.norm(fresh)


def overlap_label(moments: Moments, operator: Operator, rank: int, *, rng: np.random.Generator, scale: float = 1.0) -> LinearLabel:
    """A random label that a linear pretext optimum of `rank` coordinates reads fully at overlap 1, and not at all at overlap 0.

    aligned: uniform in the top-`rank` eigenspace of the operator's S; foreign: uniform in its complement (both functions of what
    the encoder reads, for a mask: of the visible block, then whitened in the whole space); fresh: uniform in the whole space.

    Args:
        moments: of the source.
        operator: of the pretext on that source.
        rank: number of coordinates of the encoder.
        rng: of this label; average over several labels, since one direction is one draw.

    Raises:
        ValueError: if S has no gap at `rank`, so that its optimum is not unique, or nothing is left for the complement.

    Example:
        >>> moments = Moments(np.diag([4.0, 2.0, 1.0]), None, np.zeros(3), 1.0)
        >>> pretext = Operator(moments.covariance, 7.0, np.diag([0.5, 0.5**0.5, 1.0]), np.zeros(0))
        >>> label = overlap_label(moments, pretext, rank=2, rng=np.random.default_rng(0))
        >>> bool(abs(label.aligned[2]) < 1e-12), bool(np.allclose(np.abs(label.foreign), [0, 0, 1]))
        (True, True)
    """
    values, vectors = np.linalg.eigh(operator.S)
    values, vectors = values[::-1], vectors[:, ::-1]
    if not 0 < rank < len(values):
        raise ValueError(f"overlap_label: rank is {rank}; allowed: 1 to {len(values) - 1}, so that something is left unread")
    if values[rank - 1] - values[rank] <= GAP * values[0]:
        raise ValueError(f"overlap_label: S has equal eigenvalues at rank {rank}: no unique optimum, so overlap has no meaning")
    anywhere, fresh = rng.normal(size=(2, len(values))), rng.normal(size=len(moments.covariance))
    whitened = root(moments.covariance) @ operator.whitener.T  # (d, k), orthonormal columns
    # Projections of isotropic draws: uniform, and the same whatever basis the eigensolver returns.
    inside, outside = (part @ (part.T @ draw) for part, draw in zip((vectors[:, :rank], vectors[:, rank:]), anywhere, strict=True))
    return LinearLabel(
        aligned=unit_vector(whitened @ inside),
        foreign=unit_vector(whitened @ outside),
        fresh=unit_vector(fresh),
        scale=scale,
    )


def unit_vector(vector: Matrix) -> tuple[float, ...]:
    """`vector` at length 1, as plain numbers rounded to 12 decimals, so that a fingerprint does not follow the last bit."""
    return tuple((vector / np.linalg.norm(vector)).round(12).tolist())
