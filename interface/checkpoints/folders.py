"""Checkpoints from a folder of files that somebody else's training wrote, one file a step."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from interface.checkpoints._base import Checkpoint, call
from interface.checkpoints._files import TORCH, CheckpointError, inside, read_state
from interface.checkpoints.states import from_states

SUFFIXES = (".safetensors", *TORCH)


def from_folder(
    module: nn.Module,
    folder: str | Path,
    *,
    run: str,
    embed: Callable[[nn.Module, Tensor], Tensor] | None = None,
    **facts: Any,
) -> list[Checkpoint]:
    """One checkpoint a file, in the order of steps: the last number in a file's name is its step (`step_300.pt` is 300).

    Files are safetensors, or torch files that are read with `weights_only=True`: neither can run code. In a torch file the
    weights may lie under model_state, model_state_dict, state_dict or model. Every file is checked against the module now and
    read again when it is measured, so that only one is in memory.

    Args:
        module: the architecture; its own parameters do not matter.
        folder: holds the files, e.g. 0.safetensors, 1000.safetensors.
        run: name of the run.
        embed: (module, x) -> features (n, d); by default the module's output.
        facts: known facts of the run, e.g. pretext="MAE", lr=1e-3, n_unlabelled=50_000.

    Raises:
        CheckpointError: if there is no such file, a name has no step, two have the same, or one is damaged or leads out of
            the folder; it is named.
        ValueError: if a file's tensors do not fit the module (the keys are named).

    Example:
        >>> import tempfile, torch
        >>> net = torch.nn.Linear(3, 2)
        >>> with tempfile.TemporaryDirectory() as place:
        ...     torch.save({"model_state": net.state_dict(), "epoch": 7}, Path(place) / "step_100.pt")
        ...     [c.step for c in from_folder(net, place, run="mine")]
        [100]
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"from_folder: {folder} is not a folder")
    names = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    if not names:
        raise CheckpointError(f"from_folder: {folder} holds no file that ends in {', '.join(SUFFIXES)}")
    files: dict[int, Path] = {}
    for name in names:
        step = _step(name)
        if step in files:
            raise CheckpointError(f"from_folder: {files[step].name} and {name} are both of step {step}; move one away")
        files[step] = inside(folder, name)
    template = copy.deepcopy(module)
    for step, path in files.items():
        try:
            from_states(template, {step: read_state(path)}, run=run)
        except CheckpointError:
            raise
        except ValueError as fault:
            raise ValueError(f"from_folder: {path.name}: {fault}") from fault
    return [
        Checkpoint(run=run, step=step, load=partial(_load, template, files[step]), embed=embed or call, facts=facts)
        for step in sorted(files)
    ]


def _step(name: str) -> int:
    numbers = re.findall(r"\d+", name.rpartition(".")[0])
    if not numbers:
        raise CheckpointError(f"from_folder: the name {name} has no step; rename it, e.g. to 1000.safetensors")
    return int(numbers[-1])


def _load(template: nn.Module, path: Path) -> nn.Module:
    module = copy.deepcopy(template)
    module.load_state_dict(read_state(path))
    return module.eval().requires_grad_(False)
