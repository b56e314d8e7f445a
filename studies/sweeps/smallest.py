"""Smallest sweep: the default sweep's frame from end to end, for a first look and for continuous integration.

Command: `python studies/run_sweep.py smallest` (about half a minute on 2 cores). 4 Gaussian instances, autoencoding and
spectral contrastive; 3 glyph instances, autoencoding and supervised, 900 steps. Too small for any claim: expect `undecided`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from interface.encoders import MLP, LinearEncoder
from interface.pretexts import Autoencoding, SpectralContrastive, Supervised
from interface.sweep import Sweep


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the numbers of instances."""
    spec = importlib.util.spec_from_file_location("default_sweep", Path(__file__).with_name("default.py"))
    assert spec is not None and spec.loader is not None
    default = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(default)
    gaussian = default.gaussian_runs(
        max(2, round(4 * scale)), (Autoencoding(), SpectralContrastive()), (LinearEncoder(4), MLP(64, 4, bias=False))
    )
    glyphs = default.glyph_runs(
        min(6, max(2, round(3 * scale))), (Autoencoding(hidden=64), Supervised()), default.GLYPH_STEPS[:-1], 64, 16
    )
    return Sweep("smallest", tuple(gaussian + glyphs), default.transfers)
