"""From scratch: the same architecture, labels and budget, without the pretrained weights."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch

from interface.adaptations._tuning import State, Task, Tuning
from interface.encoders import initialise


@dataclass(frozen=True, kw_only=True)
class FromScratch(Tuning):
    """All parameters of the encoder, drawn afresh, and a head that starts at random: what the same labels and updates reach without
    pretraining. Its result is the same for every checkpoint of an architecture. See `Tuning` for its fields.

    Example:
        >>> FromScratch(steps=1000).name
        'FromScratch(steps=1000)'
    """

    @property
    def reads_encoder(self) -> bool:
        return False

    def moved(self, task: Task) -> State:
        fresh = deepcopy(task.encoder).cpu()
        drawn = []
        for generator in task.generators:
            with torch.no_grad():
                for value in fresh.parameters():
                    value.fill_(torch.nan)
            state = dict(initialise(fresh, generator).named_parameters())
            kept = [name for name, value in state.items() if torch.isnan(value).any()]
            if kept:
                raise ValueError(
                    f"FromScratch: {kept[0]} of {type(task.encoder).__name__} is not drawn by `initialise`; allowed: encoders of "
                    "interface.encoders"
                )
            drawn.append({name: value.detach().clone() for name, value in state.items()})
        return {
            name: task.each(torch.stack([state[name] for state in drawn])).to(value) for name, value in task.parameters().items()
        }
