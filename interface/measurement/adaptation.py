"""Minimal adaptation loss of a batch of checkpoints on many targets: exact where it is known, bracketed elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from interface.adaptations import LinearBall, LinearProbe, Probe, standardised
from interface.core import Bracket, Estimate
from interface.measurement.batch import Batch
from interface.measurement.draws import draws
from interface.measurement.finite_target import finite_losses, has_finite_target
from interface.measurement.transfer import Transfer
from interface.populations import Examples, Pool
from interface.theory.embedding import Embedding
from interface.theory.losses import probe_loss
from interface.theory.moments import Moments
from interface.training import Pretraining

DRAWS_A_PARAMETER = 25  # bias of the bracket is about p / n
ROUND_UP_TO = 250
SCALE_DRAWS = 2000  # whose mean and scale a probe of bounded norm is given


def has_exact_adaptation(spec: Pretraining | None, transfer: Transfer) -> bool:
    """Whether this minimum is a closed form: a linear probe on a known encoder of a Gaussian target with a linear label."""
    return has_exact_risk(spec, transfer) and transfer.n_labels is None and isinstance(transfer.adaptation, LinearProbe)


def has_exact_risk(spec: Pretraining | None, transfer: Transfer) -> bool:
    """Whether the loss of any linear head on the encoder's output is a closed form in this cell."""
    output = transfer.depth is None and transfer.readout is None
    return output and spec is not None and spec.encoder.closed_form and transfer.target.moments() is not None


def default_draws(n_parameters: int) -> int:
    """Number of draws on each side of a bracket: 25 a free parameter, rounded up to 250."""
    return -(-DRAWS_A_PARAMETER * n_parameters // ROUND_UP_TO) * ROUND_UP_TO


def adaptation_losses(
    batch: Batch, transfers: Sequence[Transfer], *, seed: int, n_fit: int | None, n_test: int | None
) -> list[list[Estimate | Bracket]]:
    """Minimal adaptation loss by transfer (without `n_labels`), then checkpoint: an exact Estimate, or a Bracket on common draws.

    The unit is nats where the target has classes, squared units of its label elsewhere. Equal cells are computed once.
    """
    embeddings: dict[bytes, Embedding] = {}  # by input law: label directions share one

    def exact(transfer: Transfer) -> list[Estimate | Bracket]:
        moments = transfer.target.moments()
        assert moments is not None
        law = moments.covariance.tobytes()
        if law not in embeddings:
            embeddings[law] = exact_embedding(batch, batch.arrays("encoder"), moments)
        return [Estimate(value, stderr=0.0, how="exact") for value in probe_loss(embeddings[law], moments).tolist()]

    def bracketed(transfer: Transfer) -> list[Estimate | Bracket]:
        target, probe = transfer.target, transfer.adaptation
        assert isinstance(probe, Probe)
        size = _probe_draws(batch, transfer, probe)
        fit, test = draws(target, "fit", seed, n_fit or size), draws(target, "test", seed, n_test or size)
        scaled = scaling(batch, transfer, probe, seed)
        z_fit, z_test = (scaled(batch.features(part.x[:, 0], transfer.depth, transfer.readout)) for part in (fit, test))
        return list(probe.brackets((z_fit, fit.y), (z_test, test.y), n_classes=target.n_classes))

    found: dict[tuple[Any, ...], list[Estimate | Bracket]] = {}
    for transfer in transfers:
        key = transfer.key()[:-1]  # the replicate numbers the cell and does not enter
        if key not in found and has_exact_adaptation(batch.spec, transfer):
            found[key] = exact(transfer)
        elif key not in found:
            found[key] = list(finite_losses(batch, transfer)) if has_finite_target(transfer) else bracketed(transfer)
    return [found[transfer.key()[:-1]] for transfer in transfers]


def has_one_value(spec: Pretraining | None, transfer: Transfer) -> bool:
    """Whether this minimum is one exact number, by closed form or enumeration, and not a bracket."""
    return has_exact_adaptation(spec, transfer) or has_finite_target(transfer)


def exact_embedding(batch: Batch, state: dict[str, Any], moments: Moments) -> Embedding:
    """Moments of the features of encoders with this state (..., by key) under a population."""
    spec = batch.spec
    assert spec is not None
    embedding = spec.encoder.embedding(state, moments, spec.pretext.visible(spec.source.input_dim))
    assert embedding is not None
    return embedding


def held_out_draws(batch: Batch, transfer: Transfer, *, seed: int, n_test: int | None) -> Examples:
    """The test sample of a cell: the same whatever was adapted, and on how many labels."""
    return draws(transfer.target, "test", seed, n_test or _probe_draws(batch, transfer, LinearProbe()))


def scaling(batch: Batch, transfer: Transfer, probe: Probe, seed: int) -> Callable[[Tensor], Tensor]:
    """What features (r, n, k) pass through before a probe: nothing but for a ball, whose bound presumes their scale.

    There each checkpoint's features lose the mean and are divided by the deviation that they have on the "pre" draws of its source:
    fixed before any labelled draw, so that limits stay certified, and alike for all targets. Checkpoints that were not trained here
    have no source; theirs are the target's "pre" draws, which for a finite pool is the third that is neither fitted nor tested.
    """
    if not isinstance(probe, LinearBall):
        return lambda features: features
    source = transfer.target if batch.spec is None else batch.spec.source
    drawn = draws(source, "pre", seed, SCALE_DRAWS)
    return partial(standardised, source=batch.features(drawn.x[:, 0], transfer.depth, transfer.readout))


def _probe_draws(batch: Batch, transfer: Transfer, probe: Probe) -> int:
    """Default number of draws for this probe on the features that the cell reads."""
    target = transfer.target
    if isinstance(target, Pool) and target.finite:
        return 1  # a finite pool is measured on all that it holds
    if batch.spec is not None and transfer.depth is None and transfer.readout is None:
        features = batch.spec.encoder.features
    else:
        few = draws(target, "fit", 0, 2).x[:, 0]
        features = batch.features(few, transfer.depth, transfer.readout).shape[-1]
    return default_draws(probe.n_parameters(features, target.n_classes))
