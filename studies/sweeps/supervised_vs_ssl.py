"""Supervised or self-supervised: from which angle between source and target label does self-supervised pretraining win?

Command: `python studies/run_sweep.py supervised_vs_ssl` (1 minute on 2 cores). Figure fed: supervised_vs_ssl.

Gaussian factor worlds, exact. Supervised pretraining predicts one linear label of the source; the target's label is turned
away from it by an angle, in four random directions. Theory, for supervised features that keep the source label alone: their
excess is |a|^2 sin^2(angle), that of self-supervised features does not depend on the source label.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from interface.encoders import MLP, LinearEncoder
from interface.measurement import Transfer
from interface.populations import GaussianFactor
from interface.pretexts import Autoencoding, MultiTask, SpectralContrastive
from interface.seeds import rng
from interface.sweep import Sweep
from interface.theory.labels import overlap_label
from interface.training import Adam, Pretraining

STEPS = (0, 36, 300, 2700)
SUPERVISED = MultiTask(tasks=1)
ANGLES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # in right angles
DIRECTIONS = 4


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of instances."""
    runs = [
        Pretraining(GaussianFactor(i), pretext, encoder, 100_000, Adam(3e-3), STEPS, views=pretext.n_views)
        for i in range(max(2, round(12 * scale)))
        for pretext in (SUPERVISED, Autoencoding(), SpectralContrastive())
        for encoder in (LinearEncoder(4), MLP(64, 4, bias=False))
    ]
    return Sweep("supervised_vs_ssl", tuple(runs), lambda run: transfers(run.source))


@cache
def transfers(source: GaussianFactor) -> tuple[Transfer, ...]:
    """Labels at growing angles from the label that supervised pretraining predicts, in several random directions."""
    moments = source.moments()
    known = SUPERVISED.operator(moments)  # of rank 1: what it reads is the label
    labelled = [
        replace(source, label=overlap_label(moments, known, 1, rng=rng("turning label", source.instance, j)))
        for j in range(DIRECTIONS)
    ]
    return tuple(
        Transfer(population.shift("concept", angle), replicate=j) for j, population in enumerate(labelled) for angle in ANGLES
    )
