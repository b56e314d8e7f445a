"""State dictionaries in files: safetensors, or torch files that are read without running code."""

from __future__ import annotations

import os
import pickle
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

STATES = ("model_state", "model_state_dict", "state_dict", "model")  # where training scripts put the weights
TORCH = (".pt", ".pth", ".ckpt", ".bin")


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or is not what it should be; the message names the file."""


def read_state(path: Path, content: bytes | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint's file, by name, on the CPU.

    A torch file is read with `weights_only=True`: it cannot run code. Its tensors are its own, or those under one of STATES.

    Args:
        path: the file; its suffix says how it is read.
        content: of a safetensors file, where it has been read already.

    Raises:
        CheckpointError: if the file is unreadable, or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load(path.read_bytes() if content is None else content)
        if path.suffix not in TORCH:
            raise CheckpointError(f"{path} is neither .safetensors nor {', '.join(TORCH)}")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as fault:
        raise CheckpointError(f"{path} is not a readable checkpoint: {str(fault).splitlines()[0]}") from fault
    for name in STATES:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path} holds no state dictionary, neither at its top nor under {', '.join(STATES)}")
    return dict(found)


def state_bytes(state: Mapping[str, Tensor]) -> bytes:
    """A state dictionary as a safetensors file."""
    return save({name: value.detach().cpu().contiguous() for name, value in state.items()})


def write_whole(path: Path, content: bytes) -> None:
    """A file that is either whole or absent: temporary name, fsync, `os.replace`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}~{socket.gethostname()}~{os.getpid()}~{uuid.uuid4().hex[:8]}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # gone already unless something failed


def inside(folder: Path, name: str) -> Path:
    """The path of a file in a folder.

    Raises:
        CheckpointError: if it leads out of it, by its name or by a link.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise CheckpointError(f"{name!r} leads out of {folder}")
    return path
