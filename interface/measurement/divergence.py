"""Runs that diverged: their rows exist, hold no number and say why; nobody else's rows are touched."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from interface.core import Row, fingerprint
from interface.measurement.batch import Batch
from interface.seeds import generator

LARGEST = 1e12  # of a parameter or a feature: losses that multiply a few of them overflow in single precision beyond
PROBED = 64  # examples that are embedded to find out
KNOWN_ANYWAY = ("flops", "train_s", "measure_s", "l_adapt_bayes")


def diverged(batch: Batch) -> list[bool]:
    """Whether each checkpoint has parameters that are not finite or larger than 1e12; of those trained here, or features."""
    lost = [not all(_small(value) for value in module.state_dict().values()) for module in batch.modules]
    spec = batch.spec
    if spec is None:
        return lost
    drawn = spec.source.sample(PROBED, generator("probe", fingerprint(spec.source))).x.flatten(1).to(batch.device)
    with torch.no_grad():
        inputs = spec.pretext.inputs(drawn.float() if spec.encoder.vocabulary is None else drawn)
        return [bad or not _small(module.get_submodule("encoder")(inputs)) for bad, module in zip(lost, batch.modules, strict=True)]


def _small(value: Tensor) -> bool:
    return not value.is_floating_point() or bool((value.abs() <= LARGEST).all())  # a NaN compares false


def with_stand_ins(batch: Batch, lost: list[bool]) -> Batch:
    """The batch with random parameters where a run diverged, so that the others can be measured together with it."""
    modules = [_stand_in(module) if bad else module for module, bad in zip(batch.modules, lost, strict=True)]
    return replace(batch, modules=tuple(modules)) if any(lost) else batch


def _stand_in(module: nn.Module) -> nn.Module:
    module, draws = copy.deepcopy(module), generator("stand-in")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draws))
        for buffer in module.buffers():
            buffer.nan_to_num_(1.0, 1.0, 1.0)
    return module


def marked(row: Row, lost: bool) -> Row:
    """The row as it is recorded: what was measured on a stand-in is no number, and a value that is none is not "ok"."""
    if lost and row.quantity not in KNOWN_ANYWAY:
        return replace(row, value=math.nan, stderr=None, status="diverged")
    if row.status == "ok" and not math.isfinite(row.value):
        return replace(row, status="not_finite")
    return row
