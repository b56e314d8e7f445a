"""The parameters of runs that are trained together, run axis first, and the optimizer that moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from interface.core import fingerprint
from interface.encoders import initialise
from interface.seeds import generator, stream
from interface.training.specification import Pretrained, Pretraining

LANES = 64  # floats: at least the widest vector register
PIECE = 25e6  # bytes that the runs of one product hold between forward and backward: a few times a core's cache


class Piece(NamedTuple):
    """Runs whose losses are computed at once: a slice of them with the run axis first, or one of them without it."""

    runs: slice | int
    model: Pretrained  # its parameters are the buffer's
    gradients: list[Tensor]  # where the optimizer looks for them, in the order of the parameters that are trained

    def collect(self) -> None:
        """Hands the gradients that `backward` has left to the optimizer."""
        trained = [value for value in self.model.parameters() if value.requires_grad]
        found = [torch.zeros_like(slot) if v.grad is None else v.grad for slot, v in zip(self.gradients, trained, strict=True)]
        torch._foreach_copy_(self.gradients, found)
        for value in trained:
            value.grad = None


class Stack:
    """Parameters of all runs, run axis first, in one buffer with one row a run, and the optimizer that moves them.

    Rows are padded to whole vector registers: a kernel computes the odd elements at the end of an array with other
    instructions, and which elements those are must not depend on a run's place among its neighbours.

    Args:
        runs: sorted by learning rate.
        device: of the buffers.

    Raises:
        ValueError: if a module keeps numbers that are not parameters: they would not be a run's own.
    """

    def __init__(self, runs: Sequence[Pretraining], device: str) -> None:
        states = [initial_state(run) for run in runs]
        self.shapes = {name: value.shape for name, value in states[0].items()}
        self.starts, length = {}, 0
        for name, shape in self.shapes.items():
            self.starts[name] = length
            length += -(-shape.numel() // LANES) * LANES
        self.values, self.gradients = (torch.zeros(len(runs), length, device=device) for _ in range(2))
        for name in self.shapes:
            self._part(self.values, name).copy_(torch.stack([state[name] for state in states]))
        self.momentum = runs[0].pretext.momentum
        self.teacher = None if self.momentum is None else self.values.clone()
        self.pieces = [self._piece(rows, runs[0]) for rows in _slices(runs, device)]
        lrs = [run.optimizer.lr for run in runs]  # sorted: one block of rows a learning rate
        cuts = [i for i in range(len(lrs)) if i == 0 or lrs[i] != lrs[i - 1]]
        blocks = []
        for start, stop in zip(cuts, [*cuts[1:], len(lrs)], strict=True):
            block = self.values[start:stop]
            block.grad = self.gradients[start:stop]
            blocks.append({"params": [block], "lr": lrs[start]})
        self.optimizer = runs[0].optimizer.build(blocks)

    def update(self) -> None:
        """One step of the optimizer along the collected gradients; the teacher follows."""
        self.optimizer.step()
        if self.teacher is not None:
            assert self.momentum is not None
            self.teacher.lerp_(self.values, 1 - self.momentum)

    def states(self) -> list[dict[str, Tensor]]:
        """A copy of each run's parameters on the CPU, the teacher's under "teacher."."""
        buffers = [("", self.values)] + ([] if self.teacher is None else [("teacher.", self.teacher)])
        kept = {p + name: self._part(b, name).to("cpu", copy=True) for p, b in buffers for name in self.shapes}
        return [{name: value[index] for name, value in kept.items()} for index in range(len(self.values))]

    def _part(self, buffer: Tensor, name: str, runs: slice | int = slice(None)) -> Tensor:
        """The parameter of this name: (r, ...) of a slice of runs, (...) of one run."""
        shape, start = self.shapes[name], self.starts[name]
        part = buffer[runs, start : start + shape.numel()]
        return part.view(*part.shape[:-1], *shape)

    def _piece(self, runs: slice | int, like: Pretraining) -> Piece:
        model = like.build()
        for name in self.shapes:
            _place(model, name, nn.Parameter(self._part(self.values, name, runs)))
            if self.teacher is not None:
                _place(model, f"teacher.{name}", nn.Parameter(self._part(self.teacher, name, runs), requires_grad=False))
        return Piece(runs, model, [self._part(self.gradients, name, runs) for name in self.shapes])


def _place(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    owner, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(owner), attribute, parameter)


def _slices(runs: Sequence[Pretraining], device: str) -> list[slice | int]:
    """Which runs share a product: as many as a core's cache holds, or one after the other where stacking does not pay."""
    encoder, on_cpu = runs[0].encoder, torch.device(device).type == "cpu"
    if not encoder.stackable or (on_cpu and not encoder.stacking_pays):
        return list(range(len(runs)))
    if not on_cpu:
        return [slice(0, len(runs))]
    size = max(1, int(PIECE / runs[0].saved_bytes()))
    return [slice(start, min(start + size, len(runs))) for start in range(0, len(runs), size)]


def initial_state(run: Pretraining) -> dict[str, Tensor]:
    """Parameters before training: equal sources, encoders and seeds start from equal encoders.

    Our layers are drawn by `initialise`; what a user's module draws when it is built comes from a stream of its own.
    """
    key = (fingerprint(run.source), run.seed, run.encoder.name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream("module", *key))
        model = run.build()
    initialise(model.encoder, generator("encoder", *key))
    if model.head is not None:
        initialise(model.head, generator("head", *key, run.pretext.name))
    if buffers := sorted(name for name, _ in model.named_buffers()):
        raise ValueError(f"pretrain: {run.encoder.name} keeps {', '.join(buffers)} beside its parameters; allowed: parameters only")
    return {name: value.detach() for name, value in model.named_parameters() if not name.startswith("teacher.")}
