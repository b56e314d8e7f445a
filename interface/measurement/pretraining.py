"""Population pretraining loss of a batch of checkpoints: raw, at the best head, and above its floor."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from interface.core import Bracket, Estimate
from interface.encoders import LinearEncoder
from interface.measurement.batch import Batch
from interface.measurement.draws import draws
from interface.populations import Examples
from interface.seeds import generator
from interface.training import Pretraining

CHUNK = 64  # checkpoints evaluated at once on sampled data, so that memory stays bounded


class PretrainingLoss(NamedTuple):
    """Losses of one checkpoint in the pretext's unit. `excess` is profiled minus floor, None where no floor is known."""

    raw: Estimate | None
    profiled: Estimate | Bracket
    excess: Estimate | None


def has_exact_loss(spec: Pretraining) -> bool:
    """Whether the pretraining loss of this run is a closed form: Gaussian source, encoder and pretext both known."""
    return spec.pretext.closed_form and spec.encoder.closed_form and spec.source.moments() is not None


def pretraining_losses(batch: Batch, *, seed: int, n: int | None) -> list[PretrainingLoss]:
    """Losses of every checkpoint of a batch that was trained here, exact where there is a closed form.

    Args:
        batch: checkpoints of one source, pretext and encoder.
        seed: of the stream ("pre", source, seed), common to all checkpoints.
        n: examples in each half of a sampled evaluation; None is the pretext's own number.
    """
    assert batch.spec is not None
    return _exact(batch) if has_exact_loss(batch.spec) else _sampled(batch, seed, n)


def _exact(batch: Batch) -> list[PretrainingLoss]:
    spec = batch.spec
    assert spec is not None
    moments = spec.source.moments()
    assert moments is not None
    embedding = spec.encoder.embedding(batch.arrays("encoder"), moments, spec.pretext.visible(spec.source.input_dim))
    assert embedding is not None
    losses = spec.pretext.exact(embedding, moments, batch.arrays("head"))
    assert losses is not None
    floor = spec.pretext.floor(moments, spec.encoder.features, linear=isinstance(spec.encoder, LinearEncoder))
    found = []
    for index in range(len(batch.checkpoints)):
        raw = None if losses.raw is None else Estimate(losses.raw[index], stderr=0.0, how="exact")
        profiled = float(losses.profiled[index])
        excess = None if floor is None else Estimate(profiled - floor, stderr=0.0, how="exact")
        found.append(PretrainingLoss(raw, Estimate(profiled, stderr=0.0, how="exact"), excess))
    return found


def _sampled(batch: Batch, seed: int, n: int | None) -> list[PretrainingLoss]:
    spec = batch.spec
    assert spec is not None
    pretext, source = spec.pretext, spec.source
    half = n or pretext.n_evaluation
    both = draws(source, "pre", seed, 2 * half, views=pretext.n_views)
    noise = generator("pre noise", pretext.name, source.instance, seed)
    fit, test = (
        pretext.draw(Examples(both.x[part].to(batch.device), both.y[part].to(batch.device)), noise)
        for part in (slice(half), slice(half, 2 * half))
    )
    found: list[PretrainingLoss] = []
    for start in range(0, len(batch.checkpoints), CHUNK):
        part = Batch(batch.checkpoints[start : start + CHUNK], batch.modules[start : start + CHUNK], batch.device, batch.batch_size)
        embed, head = part.function("encoder"), part.function("head")
        with torch.no_grad():
            raw = pretext.evaluate(embed, head, test).double()
            profiles = pretext.profile(embed, fit, test)
        for losses, profiled in zip(raw, profiles, strict=True):
            found.append(PretrainingLoss(mean_loss(losses), profiled, None))
    return found


def mean_loss(losses: Tensor) -> Estimate:
    """Mean of the losses of independent units (n,) with its standard error."""
    n = len(losses)
    return Estimate(float(losses.mean()), stderr=float(losses.std() / n**0.5), how="monte_carlo", n=n)


def ratio_loss(pre_loss: Callable[[nn.Module], tuple[Tensor, Tensor]], module: nn.Module) -> Estimate:
    """A user's pretraining loss: sum of nats over sum of counts, with the delta-method error of that ratio.

    Args:
        pre_loss: module -> (nats (n,), counts (n,)), one entry an *independent* unit: a sequence, not a token.
        module: the checkpoint's module.

    Raises:
        ValueError: if the two are not one-dimensional of equal length >= 2, not finite, or a count is not positive.
    """
    with torch.no_grad():
        nats, counts = (torch.as_tensor(value).double().flatten().cpu() for value in pre_loss(module))
    if len(nats) != len(counts) or len(nats) < 2:
        raise ValueError(f"pre_loss gave {len(nats)} losses and {len(counts)} counts; allowed: equally many, at least 2")
    if not (torch.isfinite(nats).all() and torch.isfinite(counts).all() and (counts > 0).all()):
        raise ValueError("pre_loss gave a value that is not finite, or a count that is not positive")
    ratio = nats.sum() / counts.sum()
    residual = nats - ratio * counts
    error = residual.square().sum().sqrt() / counts.sum() * (len(nats) / (len(nats) - 1)) ** 0.5
    return Estimate(float(ratio), stderr=float(error), how="monte_carlo", n=len(nats))
