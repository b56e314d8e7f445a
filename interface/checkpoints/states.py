"""Checkpoints from state dictionaries of a module that somebody else trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from interface.checkpoints._base import Checkpoint, call


def from_states(
    module: nn.Module,
    states: Mapping[int, Mapping[str, Tensor]],
    *,
    run: str,
    embed: Callable[[nn.Module, Tensor], Tensor] | None = None,
    **facts: Any,
) -> list[Checkpoint]:
    """One checkpoint a state, in the order of steps. The module is copied: training may go on with the original.

    Load files with `safetensors.torch.load_file` or `torch.load(path, weights_only=True)`; anything else can run code.

    Args:
        module: the architecture, e.g. the trained model itself.
        states: step -> state_dict. A `state_dict()` is a view of live parameters: copy it if training goes on.
        run: name of the run.
        embed: (module, x) -> features (n, d); by default the module's output.
        facts: known facts of the run, e.g. pretext="MAE", lr=1e-3, n_unlabelled=50_000.

    Raises:
        ValueError: if there is no state, or a state does not fit the module (the keys are named).

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(3, 2)
        >>> [c.step for c in from_states(net, {10: net.state_dict(), 0: net.state_dict()}, run="mine")]
        [0, 10]
    """
    if not states:
        raise ValueError("from_states: states is empty; give at least one {step: state_dict}")
    expected = module.state_dict()
    for step, state in states.items():
        missing, unknown = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
        if missing or unknown:
            raise ValueError(
                f"from_states: the state of step {step} lacks {missing or 'nothing'} and holds unknown {unknown or 'nothing'}"
            )
        for key, value in state.items():
            if value.shape != expected[key].shape:
                shapes = f"{tuple(value.shape)}; the module's is {tuple(expected[key].shape)}"
                raise ValueError(f"from_states: {key} of step {step} has shape {shapes}")
    template = copy.deepcopy(module)
    return [
        Checkpoint(run=run, step=step, load=partial(_load, template, states[step]), embed=embed or call, facts=facts)
        for step in sorted(states)
    ]


def _load(template: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    module = copy.deepcopy(template)
    module.load_state_dict(dict(state))
    return module.eval().requires_grad_(False)
