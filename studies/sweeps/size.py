"""Model size: does a larger encoder transfer better at equal L_pre, or only because its L_pre is lower?

Command: `python studies/run_sweep.py size` (2 minutes on 2 cores). Figures fed: size_gaussian, size_glyphs.

1. Gaussian factor worlds, exact: one hidden ReLU layer of width 4 to 128 in front of the same 4 features.
2. Glyphs: width 16 to 256 in front of the same 8 features, in-domain and inverted.

The dimension of the representation is fixed, so that the probe is the same and size acts through the features alone.
"""

from __future__ import annotations

from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding, InfoNCE, SpectralContrastive
from interface.sweep import Sweep
from interface.training import Adam, Pretraining

GAUSSIAN_WIDTHS, GLYPH_WIDTHS = (4, 8, 16, 32, 64, 128), (16, 32, 64, 128, 256)
GAUSSIAN_STEPS, GLYPH_STEPS = (0, 36, 100, 300, 900, 2700), (0, 36, 300, 2700)


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of instances (glyphs: at most 6)."""
    gaussian = [
        Pretraining(GaussianFactor(i), pretext, MLP(width, 4, bias=False), n, Adam(3e-3), GAUSSIAN_STEPS, seed, pretext.n_views)
        for i in range(max(2, round(8 * scale)))
        for pretext in (Autoencoding(), SpectralContrastive())
        for seed, width in enumerate(GAUSSIAN_WIDTHS)
        for n in (128, 100_000)
    ]
    glyphs = [
        Pretraining(Glyphs(i), pretext, MLP(width, 8), n, Adam(1e-3), GLYPH_STEPS, views=views)
        for i in range(min(6, max(2, round(4 * scale))))
        for pretext in (Autoencoding(hidden=64), InfoNCE())
        for width in GLYPH_WIDTHS
        for n, views in ((200, 16), (8000, 4))
    ]
    return Sweep("size", tuple(gaussian + glyphs), transfers)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """In-domain, and the shift that breaks the link most."""
    moved = run.source.shift("inversion" if isinstance(run.source, Glyphs) else "concept", 1.0)
    return (Transfer(run.source), Transfer(moved))
