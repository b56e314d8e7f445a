"""Population pretraining loss of a batch of checkpoints: raw, at the best head, and above its floor."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from interface.core import Bracket, Estimate
from interface.encoders import Encoder, LinearEncoder
from interface.measurement.batch import Batch
from interface.measurement.calibrated import temperature_calibrated
from interface.measurement.draws import draws
from interface.measurement.population_loss import pretraining_loss
from interface.populations import Examples, HiddenMarkov, Pool, Population, Support
from interface.pretexts import NextToken, Pretext
from interface.seeds import generator
from interface.training import Pretraining

CHUNK = 64  # checkpoints evaluated at once on sampled data, so that memory stays bounded
SMALLEST_POOL = 10  # examples of a finite source: the largest of its thirds is then 4
AT_ONCE = 1024  # points of a finite support evaluated at once, for the same reason


class PretrainingLoss(NamedTuple):
    """Losses of one checkpoint in the pretext's unit.

    `excess` is the loss minus its floor, None where no floor is known: profiled where that is a closed form, else raw, which is
    never below the profiled one where the head is in the profile class. Where the optimal model is known it is the difference to
    that model's losses on common draws. `units` (n,) are the raw losses of the independent units
    that all checkpoints of a batch share, None where the raw loss is exact. `calibrated` is the raw loss at its best temperature on
    those units, None where the pretext has no `logits`.
    """

    raw: Estimate | None
    profiled: Estimate | Bracket
    excess: Estimate | None
    units: np.ndarray | None = None
    calibrated: Estimate | None = None


def has_exact_loss(spec: Pretraining) -> bool:
    """Whether the pretraining loss of this run is a closed form: Gaussian source, encoder and pretext both known."""
    return spec.pretext.closed_form and spec.encoder.closed_form and spec.source.moments() is not None


def has_excess(spec: Pretraining) -> bool:
    """Whether the floor of a loss that is no closed form is known, so that its excess is recorded."""
    return not has_exact_loss(spec) and least_loss(spec.pretext, spec.source, spec.encoder) is not None


def has_calibrated(spec: Pretraining) -> bool:
    """Whether the loss at its best temperature is recorded: a sampled cross-entropy, whose scores the pretext gives."""
    return not has_exact_loss(spec) and type(spec.pretext).logits is not Pretext.logits


@lru_cache(maxsize=256)
def least_loss(pretext: Pretext, source: Population, encoder: Encoder) -> Estimate | None:
    """Lowest loss that any model with this many features reaches at this task on this source; None where unknown."""
    moments = source.moments()
    if moments is not None and not pretext.profile_class_differs:  # the floor of a profile is one of trained heads, too
        floor = pretext.floor(moments, encoder.features, linear=isinstance(encoder, LinearEncoder))
        if floor is not None:
            return Estimate(floor, stderr=0.0, how="exact")
    return pretext.least_loss(source)


def check_draws(spec: Pretraining, n: int | None) -> None:
    """Refuses a number of examples that leaves a unit of the evaluation incomplete, or halves of less than two units.

    Raises:
        ValueError: naming what is allowed.
    """
    size = spec.pretext.unit_size
    if n is not None and (n < 2 * size or n % size) and not has_exact_loss(spec):
        allowed = "an integer >= 2" if size == 1 else f"a multiple of {size} from {2 * size} up, whole batches"
        raise ValueError(f"measure: n_pre is {n!r}; allowed for {spec.pretext.name}: {allowed}")
    if isinstance(spec.source, Pool) and spec.source.finite and spec.source.size < SMALLEST_POOL:
        raise ValueError(
            f"measure: the source {spec.source.instance!r} holds {spec.source.size} examples; allowed: at least {SMALLEST_POOL}, "
            "since each half of its pretraining third needs two"
        )


@lru_cache(maxsize=32)
def _sum_over(pretext: Pretext, source: Population) -> Support | None:
    """The support over which the loss is a sum: nothing but the example decides the loss of one, and the source is finite."""
    alone = pretext.n_views == 1 and pretext.momentum is None and not pretext.needs_labels
    if not alone or source.vocabulary is None or pretext.noise(1, source.input_dim, generator("any")) is not None:
        return None
    return source.support()


def pretraining_losses(batch: Batch, *, seed: int, n: int | None) -> list[PretrainingLoss]:
    """Losses of every checkpoint of a batch that was trained here, exact where there is a closed form or a finite sum.

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
    read = spec.pretext.input_moments(moments)
    embedding = spec.encoder.embedding(batch.arrays("encoder"), read, spec.pretext.visible(spec.source.input_dim))
    assert embedding is not None
    losses = spec.pretext.exact(embedding, moments, batch.arrays("head"))
    assert losses is not None
    floor = least_loss(spec.pretext, spec.source, spec.encoder)
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
    half = min(half, len(both.x) // 2)  # all that a finite pool holds
    x = both.x.flatten(2).to(batch.device)
    x = x.float() if spec.encoder.vocabulary is None else x
    noise = generator("pre noise", pretext.name, source.instance, seed)
    fit, test = (
        pretext.draw(Examples(x[part], both.y[part].to(batch.device)), noise) for part in (slice(half), slice(half, 2 * half))
    )
    floor, support = least_loss(pretext, source, spec.encoder), _sum_over(pretext, source)
    best = _best_losses(pretext, source, test)
    found: list[PretrainingLoss] = []
    for start in range(0, len(batch.checkpoints), CHUNK):
        part = Batch(batch.checkpoints[start : start + CHUNK], batch.modules[start : start + CHUNK], batch.device, batch.batch_size)
        embed, head = part.function("encoder"), part.function("head")
        teacher = "" if pretext.momentum is None else "teacher."
        with torch.no_grad():
            teaching = part.function(f"{teacher}encoder"), part.function(f"{teacher}head")
            for_fit, for_test = (pretext.labelled(*teaching, views) for views in (fit, test))
            profiles = pretext.profile(embed, for_fit, for_test)
            units: list[np.ndarray | None] = [None] * len(part.checkpoints)
            if support is None:
                sampled = pretext.evaluate(embed, head, for_test).double().cpu()
                raws, units = [mean_loss(losses) for losses in sampled], list(sampled.numpy())
            else:
                raws = _sums(pretext, embed, head, support, batch.device)
            calibrated = _calibrated(pretext.logits(embed, head, for_test), len(part.checkpoints))
        for raw, profiled, losses, scaled in zip(raws, profiles, units, calibrated, strict=True):
            excess = None if floor is None else _above(raw, floor)
            if best is not None and losses is not None:
                excess = mean_loss(torch.from_numpy(losses - best))
            found.append(PretrainingLoss(raw, profiled, excess, losses, scaled))
    return found


def _calibrated(scored: tuple[Tensor, Tensor] | None, runs: int) -> list[Estimate | None]:
    """The loss of each run at its best temperature, from what `Pretext.logits` gives."""
    if scored is None:
        return [None] * runs
    logits, labels = scored
    return [temperature_calibrated(*of_run) for of_run in zip(logits, labels.expand(logits.shape[:-1]), strict=True)]


def _sums(pretext: Pretext, embed: Any, head: Any, support: Support, device: str) -> list[Estimate]:
    """Exact raw loss of each run: the loss of every example of a finite source, weighted by its probability."""
    parts, nobody = [], generator("no noise")
    for x in support.x.split(AT_ONCE):
        unlabelled = torch.zeros(len(x), dtype=torch.int64, device=device)
        losses = pretext.evaluate(embed, head, pretext.draw(Examples(x[:, None].to(device), unlabelled), nobody))
        assert losses.shape[-1] == len(x), f"{pretext.name} gave {losses.shape[-1]} losses for {len(x)} examples"
        parts.append(losses.double().cpu())
    means = torch.cat(parts, -1) @ support.p
    return [Estimate(mean, stderr=0.0, how="exact") for mean in means.tolist()]


def _best_losses(pretext: Pretext, source: Population, views: Any) -> np.ndarray | None:
    """Losses (n,) of the optimal model on the sampled units; a loss minus these estimates the excess with far less noise."""
    if not isinstance(pretext, NextToken) or not isinstance(source, HiddenMarkov):
        return None
    x = views.x.cpu()
    return -source.predictive(x).gather(2, x[..., None]).squeeze(2)[:, 1:].log().mean(1).numpy()


def _above(raw: Estimate, floor: Estimate) -> Estimate:
    """Excess over a floor that was found on draws of its own, or exactly."""
    exact = raw.how == floor.how == "exact"
    error = ((raw.stderr or 0.0) ** 2 + (floor.stderr or 0.0) ** 2) ** 0.5
    return Estimate(raw - floor, stderr=error, how="exact" if exact else "monte_carlo", n=raw.n, status=raw.status)


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
        nats, counts = (torch.as_tensor(values).flatten() for values in pre_loss(module))
    try:
        return pretraining_loss(nats, counts)
    except ValueError as error:
        raise ValueError(f"pre_loss: {error}") from None
