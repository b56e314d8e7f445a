"""A Gaussian factor world in which every squared loss is a closed form: shared content, private factors, noise, a linear label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from interface import seeds
from interface.core import Estimate, Kind, Shift, fingerprint
from interface.populations._base import Examples, Population
from interface.theory.labels import LinearLabel, unit_vector
from interface.theory.moments import Matrix, Moments

LOWEST_VARIANCE, HIGHEST_VARIANCE = 0.5, 4.0  # of a factor, drawn log-uniformly
REWEIGHTING = 0.8  # standard deviation of the log variance of a factor at covariate strength 1
NO_SHIFT = Shift()
DEFAULT_SIZE = (16, 4, 4, 0.5)

Loadings = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class GaussianFactor(Population):
    """x_v = A c + B p_v + noise e_v in view v: content c is shared by the views, private factors p and noise e are fresh in each.

    All factors are independent standard normals; y = beta'x + label_noise xi, a function of view 0, with beta = Sigma^-1/2 a and a
    from `label`, in whitened coordinates of the source. Spectral contrastive pretraining can only see content; autoencoding sees
    whatever has variance.

    Shifts: "misalignment" of strength m (overlap 1 - m of the label with what `label` calls aligned) and "concept" (the label
    turns into a fresh direction) leave p(x) alone; "covariate" multiplies each factor's variance by exp(.8 g)^strength, g standard
    normal and the same for every strength, and leaves beta alone, so that var y changes. One shift at a time.

    Args:
        index: which draw of the world's parameters: directions uniform, variances log-uniform in [.5, 4], all fresh.
        dim: d, length of x.
        n_content: number of shared factors.
        n_private: number of private factors.
        noise: standard deviation of each coordinate's noise, > 0.
        label_noise: standard deviation of what no predictor of y from x can explain.
        label: directions of the label; None draws one: aligned in the content, foreign in what of the private part the
            content does not span, fresh uniform.
        applied: the shift already applied; use `shift`.
        content, private: (d, n) loadings A and B, columns scaled by the factors' standard deviations, in place of drawn ones;
            see `from_matrices`.

    Raises:
        ValueError: if a size, a noise or the label's length does not fit.

    Example:
        >>> world = GaussianFactor(index=3)
        >>> world.instance, world.shift("concept", 0.0) is world, float(world.bayes_risk()) < world.moments().var_y
        ('GaussianFactor-3', True, True)
    """

    index: int = 0
    dim: int = 16
    n_content: int = 4
    n_private: int = 4
    noise: float = 0.5
    label_noise: float = 0.3
    label: LinearLabel | None = None
    applied: Shift = NO_SHIFT
    content: Loadings | None = None
    private: Loadings | None = None

    shifts: ClassVar[Mapping[str, Kind]] = MappingProxyType(
        {"misalignment": "concept", "concept": "concept", "covariate": "covariate"}
    )

    def __post_init__(self) -> None:
        if min(self.dim, self.n_content, self.n_private) < 1 or self.n_content >= self.dim:
            sizes = (self.dim, self.n_content, self.n_private)
            raise ValueError(f"GaussianFactor: dim, n_content, n_private are {sizes}; allowed: integers >= 1, n_content < dim")
        if not (self.noise > 0 and self.label_noise >= 0):
            got = (self.noise, self.label_noise)
            raise ValueError(f"GaussianFactor: noise, label_noise are {got}; allowed: a number > 0 and a number >= 0")
        if self.label is not None and len(self.label.aligned) != self.dim:
            raise ValueError(f"GaussianFactor: label has length {len(self.label.aligned)}; allowed: dim = {self.dim}")
        if (self.content is None) != (self.private is None):
            raise ValueError("GaussianFactor: give both of content and private, or neither")
        for name, loadings, columns in (("content", self.content, self.n_content), ("private", self.private, self.n_private)):
            if loadings is not None and np.shape(loadings) != (self.dim, columns):
                raise ValueError(f"GaussianFactor: {name} has shape {np.shape(loadings)}; allowed: {(self.dim, columns)}")

    @classmethod
    def from_matrices(
        cls,
        content: ArrayLike,
        private: ArrayLike,
        *,
        content_weights: ArrayLike,
        private_weights: ArrayLike,
        noise: float,
        label_noise: float,
    ) -> Self:
        """The world with these loadings, in which y = w_c'c + w_p'p + label_noise xi in terms of the *factors* of view 0.

        As a function of x the label is beta'x with more noise than `label_noise`: factors are not read off x exactly. The pair
        (x, y) has the same law as in terms of the factors.

        Args:
            content, private: (d, n) loadings; scale columns by the factors' standard deviations.
            content_weights, private_weights: (n,) w of the standardised factors.
            noise, label_noise: standard deviations of x's and y's own noise.

        Raises:
            ValueError: if shapes do not fit, or the label does not depend on the factors.
        """
        a, b = np.asarray(content, dtype=np.float64), np.asarray(private, dtype=np.float64)
        weights = np.concatenate([np.ravel(content_weights), np.ravel(private_weights)]).astype(np.float64)
        if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(weights) != a.shape[1] + b.shape[1]:
            raise ValueError(
                f"from_matrices: content {a.shape}, private {b.shape}, {len(weights)} weights; allowed: (d, n), (d, m), n+m"
            )
        source = cls(
            dim=len(a),
            n_content=a.shape[1],
            n_private=b.shape[1],
            noise=noise,
            label_noise=label_noise,
            content=tuple(map(tuple, a.tolist())),
            private=tuple(map(tuple, b.tolist())),
        )
        world = _world(source._law)
        whitened = world.inverse_root @ np.hstack([a, b]) @ weights
        size = float(np.linalg.norm(whitened))
        if size == 0:
            raise ValueError("from_matrices: every weight is 0, so the label does not depend on x")
        aligned = whitened / size
        foreign = np.asarray(world.label.foreign)
        foreign = foreign - aligned * (aligned @ foreign)
        if np.linalg.norm(foreign) < 1e-6:  # the label is private itself: any other direction
            foreign = np.asarray(world.label.aligned) - aligned * (aligned @ np.asarray(world.label.aligned))
        label = LinearLabel(unit_vector(aligned), unit_vector(foreign), world.label.fresh, scale=size)
        unexplained = float(weights @ weights + label_noise**2 - size**2)
        return replace(source, label=label, label_noise=unexplained**0.5)

    @property
    def instance(self) -> str:
        if self.content is not None:
            return f"GaussianFactor-{fingerprint((self.content, self.private, self.noise))[:8]}"
        size = (self.dim, self.n_content, self.n_private, self.noise)
        suffix = "" if size == DEFAULT_SIZE else f"-d{self.dim}c{self.n_content}p{self.n_private}s{self.noise:g}"
        return f"GaussianFactor-{self.index}{suffix}"

    @property
    def input_dim(self) -> int:
        return self.dim

    @property
    def n_classes(self) -> int | None:
        return None

    def views(self, n: int, k: int, generator: torch.Generator) -> Examples:
        if n < 1 or k < 1:
            raise ValueError(f"views: n, k are {n!r}, {k!r}; allowed: integers >= 1")
        content, private = (torch.from_numpy(part).float() for part in _loadings(self))
        x = self.noise * torch.randn(n, k, self.dim, generator=generator)
        x += (torch.randn(n, self.n_content, generator=generator) @ content.T).unsqueeze(1)
        x += torch.randn(n, k, self.n_private, generator=generator) @ private.T
        y = x[:, 0] @ torch.from_numpy(_beta(self)).float() + self.label_noise * torch.randn(n, generator=generator)
        return Examples(x, y)

    def _shifted(self, name: str, strength: float) -> Self:
        if self.applied.strength:
            raise ValueError(
                f"shift: this population already carries {self.applied.name} at {self.applied.strength}; shift its source instead"
            )
        return replace(self, applied=Shift(name, strength, self.shifts[name]))

    def moments(self) -> Moments:
        """Exact moments of this population, shift included; read-only arrays shared between calls."""
        return _moments(self)

    def bayes_risk(self) -> Estimate:
        return Estimate(self.label_noise**2, stderr=0.0, how="exact")

    def overlap(self) -> float:
        """Share of the label's explained variance in the aligned direction, before any concept shift; in [0, 1]."""
        return 1 - self._strength("misalignment")

    def _strength(self, name: str) -> float:
        return self.applied.strength if self.applied.name == name else 0.0

    @property
    def _law(self) -> tuple:
        """What determines the source's p(x), and nothing else."""
        return (self.index, self.dim, self.n_content, self.n_private, self.noise, self.content, self.private)


