"""How many labels: when does the frozen probe win, when fine-tuning, and when does pretraining stop to matter?

Command: `python studies/run_sweep.py regimes` (5 minutes on 2 cores). Figures fed: regimes, decomposition, out_of_domain.

Label counts from 8 to 8,192, replicated label draws. The pretrained and the untrained encoder are adapted in-domain by a
linear probe, by fine-tuning from a random head and from a probed one, and compared with training from scratch at equal labels
and compute. The two ways of fine-tuning are also read off on shifted targets that they were not adapted to.
"""

from __future__ import annotations

from interface.adaptations import FineTuning, FromScratch, LinearProbe, ProbeThenFineTuning
from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import Glyphs
from interface.pretexts import Autoencoding, InfoNCE, Supervised
from interface.sweep import Sweep
from interface.training import Adam, Pretraining

STEPS = (0, 2700)
N_LABELS = (8, 32, 128, 512, 2048, 8192)
REPLICATES = 3
SHIFTS = ("typeface", "noise", "occlusion", "rotation")


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of instances (at most 6)."""
    runs = [
        Pretraining(Glyphs(i), pretext, MLP(64, 16), 8000, Adam(3e-3), STEPS, views=4)
        for i in range(min(6, max(2, round(6 * scale))))
        for pretext in (Autoencoding(hidden=64), InfoNCE(), Supervised())
    ]
    return Sweep("regimes", tuple(runs), transfers)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """The minimal loss of the probe, and the losses after adapting to n labels, in-domain and out of it."""
    source = run.source
    learned = tuple(
        Transfer(source, adaptation, replicate, n)
        for adaptation in (LinearProbe(), FineTuning(), ProbeThenFineTuning(), FromScratch())
        for n in N_LABELS
        for replicate in range(REPLICATES)
    )
    moved = tuple(
        Transfer(source.shift(name, 1.0), adaptation, replicate, 512, adapted_on=source)
        for adaptation in (LinearProbe(), FineTuning(), ProbeThenFineTuning())
        for name in SHIFTS
        for replicate in range(REPLICATES)
    )
    return (Transfer(source), *learned, *moved)
