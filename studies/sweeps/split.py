"""Where to split: do earlier layers transfer better the further the target is from the source?

Command: `python studies/run_sweep.py split` (3 minutes on 2 cores). Figures fed: split_glyphs, split_gaussian.

Three hidden layers; the probe reads after each of them and at the output. Glyphs with every shift, and Gaussian worlds in
which the label turns away from what the pretext sees (concept shift, by its angle).
"""

from __future__ import annotations

from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding, InfoNCE, Supervised
from interface.sweep import Sweep
from interface.training import Adam, Pretraining

STEPS = (0, 300, 2700)
DEPTHS = (1, 2, 3, None)
SHIFTS = ("typeface", "script", "rotation", "inversion")
ANGLES = (0.5, 1.0)  # of the label, in right angles


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of instances (glyphs: at most 6)."""
    glyphs = [
        Pretraining(Glyphs(i), pretext, MLP(32, 16, layers=3), 8000, Adam(1e-3), STEPS, views=2)
        for i in range(min(6, max(2, round(6 * scale))))
        for pretext in (Autoencoding(hidden=64), InfoNCE(), Supervised())
    ]
    gaussian = [
        Pretraining(GaussianFactor(i), pretext, MLP(32, 4, layers=3), 100_000, Adam(lr), STEPS, views=pretext.n_views)
        for i in range(max(2, round(8 * scale)))
        for pretext in (Autoencoding(hidden=32), InfoNCE())
        for lr in (1e-3, 3e-3)
    ]
    return Sweep("split", tuple(glyphs + gaussian), transfers)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """Every target at every depth."""
    source = run.source
    if isinstance(source, Glyphs):
        targets = (source, *(source.shift(name, 1.0) for name in SHIFTS))
    else:
        targets = (source, *(source.shift("concept", angle) for angle in ANGLES))
    return tuple(Transfer(target, depth=depth) for target in targets for depth in DEPTHS)
