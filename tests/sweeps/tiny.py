"""A sweep of two seconds, for tests: 2 Gaussian instances and 2 glyph instances with the default design."""

from interface.encoders import MLP, LinearEncoder
from interface.measurement import Transfer
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding
from interface.sweep import Sweep
from interface.training import Adam, Pretraining


def transfers(run):
    world = run.source
    if isinstance(world, Glyphs):
        return (Transfer(world), Transfer(world.shift("inversion", 1.0)))
    return tuple(Transfer(world.shift(*shift)) for shift in (("concept", 0.0), ("concept", 1.0), ("misalignment", 1.0)))


def cells(scale=1.0):
    gaussian = [
        Pretraining(GaussianFactor(index=i), Autoencoding(), LinearEncoder(4), n, Adam(lr), (0, 11, 33, 100), seed)
        for i in range(round(2 * scale))
        for seed, (lr, n) in enumerate((lr, n) for lr in (1e-3, 1e-2) for n in (32, 128, 10_000))
    ]
    glyphs = [
        Pretraining(Glyphs(index=i), Autoencoding(), MLP(32, 8), n, Adam(lr), (0, 24, 72), views=4)
        for i in range(2)
        for lr in (3e-4, 3e-3)
        for n in (30, 500)
    ]
    return Sweep("tiny", tuple(gaussian + glyphs), transfers)
