"""The range of L*_adapt that theory allows a checkpoint of this excess pretraining loss, where both losses are closed forms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interface.core import Estimate
from interface.encoders import LinearEncoder
from interface.measurement.adaptation import has_exact_adaptation
from interface.measurement.pretraining import PretrainingLoss, has_exact_loss
from interface.measurement.transfer import Transfer
from interface.theory import applies, band
from interface.training import Pretraining


def has_band(spec: Pretraining | None, transfer: Transfer) -> bool:
    """Whether the range is recorded for this cell: exact losses, a theorem that applies, and the source's own label and law."""
    return (
        spec is not None
        and transfer.target.applied.name == "none"
        and has_exact_loss(spec)
        and has_exact_adaptation(spec, transfer)
        and applies(spec.pretext.name, linear_encoder=isinstance(spec.encoder, LinearEncoder), beyond=True).holds
    )


def exact_bands(spec: Pretraining, transfer: Transfer, losses: Sequence[PretrainingLoss]) -> list[tuple[Estimate, Estimate]]:
    """Lowest and highest L*_adapt of each checkpoint that its excess allows, in squared units of the label.

    Source: the two-operator theorem: both losses are affine in the span of the features, so that pairs of them fill the
    joint numerical range of two operators (see `interface.theory.band`).
    """
    source, target = spec.source.moments(), transfer.target.moments()
    assert source is not None and target is not None
    operator = spec.pretext.operator(source)
    assert operator is not None
    label = operator.target(target.cov_xy)
    excess = np.array([loss.excess for loss in losses], dtype=np.float64)
    beyond = () if isinstance(spec.encoder, LinearEncoder) else operator.beyond
    ends = band(operator.S, label, spec.encoder.features, excess, beyond=beyond)
    unexplained = target.var_y - float(np.sum(label**2))
    return [
        (Estimate(unexplained + low, stderr=0.0, how="exact"), Estimate(unexplained + high, stderr=0.0, how="exact"))
        for low, high in zip(ends.low.tolist(), ends.high.tolist(), strict=True)
    ]
