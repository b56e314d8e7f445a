"""Checkpoints that can be measured together: one embedding function with the runs on the leading axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from interface.checkpoints import Checkpoint
from interface.core import fingerprint
from interface.training import Pretraining


@dataclass(frozen=True)
class Batch:
    """r checkpoints of one architecture, pretext and source; or one checkpoint of somebody else's.

    Args:
        checkpoints: the r checkpoints.
        modules: their modules, in order.
        device: where they are evaluated.
        batch_size: examples embedded at once where the modules are not ours.
    """

    checkpoints: tuple[Checkpoint, ...]
    modules: tuple[nn.Module, ...]
    device: str
    batch_size: int

    @property
    def spec(self) -> Pretraining | None:
        return self.checkpoints[0].spec

    def state(self, part: str) -> dict[str, Tensor]:
        """Stacked parameters (r, ...) of the submodule "encoder" or "head", by their own keys; empty if there is none."""
        modules = [getattr(module, part) for module in self.modules]
        if modules[0] is None:
            return {}
        states = [module.state_dict() for module in modules]
        return {key: torch.stack([state[key] for state in states]).to(self.device) for key in states[0]}

    def arrays(self, part: str) -> dict[str, np.ndarray]:
        """The same in float64 on the CPU, for closed forms."""
        return {key: value.double().cpu().numpy() for key, value in self.state(part).items()}

    def function(self, part: str) -> Any:
        """The submodule as a function of x (n, d) or (r, n, d), giving (r, n, ...); None if there is none."""
        module, state = getattr(self.modules[0], part), self.state(part)
        if module is None:
            return None
        return lambda x: functional_call(module, state, (x,))

    def features(self, x: Any) -> Tensor:
        """Representation of x (n, ...) in float32 on the CPU: (r, n, features).

        Raises:
            ValueError: if an embedding does not give (n, features), or is not finite.
        """
        if self.spec is not None:
            z = self.function("encoder")(self.spec.pretext.inputs(x.to(self.device))).cpu()
        else:
            z = torch.stack([self._embedded(c, m, x) for c, m in zip(self.checkpoints, self.modules, strict=True)])
        if not torch.isfinite(z).all():
            bad = int(torch.isfinite(z).flatten(1).all(1).logical_not().nonzero()[0])
            where = self.checkpoints[bad]
            raise ValueError(f"features of run {where.run} at step {where.step} are not finite; did the run diverge?")
        return z

    def _embedded(self, checkpoint: Checkpoint, module: nn.Module, x: Any) -> Tensor:
        parts = []
        for start in range(0, len(x), self.batch_size):
            part = x[start : start + self.batch_size]
            z = checkpoint.embed(module, part.to(self.device) if isinstance(part, Tensor) else part)
            if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != len(part):
                shape = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
                raise ValueError(
                    f"embed of run {checkpoint.run} gave {shape} for {len(part)} inputs; allowed: a tensor (n, features)"
                )
            parts.append(z.detach().float().cpu())
        return torch.cat(parts)


def batches(checkpoints: Sequence[Checkpoint], *, device: str, batch_size: int, largest: int = 256) -> Iterator[Batch]:
    """The checkpoints, in order of first appearance, in batches of one architecture, pretext and source."""
    groups: dict[Any, list[Checkpoint]] = {}
    for index, checkpoint in enumerate(checkpoints):
        spec = checkpoint.spec
        key = index if spec is None else (fingerprint(spec.source), spec.pretext, spec.encoder)
        groups.setdefault(key, []).append(checkpoint)
    for group in groups.values():
        for start in range(0, len(group), largest):
            part = tuple(group[start : start + largest])
            modules = tuple(checkpoint.load().to(device).eval() for checkpoint in part)
            yield Batch(part, modules, device, batch_size)
