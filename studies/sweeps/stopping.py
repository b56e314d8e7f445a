"""When to stop pretraining: does the checkpoint of the lowest validation L_pre transfer best, and what do other rules cost?

Command: `python studies/run_sweep.py stopping` (3 minutes on 2 cores). Figure fed: stopping.

Few unlabelled examples, so that L_pre turns up again within the run, and many checkpoints. The rules read the measured
population L_pre of the checkpoints: a fixed budget, patience, a plateau; the oracle reads L*_adapt itself.
"""

from __future__ import annotations

from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import Glyphs
from interface.pretexts import Autoencoding, InfoNCE, MaskedPrediction, Supervised
from interface.sweep import Sweep
from interface.training import Adam, FixedBudget, Oracle, Patience, Plateau, Pretraining

STEPS = (0, 4, 12, 36, 60, 100, 170, 300, 500, 900, 1500, 2700)
SHIFTS = ("inversion", "script")
RULES = (FixedBudget(300), FixedBudget(2700), Plateau(2, 0.0), Patience(2), Oracle())


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of instances (at most 6)."""
    runs = [
        Pretraining(Glyphs(i), pretext, MLP(64, 16), n, Adam(3e-3), STEPS, views=views)
        for i in range(min(6, max(2, round(6 * scale))))
        for pretext in (Autoencoding(hidden=64), MaskedPrediction(hidden=64), InfoNCE(), Supervised())
        for n, views in ((30, 32), (200, 16))
    ]
    return Sweep("stopping", tuple(runs), transfers, stopping=RULES)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """In-domain and two shifts at full strength."""
    return (Transfer(run.source), *(Transfer(run.source.shift(name, 1.0)) for name in SHIFTS))
