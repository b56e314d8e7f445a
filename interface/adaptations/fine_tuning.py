"""Fine-tuning: encoder and head together, from a random head."""

from __future__ import annotations

from dataclasses import dataclass

from interface.adaptations._tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class FineTuning(Tuning):
    """All parameters of the encoder and a head that starts at random, within a budget; see `Tuning` for its fields.

    Example:
        >>> FineTuning().name, FineTuning(steps=50, radius=0.1).name
        ('FineTuning', 'FineTuning(steps=50, radius=0.1)')
    """
