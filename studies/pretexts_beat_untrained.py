"""Which pretexts give a better representation than the untrained encoder? L*_adapt of both on two instances of Glyphs.

    python studies/pretexts_beat_untrained.py [--quick] [--only Rotation Clustering]

Every pretext of images trains MLP(64,16) on 2,000 characters in 4 views each. L*_adapt is the midpoint of a linear probe's bracket
on fresh characters, in nats, averaged over the instances; `better` is the untrained encoder's less the trained one's. Its standard
error takes the two as independent, although they are measured on the same draws, so that it is on the wide side. A pretext
beats the untrained encoder if `better` is above two of them, and loses to it if it is below minus two. A bracket that stays open
(its status is then named) decides nothing: features that hardly vary on clean inputs give probes without a minimum.
"""

from __future__ import annotations

import argparse
import time

import torch

from interface import (
    MLP,
    Adam,
    Autoencoding,
    BarlowTwins,
    Clustering,
    CrossView,
    Denoising,
    FixedMask,
    Glyphs,
    InfoNCE,
    LinearProbe,
    MaskedPrediction,
    MultiTask,
    Permutation,
    Pretraining,
    Rotation,
    SelfDistillation,
    SpectralContrastive,
    Supervised,
    VariationalAutoencoding,
    minimal_adaptation_loss,
    pretrain,
)
from interface.core import Estimate, short_name
from interface.pretexts import Pretext
from interface.seeds import generator

PRETEXTS: tuple[Pretext, ...] = (
    Supervised(),
    MultiTask(of="label"),
    MultiTask(),
    Autoencoding(),
    Autoencoding(hidden=64),
    FixedMask(),
    MaskedPrediction(),
    MaskedPrediction(hidden=64),
    MaskedPrediction(hidden=64, patch=4),
    Denoising(),
    Denoising(noise_scale=0.3),
    Denoising(hidden=64),
    VariationalAutoencoding(),
    VariationalAutoencoding(hidden=64),
    CrossView(),
    CrossView(hidden=64),
    Rotation(),
    Permutation(pieces=4, n=24, image=True),
    SpectralContrastive(),
    InfoNCE(),
    BarlowTwins(),
    BarlowTwins(projection=32),
    Clustering(),
    SelfDistillation(),
)


def losses(pretext: Pretext, index: int, steps: int, rows: int) -> list[Estimate]:
    """L*_adapt of the untrained and of the trained encoder on one instance."""
    source = Glyphs(index)
    run = Pretraining(source, pretext, MLP(64, 16), 2000, Adam(3e-3), (0, steps), views=4)
    (x, y), (u, v) = (source.sample(rows, generator(role, index)) for role in ("fit", "test"))
    found = []
    for checkpoint in pretrain([run]):
        model = checkpoint.load()
        with torch.no_grad():
            features, held = (checkpoint.embed(model, inputs) for inputs in (x, u))
        found.append(minimal_adaptation_loss(features, y, LinearProbe(), test=(held, v)).midpoint())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one instance, a tenth of the steps and half of the rows")
    parser.add_argument("--only", nargs="*", default=None, help="class names of pretexts; default: all")
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    instances, steps, rows = ((0,), options.steps // 10, 2000) if options.quick else ((0, 1), options.steps, 4000)
    torch.set_num_threads(1)
    print(f"{'pretext':56s} {'untrained':>9s} {'trained':>8s} {'better':>8s} {'stderr':>7s} {'s':>5s}")
    for pretext in PRETEXTS:
        if options.only is not None and pretext.name not in options.only:
            continue
        began = time.perf_counter()
        pairs = [losses(pretext, index, steps, rows) for index in instances]
        untrained, trained = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
        error = sum((loss.stderr or 0.0) ** 2 for pair in pairs for loss in pair) ** 0.5 / len(pairs)
        better = untrained - trained
        still_open = {loss.status for pair in pairs for loss in pair} - {"ok", "crossed"}
        verdict = "beats" if better > 2 * error else "LOSES TO" if better < -2 * error else "is not told apart from"
        verdict = f"cannot be compared ({', '.join(sorted(still_open))}) with" if still_open else verdict
        line = f"{short_name(pretext):56s} {untrained:9.4f} {trained:8.4f} {better:+8.4f} {error:7.4f}"
        print(f"{line} {time.perf_counter() - began:5.1f}  {verdict} the untrained encoder", flush=True)


if __name__ == "__main__":
    main()
