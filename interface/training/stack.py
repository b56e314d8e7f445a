"""The parameters of runs that are trained together, run axis first, and the optimizer that moves them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from interface.core import fingerprint
from interface.encoders import initialise
from interface.seeds import generator
from interface.training.specification import Pretraining

LANES = 64  # floats: at least the widest vector register


class Stack:
    """Parameters of all runs, run axis first, in one buffer with one row a run, and the optimizer that moves them.

    Rows are padded to whole vector registers: a kernel computes the odd elements at the end of an array with other
    instructions, and which elements those are must not depend on a run's place among its neighbours.
    """

    def __init__(self, runs: Sequence[Pretraining], device: str) -> None:
        states = [_initial_state(run) for run in runs]
        shapes = {name: value.shape for name, value in states[0].items()}
        starts, length = {}, 0
        for name, shape in shapes.items():
            starts[name] = length
            length += -(-shape.numel() // LANES) * LANES
        values, gradients = (torch.zeros(len(runs), length, device=device) for _ in range(2))

        def part(buffer: Tensor, name: str) -> Tensor:
            return buffer[:, starts[name] : starts[name] + shapes[name].numel()].view(-1, *shapes[name])

        for name in shapes:
            part(values, name).copy_(torch.stack([state[name] for state in states]))
        self.parameters = {name: part(values, name).detach().requires_grad_() for name in shapes}
        self.gradients = [part(gradients, name) for name in shapes]
        lrs = [run.optimizer.lr for run in runs]  # sorted: one block of rows a learning rate
        cuts = [i for i in range(len(lrs)) if i == 0 or lrs[i] != lrs[i - 1]]
        blocks = []
        for start, stop in zip(cuts, [*cuts[1:], len(lrs)], strict=True):
            rows = values[start:stop]
            rows.grad = gradients[start:stop]
            blocks.append({"params": [rows], "lr": lrs[start]})
        self.optimizer = torch.optim.Adam(blocks, fused=True)

    def update(self) -> None:
        """One step of the optimizer along the gradients that `backward` has left."""
        found = [value.grad for value in self.parameters.values()]
        torch._foreach_copy_(self.gradients, [gradient for gradient in found if gradient is not None])
        self.optimizer.step()
        for value in self.parameters.values():
            value.grad = None


def _initial_state(run: Pretraining) -> dict[str, Tensor]:
    """Equal sources, encoders and seeds start from equal encoders."""
    model = run.build()
    key = (fingerprint(run.source), run.seed, run.encoder.name)
    initialise(model.encoder, generator("encoder", *key))
    if model.head is not None:
        initialise(model.head, generator("head", *key, run.pretext.name))
    return model.state_dict()
