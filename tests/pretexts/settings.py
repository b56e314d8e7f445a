"""What the tests of pretexts share: every exported task with a population, an encoder and views that fit it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.func import functional_call, stack_module_state

import interface.pretexts
from interface.encoders import MLP, Recurrent, initialise
from interface.populations import Examples, Glyphs, HiddenMarkov
from interface.pretexts import (
    Autoencoding,
    BarlowTwins,
    Clustering,
    CrossView,
    Denoising,
    FixedMask,
    InfoNCE,
    MaskedPrediction,
    MaskedTokens,
    MultiTask,
    NextToken,
    Permutation,
    Pretext,
    Rotation,
    SelfDistillation,
    SpectralContrastive,
    Supervised,
    VariationalAutoencoding,
)
from interface.seeds import generator

EXPORTED = {
    thing for thing in vars(interface.pretexts).values()
    if inspect.isclass(thing) and issubclass(thing, Pretext) and not inspect.isabstract(thing)
}  # fmt: skip
PRETEXTS = [
    Autoencoding(), Autoencoding(hidden=20), BarlowTwins(), BarlowTwins(projection=8), Clustering(prototypes=12), CrossView(),
    CrossView(hidden=20), Denoising(), Denoising(hidden=20), FixedMask(), InfoNCE(), MaskedPrediction(),
    MaskedPrediction(hidden=20, patch=4), MaskedTokens(4), MultiTask(), MultiTask(of="label", diversity=0.5), NextToken(4),
    Permutation(image=True), Permutation(n=24), Rotation(), SelfDistillation(prototypes=12), SpectralContrastive(),
    Supervised(), VariationalAutoencoding(), VariationalAutoencoding(hidden=20),
]  # fmt: skip
EXACT = [  # with a closed form of the population loss, and of its floor, on a source with moments
    Autoencoding(), BarlowTwins(), CrossView(), Denoising(), FixedMask(), MultiTask(), SpectralContrastive(),
]  # fmt: skip
SETTINGS = [  # one task trained in two ways
    (InfoNCE(), InfoNCE(temperature=0.7)),
    (MaskedPrediction(), MaskedPrediction(rate=0.8)),
    (MaskedPrediction(patch=4), MaskedPrediction(patch=4, rate=0.2)),
    (MaskedTokens(4), MaskedTokens(4, rate=0.6)),
    (BarlowTwins(), BarlowTwins(weight=0.01)),
    (VariationalAutoencoding(), VariationalAutoencoding(beta=4.0)),
    (Clustering(prototypes=12), Clustering(prototypes=12, temperature=0.5, sharpness=0.2)),
    (SelfDistillation(prototypes=12), SelfDistillation(prototypes=12, temperature=0.3, sharpness=0.2, momentum=0.5)),
]
TOKENS = (MaskedTokens, NextToken)


def name(pretext: Pretext) -> str:
    return str(pretext)


def population(pretext: Pretext) -> Any:
    return HiddenMarkov(length=7) if isinstance(pretext, TOKENS) else Glyphs()


def encoder_of(pretext: Pretext, features: int = 5) -> Any:
    return Recurrent(6, features, vocabulary=4) if isinstance(pretext, TOKENS) else MLP(12, features)


def modules(pretext: Pretext, seed: int = 0, features: int = 5) -> tuple[Any, Any]:
    """An encoder and a head drawn from a seed."""
    source = population(pretext)
    seen = pretext.visible(source.input_dim)
    encoder = encoder_of(pretext, features).build(source.input_dim if seen is None else len(seen))
    head = pretext.head(source.input_dim, features, source.n_classes)
    return initialise(encoder, generator("encoder", seed)), head if head is None else initialise(head, generator("head", seed))


def one_view(x: torch.Tensor) -> Examples:
    """Examples of one view each, without labels."""
    return Examples(x.unsqueeze(-2), torch.zeros(len(x), dtype=torch.int64))


def examples(pretext: Pretext, n: int, seed: int = 0) -> Any:
    return population(pretext).views(n, pretext.n_views, generator("x", seed))


def trained_on(pretext: Pretext, n: int, seed: int = 0) -> Any:
    """Views as training makes them, without pseudolabels of a teacher."""
    drawn = examples(pretext, n, seed)
    return pretext.view(drawn, pretext.noise(n, drawn.x.shape[-1], generator("noise", seed)))


def labelled(pretext: Pretext, embed: Any, head: Any, views: Any) -> Any:
    """With a teacher's pseudolabels, where the task has a teacher: here the network is its own."""
    if pretext.momentum is None:
        return views
    with torch.no_grad():
        return pretext.labelled(embed, head, views)


def stacked(parts: list[Any]) -> Any:
    """Modules as one function with a leading run axis."""
    if parts[0] is None:
        return None
    parameters, _ = stack_module_state(parts)
    return lambda x, **options: functional_call(parts[0], parameters, (x,), options)
