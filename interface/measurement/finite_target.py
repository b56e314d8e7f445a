"""Minimal adaptation loss of a linear probe on a target that can be enumerated: a weighted sum, minimised, without a bracket."""

from __future__ import annotations

from functools import lru_cache

import torch

from interface.adaptations import LinearProbe
from interface.core import Estimate
from interface.measurement.batch import Batch
from interface.measurement.transfer import Transfer
from interface.populations import Population, Support
from interface.theory.finite import log_probe_loss


@lru_cache(maxsize=64)
def _support(target: Population) -> Support | None:
    return target.support()


def has_finite_target(transfer: Transfer) -> bool:
    """Whether this minimum is a finite sum: a linear probe on a target whose inputs and p(y | x) are all known."""
    return isinstance(transfer.adaptation, LinearProbe) and transfer.n_labels is None and _support(transfer.target) is not None


def finite_losses(batch: Batch, transfer: Transfer) -> list[Estimate]:
    """L* of each checkpoint in nats, exact: the population itself is what the probe is fitted to."""
    support = _support(transfer.target)
    assert support is not None
    with torch.no_grad():
        features = batch.features(support.x, transfer.depth, transfer.readout).double().numpy()
    return [log_probe_loss(z, support.y.numpy(), support.p.numpy()) for z in features]
