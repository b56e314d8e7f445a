"""What a tuning moves, a row a problem, and how it is moved."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LANES = 64  # floats: at least the widest vector register


class Moving:
    """Tensors (E, ...) in one buffer with one row a problem, and the optimizer that moves them.

    Parts are padded to whole vector registers: a kernel computes the odd elements at the end of an array with other
    instructions, and which elements those are must not depend on a problem's place among its neighbours.

    Args:
        start: the tensors at their start; they are copied.
        lr: learning rate; adam: whether it is Adam, or plain gradient descent.
        limit: (E,) the farthest that each row may go from its start, or None.
    """

    def __init__(self, start: Sequence[Tensor], *, lr: float, adam: bool, limit: Tensor | None) -> None:
        sizes = [-(-value[0].numel() // LANES) * LANES for value in start]
        self._rows, gradients = (start[-1].new_zeros(len(start[-1]), sum(sizes)) for _ in range(2))

        def parts(buffer: Tensor) -> list[Tensor]:
            pieces = zip(buffer.split(sizes, 1), start, strict=True)
            return [piece[:, : value[0].numel()].view(value.shape) for piece, value in pieces]

        torch._foreach_copy_(parts(self._rows), list(start))
        self._start, self._limit = self._rows.clone(), limit
        self.values = [part.detach().requires_grad_() for part in parts(self._rows)]
        self._gradients = parts(gradients)
        self._rows.grad = gradients
        make = torch.optim.Adam if adam else torch.optim.SGD
        self._optimizer = make([self._rows], lr=lr, fused=True)

    def update(self) -> None:
        """One step along the gradients that `backward` has left, and back onto the ball around the start if there is one."""
        pairs = [(kept, value.grad) for kept, value in zip(self._gradients, self.values, strict=True) if value.grad is not None]
        torch._foreach_copy_([kept for kept, _ in pairs], [gradient for _, gradient in pairs])
        self._optimizer.step()
        for value in self.values:
            value.grad = None
        if self._limit is not None:
            away = self._rows - self._start
            scale = (self._limit / away.norm(dim=1).clamp_min(torch.finfo(away.dtype).tiny)).clamp_max(1)
            self._rows.copy_(self._start + away * scale.unsqueeze(1))

    def finite(self) -> Tensor:
        """(E,) whether each row is finite."""
        return torch.isfinite(self._rows).all(1)
