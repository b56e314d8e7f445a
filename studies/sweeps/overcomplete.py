"""Overcomplete: an autoencoder with more features than pixels drives L_pre to 0; does L*_adapt follow?

Command: `python studies/run_sweep.py overcomplete` (at most 3 minutes on 2 cores). Figure fed: overcomplete.

Digits under the augmentation kernel: 64 pixels, 96 features, so that nothing has to be left out to reconstruct. Conclusions
are conditional on the 1,797 images; the unit of inference is the run. A representation of 16 features stands beside it.
"""

from __future__ import annotations

from functools import cache

from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import digits
from interface.pretexts import Autoencoding
from interface.sweep import Sweep
from interface.training import Adam, Pretraining

STEPS = (0, 10, 30, 100, 300, 1000, 3000)


@cache
def _transfers() -> tuple[Transfer, ...]:
    return (Transfer(digits()),)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    return _transfers()


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of seeds."""
    runs = [
        Pretraining(digits(), Autoencoding(), MLP(256, features), 8000, Adam(1e-3), STEPS, seed, views=4)
        for features in (16, 96)
        for seed in range(max(2, round(6 * scale)))
    ]
    return Sweep("overcomplete", tuple(runs), transfers)
