"""From where to read: does a language model whose L_pre is at its floor show at its output what its layers know?

Command: `python studies/run_sweep.py tokens` (3 minutes on 2 cores). Figures fed: tokens_recurrent, tokens_transformer,
tokens_masked.

1. Hidden Markov languages of two concepts: next tokens and masked tokens x a recurrent encoder, causal and bidirectional
   transformers x few and many sequences. Every excess of L_pre and every L*_adapt is exact. The labels are the state behind the
   token to come, which the probabilities of that token show, and the concept, which they do not. Targets are contexts one token
   shorter than pretraining's sequences: no next token follows their last position, so that nothing trains its output.
2. Python's standard library: code, then the package that other files' code or prose is from, and other packages. A recurrent
   encoder of next tokens and a bidirectional transformer of masked ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from interface.encoders import Encoder, Recurrent, Transformer
from interface.measurement import Transfer
from interface.populations import HiddenMarkov, StandardLibrary
from interface.pretexts import MaskedTokens, NextToken, Pretext
from interface.sweep import Sweep
from interface.training import Adam, Pretraining

STEPS = (0, 10, 30, 100, 300, 1000)
LIBRARY_STEPS = (0, 1000)
SIZES = (300, 30_000)
SHIFTS = ("transition", "emission", "vocabulary")
LIBRARY_SHIFTS = ("domain", "library")
LABELS: tuple[Literal["state", "concept"], ...] = ("state", "concept")  # replicate 0 and 1 of a language


def language_models(vocabulary: int, width: int) -> tuple[tuple[Pretext, Encoder], ...]:
    """Each task with the encoders that can do it: what predicts the next token must not see it."""
    return (
        (NextToken(vocabulary), Recurrent(width, 8, vocabulary, layers=2)),
        (NextToken(vocabulary), Transformer(width, 2, 2, 8, causal=True, vocabulary=vocabulary)),
        (MaskedTokens(vocabulary), Transformer(width, 2, 2, 8, vocabulary=vocabulary)),
    )


def cells(scale: float = 1.0) -> Sweep:
    """The sweep; `scale` multiplies the number of languages."""
    worlds = [HiddenMarkov(i, concepts=2) for i in range(max(2, round(8 * scale)))]
    languages = [
        Pretraining(world, pretext, encoder, n, Adam(3e-3), STEPS)
        for world in worlds
        for pretext, encoder in language_models(world.vocabulary, 16)
        for n in SIZES
    ]
    library = StandardLibrary(length=24)
    texts = [
        Pretraining(library, pretext, encoder, SIZES[-1], Adam(3e-3), LIBRARY_STEPS)
        for pretext, encoder in language_models(library.vocabulary, 32)[::2]
    ]
    return Sweep("tokens", tuple(languages + texts), transfers)


def transfers(run: Pretraining) -> tuple[Transfer, ...]:
    """In-domain and shifted all the way, at every reading; the head's probabilities where it was trained on what is read."""
    source, other = run.source, "mean" if run.encoder.causal else "last"  # than the encoder's own way
    if isinstance(source, StandardLibrary):
        files = replace(source, part="evaluation")
        moved = (files, *(files.shift(name, 1.0) for name in LIBRARY_SHIFTS))
        return tuple(
            Transfer(target, depth=depth, readout=readout)
            for target in moved
            for depth, readout in ((1, None), (2, None), (None, None), (None, other))
        )
    assert isinstance(source, HiddenMarkov)
    readings = [(1, None), (2, None), (None, None), (None, other)]
    readings += [(None, "probabilities")] if isinstance(run.pretext, NextToken) else []
    contexts = [replace(source, length=source.length - 1, label=label) for label in LABELS]
    return tuple(
        Transfer(target, replicate=number, depth=depth, readout=readout)
        for number, own in enumerate(contexts)
        for target in (own, *(own.shift(name, 1.0) for name in SHIFTS))
        for depth, readout in readings
    )
