"""A sweep of a second, for tests of care: one Gaussian and one glyph instance, in two jobs."""

from interface.encoders import MLP, LinearEncoder
from interface.measurement import Transfer
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding
from interface.sweep import Sweep
from interface.training import Adam, Pretraining


def transfers(run):
    shift = ("inversion", 1.0) if isinstance(run.source, Glyphs) else ("concept", 1.0)
    return (Transfer(run.source), Transfer(run.source.shift(*shift)))


def cells(scale=1.0):
    gaussian = [
        Pretraining(GaussianFactor(), Autoencoding(), LinearEncoder(4), n, Adam(1e-2), (0, 10, 30), seed)
        for seed in range(round(2 * scale))
        for n in (32, 10_000)
    ]
    glyphs = [Pretraining(Glyphs(), Autoencoding(), MLP(16, 4), n, Adam(3e-3), (0, 20), views=2) for n in (30, 60, 500)]
    return Sweep("tiniest", tuple(gaussian + glyphs), transfers)
