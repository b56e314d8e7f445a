"""Risks after N labels of a batch of checkpoints: probes learnt, encoders tuned, and each risk taken apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from interface.adaptations import LinearProbe, Probe, SquaredPredictor, Tuned, Tuning
from interface.core import Bracket, Estimate, fingerprint
from interface.measurement.adaptation import exact_embedding, has_exact_risk, scaling
from interface.measurement.batch import Batch
from interface.measurement.decomposition import LabelledRisk, Loss, decompose
from interface.measurement.draws import draws
from interface.measurement.held_out import HeldOut
from interface.measurement.transfer import Transfer
from interface.populations import Examples, Pool, Population
from interface.seeds import generator
from interface.theory.head_loss import head_loss
from interface.threads import one_thread

PROBLEMS = 256  # tuned at once at most,
MEMORY = 1e9  # and no more than whose activations fit into this many bytes


def labelled_risks(
    batch: Batch, transfers: Sequence[Transfer], minima: Sequence[Sequence[Estimate | Bracket]], *, seed: int, n_test: int | None
) -> list[list[LabelledRisk]]:
    """R_N and its parts by transfer (all with `n_labels`), then checkpoint, in nats or squared units of the label.

    Labels come from the stream ("labels", population, seed, replicate) and are common to all checkpoints and adaptations, as are
    the test draws. Risks are exact where the target can be enumerated, and those of linear heads where it is Gaussian and the
    encoder known.

    Args:
        minima: L* of the linear probe on each transfer's target, by checkpoint.
        n_test: test draws, or None for as many as the minimum's bracket has.
    """
    test = HeldOut(batch, seed, n_test)
    found: list[list[LabelledRisk]] = []
    tuned = _tuned_losses(batch, transfers, test, seed)
    for transfer, minimum, tunings in zip(transfers, minima, tuned, strict=True):
        sample = _labels(transfer, seed)
        probe = _probe_losses(batch, transfer, LinearProbe(), sample, test, seed)
        if isinstance(transfer.adaptation, Tuning):
            assert tunings is not None
            losses = tunings
        elif transfer.adaptation == LinearProbe():
            losses = probe
        else:
            losses = _probe_losses(batch, transfer, transfer.adaptation, sample, test, seed)
        floor = transfer.target.bayes_risk()
        found.append([decompose(*parts, floor) for parts in zip(losses, probe, minimum, strict=True)])
    return found


def _labels(transfer: Transfer, seed: int) -> Examples:
    """The N labelled examples of a cell: x (N, ...), y (N,)."""
    population = transfer.adapted_on or transfer.target
    n = transfer.n_labels
    assert n is not None
    stream = generator("labels", fingerprint(population), seed, transfer.replicate)
    if isinstance(population, Pool) and population.finite:
        third = draws(population, "fit", seed, n)
        if n > len(third.x):
            raise ValueError(
                f"measure: n_labels is {n}, but the fit third of {population.instance!r} holds {len(third.x)} examples"
            )
        rows = torch.randperm(len(third.x), generator=stream)[:n]
        return Examples(third.x[rows, 0], third.y[rows])
    drawn = population.views(n, 1, stream)
    return Examples(drawn.x[:, 0], drawn.y)


def _probe_losses(batch: Batch, transfer: Transfer, probe: Probe, labelled: Examples, test: HeldOut, seed: int) -> list[Loss]:
    """Losses of the heads that a probe learns on N labels, by checkpoint."""
    target = transfer.target
    stream = generator("learning", fingerprint(target), seed, transfer.replicate)
    scaled = scaling(batch, transfer, probe, seed)
    z = scaled(batch.features(labelled.x, transfer.depth, transfer.readout))
    head = probe.learn(z, labelled.y, n_classes=target.n_classes, generator=stream)
    if has_exact_risk(batch.spec, transfer) and isinstance(head, SquaredPredictor):
        return _exact(batch, batch.arrays("encoder"), target, head.solution.weight, head.solution.intercept)
    return test.losses(transfer, partial(head.loss, scaled(test.features(transfer))))


def _tuned_losses(batch: Batch, transfers: Sequence[Transfer], test: HeldOut, seed: int) -> list[list[Loss] | None]:
    """Losses of tuned encoders by transfer, then checkpoint; None for probes. Cells of equal shape are tuned together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, transfer in enumerate(transfers):
        if isinstance(transfer.adaptation, Tuning):
            key = (transfer.adaptation, transfer.n_labels, transfer.target.input_dim, transfer.target.n_classes)
            groups.setdefault(key, []).append(index)
    found: list[list[Loss] | None] = [None] * len(transfers)
    for group in groups.values():
        size = max(1, _problems(batch, transfers[group[0]]) // len(batch.checkpoints))
        for start in range(0, len(group), size):
            part = group[start : start + size]
            for index, losses in zip(part, _tuned_together(batch, [transfers[i] for i in part], test, seed), strict=True):
                found[index] = losses
    return found


def _tuned_together(batch: Batch, cells: Sequence[Transfer], test: HeldOut, seed: int) -> list[list[Loss]]:
    """Losses by cell, then checkpoint, of cells that differ in their examples only."""
    adaptation, runs = cells[0].adaptation, len(batch.checkpoints)
    assert isinstance(adaptation, Tuning)
    encoder, states, prepared, stackable = _tunable(batch)
    if not adaptation.reads_encoder:
        states, runs = {name: value[:1] for name, value in states.items()}, 1
    samples = [_labels(cell, seed) for cell in cells]
    x, y = torch.stack([prepared(sample.x) for sample in samples]), torch.stack([sample.y for sample in samples])
    size = min(runs, _problems(batch, cells[0]))
    found: list[list[Loss]] = [[] for _ in cells]
    for start in range(0, runs, size):
        own = {name: value[start : start + size] for name, value in states.items()}
        many = len(next(iter(own.values())))
        with one_thread():
            tuned = adaptation.tune(
                encoder,
                {name: torch.cat([value] * len(cells)) for name, value in own.items()},
                x,
                y,
                n_classes=cells[0].target.n_classes,
                generator=[generator("tuning", fingerprint(c.adapted_on or c.target), seed, c.replicate) for c in cells],
                stackable=stackable,
            )
        for g, cell in enumerate(cells):
            found[g] += _losses_of(batch, tuned.part(g * many, (g + 1) * many), cell, prepared, test)
    return [losses * (len(batch.checkpoints) // runs) for losses in found]


def _problems(batch: Batch, cell: Transfer) -> int:
    """How many problems are tuned together."""
    if batch.spec is None:
        return 1
    assert isinstance(cell.adaptation, Tuning)
    step = batch.spec.encoder.saved_bytes(batch.spec.input_dim()) * cell.adaptation.batch
    return int(max(1, min(PROBLEMS, MEMORY // max(step, 1))))


def _losses_of(batch: Batch, tuned: Tuned, transfer: Transfer, prepared: Callable[[Any], Any], test: HeldOut) -> list[Loss]:
    if has_exact_risk(batch.spec, transfer):
        arrays = {name: value.double().cpu().numpy() for name, value in tuned.states.items()}
        return _exact(batch, arrays, transfer.target, tuned.head.weight, tuned.head.intercept, tuned.status)
    return test.losses(transfer, partial(tuned.loss, prepared(test.x(transfer))), tuned.status)


def _exact(
    batch: Batch, arrays: dict[str, Any], target: Population, weight: Tensor, intercept: Tensor, status: Sequence[str] = ()
) -> list[Loss]:
    """Closed forms for heads weight (E, 1, r), intercept (E, 1) of real labels on encoders with these states (E, ...)."""
    moments = target.moments()
    assert moments is not None
    words = list(status) or ["ok"] * len(weight)
    heads = (value.double().cpu().squeeze(1).numpy() for value in (weight, intercept))
    values = head_loss(exact_embedding(batch, arrays, moments), moments, *heads)
    return [Loss.exact(float("inf") if w == "diverged" else v, w) for v, w in zip(values.tolist(), words, strict=True)]


def _tunable(batch: Batch) -> tuple[nn.Module, dict[str, Tensor], Callable[[Any], Any], bool]:
    """The encoder of a batch, its stacked states, what its inputs are made of, and whether it runs on stacked parameters."""
    spec = batch.spec
    if spec is not None:
        real = spec.encoder.vocabulary is None
        prepared = lambda x: spec.pretext.inputs(x.flatten(1).float() if real else x.flatten(1))  # noqa: E731
        return batch.modules[0].get_submodule("encoder"), batch.state("encoder"), prepared, spec.encoder.stackable
    module = _Embedding(batch.checkpoints[0].embed, batch.modules[0])
    return module, {name: value.unsqueeze(0) for name, value in module.state_dict().items()}, lambda x: x, False


class _Embedding(nn.Module):
    """Somebody else's module under the function that embeds with it."""

    def __init__(self, embed: Callable[[nn.Module, Any], Tensor], module: nn.Module) -> None:
        super().__init__()
        self.embed, self.module = embed, module

    def forward(self, x: Any) -> Tensor:
        return self.embed(self.module, x)
