"""Minimal adaptation loss of a batch of checkpoints on many targets: exact where it is known, bracketed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interface.adaptations import LinearProbe
from interface.core import Bracket, Estimate
from interface.measurement.batch import Batch
from interface.measurement.draws import draws
from interface.measurement.transfer import Transfer
from interface.populations import Pool, Population
from interface.theory.embedding import Embedding
from interface.theory.losses import probe_loss
from interface.training import Pretraining

DRAWS_A_PARAMETER = 25  # bias of the bracket is about p / n
ROUND_UP_TO = 250


def has_exact_adaptation(spec: Pretraining | None, transfer: Transfer) -> bool:
    """Whether this cell is a closed form: a linear probe on a known encoder of a Gaussian target with a linear label."""
    return (
        spec is not None
        and isinstance(transfer.adaptation, LinearProbe)
        and spec.encoder.closed_form
        and transfer.target.moments() is not None
    )


def default_draws(n_parameters: int) -> int:
    """Number of draws on each side of a bracket: 25 a free parameter, rounded up to 250."""
    return -(-DRAWS_A_PARAMETER * n_parameters // ROUND_UP_TO) * ROUND_UP_TO


def adaptation_losses(
    batch: Batch, transfers: Sequence[Transfer], *, seed: int, n_fit: int | None, n_test: int | None
) -> list[list[Estimate | Bracket]]:
    """Minimal adaptation loss by transfer, then checkpoint: an exact Estimate, or a Bracket on common draws.

    The unit is nats where the target has classes, squared units of its label elsewhere.
    """
    embeddings: dict[bytes, Embedding] = {}  # by input law: label directions share one

    def exact(transfer: Transfer) -> list[Estimate | Bracket]:
        spec, moments = batch.spec, transfer.target.moments()
        assert spec is not None and moments is not None
        law = moments.covariance.tobytes()
        if law not in embeddings:
            visible = spec.pretext.visible(spec.source.input_dim)
            embedding = spec.encoder.embedding(batch.arrays("encoder"), moments, visible)
            assert embedding is not None
            embeddings[law] = embedding
        return [Estimate(value, stderr=0.0, how="exact") for value in probe_loss(embeddings[law], moments).tolist()]

    def bracketed(transfer: Transfer) -> list[Estimate | Bracket]:
        target, size = transfer.target, default_draws(_probe_size(batch, transfer))
        fit, test = draws(target, "fit", seed, n_fit or size), draws(target, "test", seed, n_test or size)
        z_fit, z_test = (batch.features(_inputs(part.x, target)) for part in (fit, test))
        return list(transfer.adaptation.brackets((z_fit, fit.y), (z_test, test.y), n_classes=target.n_classes))

    return [exact(t) if has_exact_adaptation(batch.spec, t) else bracketed(t) for t in transfers]


def _inputs(x: Any, target: Population) -> Any:
    """One view of each example; a pool has no views and may hold arrays of any shape."""
    return x if isinstance(target, Pool) else x[:, 0]


def _probe_size(batch: Batch, transfer: Transfer) -> int:
    """Free parameters of the adaptation on this batch's features."""
    if isinstance(transfer.target, Pool):
        return 1  # a pool is measured on all that it holds
    spec = batch.spec
    if spec is not None:
        features = spec.encoder.features
    else:
        probe = draws(transfer.target, "fit", 0, 2)
        features = batch.features(_inputs(probe.x, transfer.target)).shape[-1]
    return transfer.adaptation.n_parameters(features, transfer.target.n_classes)
