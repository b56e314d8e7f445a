"""Default sweep: when does a low pretraining loss mean good transfer, in an exact world and on real shapes?

Command: `python studies/run_sweep.py` (under 5 minutes on 2 cores). 792 runs; figures fed: all.

1. Gaussian factor worlds, 12 instances, d = 16: autoencoding, fixed mask, spectral contrastive x linear, ReLU; every loss
   in closed form. Labels by their overlap with what the pretext sees (8 directions each), concept and covariate shift.
2. Glyphs, 6 instances of 10 disjoint classes: autoencoding, masked prediction, InfoNCE, supervised. Targets: in-domain,
   typeface, script, rotation, inversion, random label per draw.

Learning rate and the number of unlabelled examples cross; the second is the one that moves L_pre without moving time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from interface.encoders import MLP, Encoder, LinearEncoder
from interface.measurement import Transfer
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding, FixedMask, InfoNCE, MaskedPrediction, Pretext, SpectralContrastive, Supervised
from interface.seeds import rng
from interface.sweep import Sweep
from interface.theory.labels import overlap_label
from interface.training import Adam, Pretraining

RANK = 4
DIRECTIONS = 8
GAUSSIAN_STEPS = (0, 2, 4, 7, 12, 20, 36, 60, 100, 170, 300, 500, 700, 900, 1200, 1600, 2100, 2700)
GLYPH_STEPS = (0, 4, 12, 36, 100, 300, 900, 2700)
GAUSSIAN_TARGETS = (
    ("none", 0.0),
    ("misalignment", 0.5),
    ("misalignment", 1.0),
    ("concept", 0.5),
    ("concept", 1.0),
    ("covariate", 1.0),
)
GLYPH_TARGETS = ("typeface", "script", "rotation", "inversion", "random_label")


def gaussian_runs(instances: int, pretexts: tuple[Pretext, ...], encoders: tuple[Encoder, ...]) -> list[Pretraining]:
    """Learning rate x number of examples within each instance; every run has a seed, so an initialisation, of its own."""
    design = [(lr, n) for lr in (3e-4, 1e-3, 3e-3) for n in (32, 128, 100_000)]
    return [
        Pretraining(GaussianFactor(index=i), pretext, encoder, n, Adam(lr), GAUSSIAN_STEPS, seed, views=pretext.n_views)
        for i in range(instances)
        for pretext in pretexts
        for encoder in encoders
        for seed, (lr, n) in enumerate(design)
    ]


def glyph_runs(
    instances: int, pretexts: tuple[Pretext, ...], steps: tuple[int, ...], width: int, features: int
) -> list[Pretraining]:
    """Learning rate x number of base drawings within each instance, from one initialisation."""
    return [
        Pretraining(Glyphs(index=i), pretext, MLP(width, features), n, Adam(lr), steps, views=views)
        for i in range(instances)
        for pretext in pretexts
        for lr in (3e-4, 3e-3)
        for n, views in ((30, 32), (200, 16), (8000, 4))
    ]


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """The targets of a run: equal for all runs of one instance and pretext."""
    return _gaussian_transfers(run.source, run.pretext) if isinstance(run.source, GaussianFactor) else _glyph_transfers(run.source)


@cache
def _gaussian_transfers(source: GaussianFactor, pretext: Pretext) -> tuple[Transfer, ...]:
    moments = source.moments()
    operator = pretext.operator(moments)
    labelled = [
        replace(source, label=overlap_label(moments, operator, RANK, rng=rng("label", source.instance, pretext.name, j)))
        for j in range(DIRECTIONS)
    ]
    return tuple(
        Transfer(population.shift(name, strength) if strength else population, replicate=j)
        for j, population in enumerate(labelled)
        for name, strength in GAUSSIAN_TARGETS
    )


@cache
def _glyph_transfers(source: Glyphs, more: tuple[str, ...] = ()) -> tuple[Transfer, ...]:
    return (Transfer(source), *(Transfer(source.shift(name, 1.0)) for name in (*GLYPH_TARGETS, *more)))


def more_transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """The targets of a run from scale 2 on: a monospaced typeface too."""
    return transfers(run) if isinstance(run.source, GaussianFactor) else _glyph_transfers(run.source, ("mono",))


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the numbers of instances (glyphs: at most 6); from 2 on a smaller glyph encoder is added."""
    gaussian = gaussian_runs(
        max(2, round(12 * scale)),
        (Autoencoding(), FixedMask(), SpectralContrastive()),
        (LinearEncoder(RANK), MLP(64, RANK, bias=False)),
    )
    glyphs = [
        run
        for width, features in ((64, 16), (32, 8))[: 2 if scale >= 2 else 1]
        for run in glyph_runs(
            min(6, max(2, round(6 * scale))),
            (Autoencoding(hidden=64), MaskedPrediction(hidden=64), InfoNCE(), Supervised()),
            GLYPH_STEPS,
            width,
            features,
        )
    ]
    return Sweep("default", tuple(gaussian + glyphs), more_transfers if scale >= 2 else transfers)
