"""`measure`: Checkpoints x Transfers -> Rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from interface.checkpoints import Checkpoint
from interface.core import Bracket, Estimate, Row, Shift, fingerprint, specification
from interface.measurement.adaptation import adaptation_losses, has_one_value
from interface.measurement.batch import Batch, batches
from interface.measurement.covariance import loss_arrays
from interface.measurement.decomposition import LabelledRisk
from interface.measurement.divergence import diverged, marked, with_stand_ins
from interface.measurement.exact_band import exact_bands, has_band
from interface.measurement.labelled import labelled_risks
from interface.measurement.pretraining import (
    PretrainingLoss,
    check_draws,
    has_calibrated,
    has_exact_loss,
    has_excess,
    pretraining_losses,
    ratio_loss,
)
from interface.measurement.transfer import Transfer
from interface.populations import Pool, Population
from interface.pretexts import Pretext
from interface.provenance import code_digest
from interface.training import Pretraining

COST_ROWS = ("flops", "train_s", "measure_s")
LABELLED_ROWS = ("l_adapt", "adapt_excess", "adapt_representation", "adapt_generalisation", "adapt_optimisation")
BRACKET_ROWS = ("l_adapt", "l_adapt_low", "l_adapt_high", "l_adapt_lcb", "l_adapt_ucb", "l_adapt_gap")
Arrays = Callable[[str, Mapping[str, np.ndarray]], None]
PreLoss = Callable[[nn.Module], tuple[Tensor, Tensor]]


def measure(
    checkpoints: Sequence[Checkpoint],
    transfers: Sequence[Transfer],
    *,
    pre_loss: PreLoss | None = None,
    pre_unit: str = "nats",
    n_pre: int | None = None,
    n_fit: int | None = None,
    n_test: int | None = None,
    device: str = "cpu",
    batch_size: int = 512,
    seed: int = 0,
    arrays: Arrays | None = None,
) -> Iterator[Row]:
    """Rows of every checkpoint: its pretraining loss, and the bracket on its minimal adaptation loss on every target.

    Draws are common to all checkpoints: streams ("pre", source, seed), ("fit" | "test", target, seed) and ("labels", population,
    seed, replicate), independent of each other. A finite `Pool` is cut into disjoint thirds. A cell with `n_labels` gives the risk
    after that many labels and its parts, see `LabelledRisk`, in place of a bracket.

    Args:
        checkpoints: ours from `pretrain`, or a user's from `from_states` and its like.
        transfers: the cells to evaluate, the same for all checkpoints.
        pre_loss: for checkpoints that were not trained here: module -> (nats (n,), counts (n,)), one entry an
            independent unit; the loss is their ratio. None: no pretraining loss is recorded for them.
        pre_unit: unit of `pre_loss`, such as "nats/token".
        n_pre: examples in each half of a sampled pretraining loss, whole units of the pretext; by default its own number.
        n_fit, n_test: draws on the two sides of a bracket; by default 25 a free parameter of the probe.
        device: where modules are evaluated.
        batch_size: examples embedded at once by modules that were not trained here.
        seed: of the evaluation draws.
        arrays: called with a run's name and what of it fits no row: "step" (s,) and "l_pre_covariance" (s, s) of the sampled
            losses of its checkpoints that did not diverge (see `loss_covariance`); e.g. to `write_arrays` them.

    Yields:
        Row: checkpoint by checkpoint within a batch of equal architecture; how many, `n_rows` says beforehand.
            Those of a checkpoint that diverged hold nan, with the status "diverged".

    Raises:
        ValueError: if there is nothing to measure, two transfers are equal, a target has no labels, n_pre is not whole units of a
            pretext, or features are not finite.
    """
    if not checkpoints:
        raise ValueError("measure: checkpoints is empty; give at least one")
    keys = [transfer.key() for transfer in transfers]
    if len(set(keys)) < len(keys):
        raise ValueError(
            "measure: two transfers ask for the same cell (adapted_on is no part of it); drop one or number the replicates"
        )
    for transfer in transfers:
        if isinstance(transfer.target, Pool) and not transfer.target.labelled:
            raise ValueError(f"measure: the target {transfer.target.instance!r} has no labels; give its Pool a y to adapt to")
    for checkpoint in checkpoints:
        if checkpoint.spec is not None:
            check_draws(checkpoint.spec, n_pre)
    for batch in batches(checkpoints, device=device, batch_size=batch_size):
        lost = diverged(batch)
        without = {(c.run, c.step) for c, bad in zip(batch.checkpoints, lost, strict=True) if bad}
        keep = None if arrays is None else partial(_emit, arrays, without)
        for row in _measured(with_stand_ins(batch, lost), transfers, pre_loss, pre_unit, n_pre, n_fit, n_test, seed, keep):
            yield marked(row, (row.run, row.step) in without)


def n_rows(spec: Pretraining, transfers: Sequence[Transfer]) -> int:
    """Number of rows that `measure` will give for all checkpoints of this run."""
    # raw, profiled, excess; or raw, profiled, its low and high, and what else is known
    of_pretraining = 3 if has_exact_loss(spec) else 4 + has_excess(spec) + has_calibrated(spec)
    cells = sum(_cell_rows(spec, transfer) for transfer in transfers)
    ranges = 2 * sum(has_band(spec, transfer) for transfer in transfers)
    floors = sum(transfer.target.bayes_risk() is not None for transfer in transfers)
    return len(spec.steps) * (of_pretraining + cells + ranges + len(COST_ROWS)) + floors


def _cell_rows(spec: Pretraining, transfer: Transfer) -> int:
    if transfer.n_labels is not None:
        return len(LABELLED_ROWS)
    return 1 if has_one_value(spec, transfer) else len(BRACKET_ROWS)


def _measured(
    batch: Batch,
    transfers: Sequence[Transfer],
    pre_loss: PreLoss | None,
    pre_unit: str,
    n_pre: int | None,
    n_fit: int | None,
    n_test: int | None,
    seed: int,
    keep: Callable[[Sequence[Checkpoint], Sequence[PretrainingLoss]], None] | None,
) -> Iterator[Row]:
    began, spec = time.perf_counter(), batch.spec
    losses = [] if spec is None else pretraining_losses(batch, seed=seed, n=n_pre)
    if spec is not None and keep is not None:
        keep(batch.checkpoints, losses)
    minima = adaptation_losses(batch, [transfer.minimum() for transfer in transfers], seed=seed, n_fit=n_fit, n_test=n_test)
    counted = [i for i, transfer in enumerate(transfers) if transfer.n_labels is not None]
    risks = labelled_risks(batch, [transfers[i] for i in counted], [minima[i] for i in counted], seed=seed, n_test=n_test)
    adapted: list[Sequence[Estimate | Bracket | LabelledRisk]] = list(minima)
    for i, risk in zip(counted, risks, strict=True):
        adapted[i] = risk
    allowed = [exact_bands(spec, t, losses) if spec is not None and has_band(spec, t) else None for t in transfers]
    seconds = (time.perf_counter() - began) / len(batch.checkpoints)

    cells = [_cell_columns(transfer, None if spec is None else spec.source) for transfer in transfers]
    floors = [transfer.target.bayes_risk() for transfer in transfers]
    for index, checkpoint in enumerate(batch.checkpoints):
        shared = _checkpoint_columns(checkpoint, batch.device)
        if spec is not None:
            yield from _pretraining_rows(shared, spec.pretext, losses[index])
        elif pre_loss is not None:
            yield _row(shared, "l_pre", ratio_loss(pre_loss, batch.modules[index]), unit=pre_unit)
        for cell, by_checkpoint, ends, floor in zip(cells, adapted, allowed, floors, strict=True):
            columns = {**shared, **cell}
            yield from _adaptation_rows(columns, by_checkpoint[index])
            if ends is not None:
                yield _row(columns, "l_adapt_band_low", ends[index][0])
                yield _row(columns, "l_adapt_band_high", ends[index][1])
            if floor is not None and (spec is None or checkpoint.step == spec.steps[0]):
                yield _row(columns, "l_adapt_bayes", floor)  # a fact of the cell: once a run, not once a checkpoint
        yield from _cost_rows(shared, checkpoint, seconds)


def _emit(
    arrays: Arrays, without: set[tuple[str, int]], checkpoints: Sequence[Checkpoint], losses: Sequence[PretrainingLoss]
) -> None:
    """Hands out the covariances of the runs of one batch, but for checkpoints that diverged."""
    kept = [(c, loss) for c, loss in zip(checkpoints, losses, strict=True) if (c.run, c.step) not in without]
    for run, found in loss_arrays([c for c, _ in kept], [loss for _, loss in kept]).items():
        arrays(run, found)


def _checkpoint_columns(checkpoint: Checkpoint, device: str) -> dict[str, Any]:
    """Everything that a row says about the checkpoint itself."""
    columns: dict[str, Any] = {"run": checkpoint.run, "step": checkpoint.step, "code": code_digest(), "device": device}
    spec = checkpoint.spec
    if spec is not None:
        columns |= {
            "instance": spec.source.instance,
            "seed": spec.seed,
            "source": source_name(spec.source),
            "pretext": spec.pretext.name,
            "encoder": spec.encoder.name,
            "n_params": spec.encoder.n_params(spec.input_dim()),
            "n_unlabelled": spec.n_unlabelled,
            "views": spec.views,
            "lr": spec.optimizer.lr,
            "optimizer": type(spec.optimizer).__name__,
            "batch": spec.optimizer.batch,
            "spec": json.dumps(specification(spec), sort_keys=True),
        }
    elif remarks := checkpoint.remarks():
        columns["spec"] = json.dumps(specification(remarks), sort_keys=True)
    return columns | checkpoint.columns()


def source_name(source: Population) -> str:
    """The family that runs are compared within: the world's name, or the pool's, with the shift that the source itself has."""
    name = source.name if isinstance(source, Pool) else type(source).__name__
    shift = source.applied
    return name if shift.name == "none" else f"{name}+{shift.name}" + (f" {shift.strength:g}" if shift.strength != 1 else "")


def relative_shift(source: Population | None, target: Population) -> Shift:
    """What separates the target from the source: the target's own shift, none if they are one, "from <shift>" if the source moved.

    A source that is itself shifted is at a distance from every other target; between two different shifts the kind is "mixed".
    """
    if source is None or source.applied.name == "none":
        return target.applied
    if fingerprint(source) == fingerprint(target):
        return Shift()
    if target.applied.name == "none":
        return Shift(f"from {source.applied.name}", source.applied.strength, source.applied.kind)
    return Shift(f"{target.applied.name} from {source.applied.name}", 1.0, "mixed")


def _cell_columns(transfer: Transfer, source: Population | None) -> dict[str, Any]:
    """Everything that a row says about the target and the adaptation."""
    applied = relative_shift(source, transfer.target)
    return {
        "target": fingerprint(transfer.target),
        "shift": applied.name,
        "shift_kind": applied.kind,
        "strength": applied.strength,
        "adaptation": transfer.adaptation.name,
        "n_labels": transfer.n_labels,
        "depth": transfer.depth,
        "readout": transfer.readout,
        "replicate": transfer.replicate,
        "unit": "squared" if transfer.target.n_classes is None else "nats",
    }


def _row(columns: dict[str, Any], quantity: str, value: Estimate, **more: Any) -> Row:
    return Row(
        **{**columns, **more},
        quantity=quantity,
        value=float(value),
        stderr=value.stderr,
        n=value.n,
        how=value.how,
        status=value.status,
    )


def _pretraining_rows(columns: dict[str, Any], pretext: Pretext, loss: PretrainingLoss) -> Iterator[Row]:
    columns = {**columns, "unit": pretext.unit}
    if loss.raw is not None:
        yield _row(columns, "l_pre", loss.raw)
    if isinstance(loss.profiled, Bracket):
        middle = loss.profiled.midpoint()
        if middle.status == "ok" and pretext.profile_class_differs:
            middle = Estimate(middle, stderr=middle.stderr, how=middle.how, n=middle.n, status="profile_class_differs")
        yield _row(columns, "l_pre_profiled", middle)
        yield _row(columns, "l_pre_profiled_low", loss.profiled.low)
        yield _row(columns, "l_pre_profiled_high", loss.profiled.high)
    else:
        yield _row(columns, "l_pre_profiled", loss.profiled)
    for quantity, value in (("l_pre_excess", loss.excess), ("l_pre_calibrated", loss.calibrated)):
        if value is not None:
            yield _row(columns, quantity, value)


def _adaptation_rows(columns: dict[str, Any], found: Estimate | Bracket | LabelledRisk) -> Iterator[Row]:
    if isinstance(found, Estimate):
        yield _row(columns, "l_adapt", found)
        return
    if isinstance(found, LabelledRisk):
        for quantity, part in zip(LABELLED_ROWS, found, strict=True):
            yield _row(columns, quantity, part)
        return
    lower, upper = found.interval()
    limit = "ok" if found.certified else "approximate"
    n = found.low.n
    yield _row(columns, "l_adapt", found.midpoint())
    yield _row(columns, "l_adapt_low", found.low)
    yield _row(columns, "l_adapt_high", found.high)
    yield _row(columns, "l_adapt_lcb", Estimate(lower, how="held_out", n=n, status=limit))
    yield _row(columns, "l_adapt_ucb", Estimate(upper, how="held_out", n=found.high.n, status="approximate"))
    gap_status = "ok" if found.solved else "not_converged"
    yield _row(columns, "l_adapt_gap", Estimate(found.gap, how="exact", n=n, status=gap_status))


def _cost_rows(columns: dict[str, Any], checkpoint: Checkpoint, seconds: float) -> Iterator[Row]:
    if checkpoint.spec is not None:
        yield _row(columns, "flops", Estimate(checkpoint.spec.flops(checkpoint.step), how="exact"), unit="flop")
    if checkpoint.seconds is not None:
        yield _row(columns, "train_s", Estimate(checkpoint.seconds, how="plug_in"), unit="s")
    yield _row(columns, "measure_s", Estimate(seconds, how="plug_in"), unit="s")
