"""The first layer of encoders with positions: token ids or patches of a real vector become vectors."""

from __future__ import annotations

from torch import nn

from interface.encoders._base import positive_integers
from interface.encoders.layers import Embedding, Patches


def check_input(kind: str, vocabulary: int | None, patch: int | None) -> None:
    """Refuses an encoder that is told both or neither of what its input consists of."""
    positive_integers(kind, vocabulary=vocabulary, patch=patch)
    if (vocabulary is None) == (patch is None):
        got = f"vocabulary is {vocabulary!r} and patch {patch!r}"
        raise ValueError(f"{kind}: {got}; allowed: one of them, vocabulary for tokens, patch for reals")


def n_positions(kind: str, input_dim: int, patch: int | None) -> int:
    """Positions of an input of this many entries: one a token, or one a patch.

    Raises:
        ValueError: if patches do not fill the input.
    """
    count, rest = divmod(input_dim, patch or 1)
    if rest:
        raise ValueError(f"{kind}: patch is {patch}; allowed: a divisor of the input's {input_dim} entries")
    return count


def first_layer(vocabulary: int | None, patch: int | None, width: int) -> nn.Module:
    """(..., n, d) -> (..., n, t, width). The table of V tokens has a row V for the mask."""
    if vocabulary is not None:
        return Embedding(vocabulary + 1, width)
    assert patch is not None
    return Patches(patch, width)
