"""How far the pretraining domain is: does pretraining in the target's domain beat pretraining far from it?

Command: `python studies/run_sweep.py shifts` (3 minutes on 2 cores). Figure fed: shifts.

The target stays: the plain glyphs of an instance. The source moves: the same world, in another typeface, another script,
with noise, turned, inverted. In-domain pretraining is the reference inside every instance.
"""

from __future__ import annotations

from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import Glyphs
from interface.pretexts import Autoencoding, InfoNCE, Supervised
from interface.sweep import Sweep
from interface.training import Adam, Pretraining

STEPS = (0, 36, 300, 2700)
DOMAINS = ("typeface", "script", "noise", "occlusion", "rotation", "inversion")


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of instances (at most 6)."""
    runs = [
        Pretraining(source, pretext, MLP(64, 16), 8000, Adam(3e-3), STEPS, views=2)
        for i in range(min(6, max(2, round(6 * scale))))
        for source in (Glyphs(i), *(Glyphs(i).shift(name, 1.0) for name in DOMAINS))
        for pretext in (Autoencoding(hidden=64), InfoNCE(), Supervised())
    ]
    return Sweep("shifts", tuple(runs), transfers)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """The plain glyphs, and the source itself where that is another domain."""
    plain = Glyphs(run.source.index)
    return (Transfer(plain),) if run.source == plain else (Transfer(plain), Transfer(run.source))
