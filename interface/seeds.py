"""Named streams of random numbers: the key says what is drawn, so that no stream depends on another or on the order of work."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream(*key: str | int | float | None) -> int:
    """The seed, in [0, 2**63), of the stream that bears this key; equal keys give equal seeds on every machine.

    Example:
        >>> stream("fit", "glyphs", 0) == stream("fit", "glyphs", 0) != stream("test", "glyphs", 0)
        True
    """
    if not key:
        raise ValueError("stream: the key is empty; name the stream, as in stream('fit', target, seed)")
    content = json.dumps(key, separators=(",", ":"), allow_nan=False)
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 1


def rng(*key: str | int | float | None) -> np.random.Generator:
    """A NumPy generator on the stream of this key."""
    return np.random.default_rng(stream(*key))


def generator(*key: str | int | float | None) -> torch.Generator:
    """A torch generator on the stream of this key, always on the CPU: a draw does not depend on the device."""
    import torch

    return torch.Generator().manual_seed(stream(*key))