class _World(NamedTuple):
    content: Matrix  # (d, n_content), columns scaled by standard deviations
    private: Matrix  # (d, n_private)
    inverse_root: Matrix  # Sigma^-1/2
    label: LinearLabel  # where none is given
    log_reweighting: Matrix  # (n_content + n_private,)


@lru_cache(maxsize=512)
def _world(law: tuple) -> _World:
    index, dim, n_content, n_private, noise, content, private = law
    key: tuple[str | int, ...] = ("gaussian world", index, dim, n_content, n_private)
    if content is None:
        rng = seeds.rng(*key)
        directions = rng.normal(size=(dim, n_content + n_private))
        directions /= np.linalg.norm(directions, axis=0)
        variances = np.exp(rng.uniform(np.log(LOWEST_VARIANCE), np.log(HIGHEST_VARIANCE), n_content + n_private))
        loadings = directions * np.sqrt(variances)
    else:
        key = (*key, fingerprint((content, private)))
        loadings = np.hstack([content, private])
    values, vectors = np.linalg.eigh(loadings @ loadings.T + noise**2 * np.eye(dim))
    inverse_root = (vectors * values**-0.5) @ vectors.T

    rng = seeds.rng(*key, "label")
    whitened = inverse_root @ loadings
    basis, _ = np.linalg.qr(whitened[:, :n_content])
    aligned = basis @ (basis.T @ (whitened[:, :n_content] @ rng.normal(size=n_content)))
    foreign = whitened[:, n_content:] @ rng.normal(size=n_private)
    foreign -= basis @ (basis.T @ foreign)
    foreign -= basis @ (basis.T @ foreign)  # twice: orthogonal to round-off even where little is left
    label = LinearLabel(unit_vector(aligned), unit_vector(foreign), unit_vector(rng.normal(size=dim)))
    log_reweighting = REWEIGHTING * seeds.rng(*key, "covariate").normal(size=n_content + n_private)
    return _World(loadings[:, :n_content], loadings[:, n_content:], inverse_root, label, log_reweighting)


def _loadings(population: GaussianFactor) -> tuple[Matrix, Matrix]:
    """Loadings of the content and of the private factors under the applied shift."""
    world = _world(population._law)
    scale = np.exp(0.5 * population._strength("covariate") * world.log_reweighting)
    return world.content * scale[: population.n_content], world.private * scale[population.n_content :]


@lru_cache(maxsize=8192)
def _beta(population: GaussianFactor) -> Matrix:
    world = _world(population._law)
    label = population.label or world.label
    direction = label.direction(overlap=population.overlap(), concept=population._strength("concept"))
    return label.scale * world.inverse_root @ direction


@lru_cache(maxsize=8192)
def _moments(population: GaussianFactor) -> Moments:
    content, private = _loadings(population)
    shared = content @ content.T
    covariance = shared + private @ private.T + population.noise**2 * np.eye(population.dim)
    beta = _beta(population)
    cov_xy = covariance @ beta
    for array in (covariance, shared, cov_xy):
        array.setflags(write=False)
    return Moments(covariance, shared, cov_xy, float(beta @ cov_xy + population.label_noise**2))
