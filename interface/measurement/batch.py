"""Checkpoints that can be measured together: one embedding function with the runs on the leading axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from interface.checkpoints import Checkpoint
from interface.core import fingerprint
from interface.encoders import Linear
from interface.training import Pretraining

PROBABILITIES = "probabilities"


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
        """Stacked parameters (r, ...) of a submodule, "encoder" or "head", by their own keys; empty if there is none."""
        states = [module.state_dict() for module in self._parts(part)]
        return {key: torch.stack([state[key] for state in states]).to(self.device) for key in states[0]} if states else {}

    def arrays(self, part: str) -> dict[str, np.ndarray]:
        """The same in float64 on the CPU, for closed forms."""
        return {key: value.double().cpu().numpy() for key, value in self.state(part).items()}

    def function(self, part: str) -> Any:
        """The submodule as a function of x (n, d) or (r, n, d), giving (r, n, ...); None if there is none.

        Args:
            part: "encoder" or "head", or "teacher.encoder" or "teacher.head" of a pretext with a momentum. An encoder's
                function also takes its depth and readout, by name.
        """
        parts = self._parts(part)
        if not parts:
            return None
        assert self.spec is not None
        if part.endswith("encoder") and (self.spec.encoder.readouts or not self.spec.encoder.stackable):
            return partial(self._one_by_one, parts)  # positions take memory, and stacking them saves no time
        state = self.state(part)
        return lambda x, **reading: functional_call(parts[0], state, (x,), reading)

    def features(self, x: Any, depth: int | None = None, readout: str | None = None) -> Tensor:
        """Representation of x (n, ...) in float32 on the CPU: (r, n, features).

        Args:
            x: examples, the same for all checkpoints.
            depth: layer whose output is read, 1 is the first; None is the encoder's output.
            readout: "last" or "mean" of the positions; "all" of them side by side, (r, n, t * features); "probabilities"
                of the pretraining head; None is the encoder's own way.

        Raises:
            ValueError: if the encoder has no such depth or readout, an embedding does not give (n, features), or features
                are not finite.
        """
        self._check(depth, readout)
        if self.spec is None:
            z = torch.stack([self._embedded(c, m, x) for c, m in zip(self.checkpoints, self.modules, strict=True)])
        else:
            reading = {key: value for key, value in (("depth", depth), ("readout", readout)) if value is not None}
            flat = x.flatten(1).to(self.device)
            inputs = self.spec.pretext.inputs(flat.float() if self.spec.encoder.vocabulary is None else flat)
            if readout == PROBABILITIES:
                z = torch.softmax(self.function("head")(self.function("encoder")(inputs)), dim=-1).cpu()
            else:
                z = self.function("encoder")(inputs, **reading).cpu().flatten(2)
        if not torch.isfinite(z).all():
            bad = int(torch.isfinite(z).flatten(1).all(1).logical_not().nonzero()[0])
            where = self.checkpoints[bad]
            raise ValueError(f"features of run {where.run} at step {where.step} are not finite; did the run diverge?")
        return z

    def _check(self, depth: int | None, readout: str | None) -> None:
        """Refuses what these checkpoints cannot be asked."""
        spec = self.spec
        if spec is None:
            if depth is not None or readout is not None:
                raise ValueError(
                    f"depth is {depth!r} and readout {readout!r}; allowed for run {self.checkpoints[0].run}, which was not trained "
                    "here: None, what its embed gives. Make a checkpoint whose embed reads that layer"
                )
        elif readout != PROBABILITIES:
            spec.encoder.check(depth, readout)
        elif depth is not None:
            raise ValueError(f"depth is {depth!r} with readout {readout!r}; allowed: None, since the head acts on the output")
        elif spec.pretext.unit != "nats" or spec.pretext.n_views != 1 or not isinstance(self.modules[0].head, Linear):
            raise ValueError(f"readout is {readout!r}; allowed for {spec.pretext.name}, whose head is no softmax: another readout")

    def _parts(self, part: str) -> list[nn.Module]:
        """The submodule of this dotted name of every module; [] if there is none."""
        found: list[Any] = list(self.modules)
        for name in part.split("."):
            found = [getattr(module, name) for module in found]
            if found[0] is None:
                return []
        return found

    def _one_by_one(self, modules: Sequence[nn.Module], x: Tensor, **reading: Any) -> Tensor:
        """(r, n, ...) from one module after the other, a few examples at a time."""
        of_run = [x] * len(modules) if x.ndim == 2 else list(x)
        return torch.stack(
            [torch.cat([m(part, **reading) for part in own.split(self.batch_size)]) for m, own in zip(modules, of_run, strict=True)]
        )

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
