"""Pretraining: all runs of equal shapes together, run axis first; a run's numbers do not depend on its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from interface.checkpoints import Checkpoint
from interface.populations import Examples
from interface.pretexts import Pretext
from interface.threads import one_thread
from interface.training.pools import BLOCK, Draws, pool_key
from interface.training.specification import Pretrained, Pretraining
from interface.training.stack import Stack


def group_key(run: Pretraining) -> tuple[Any, ...]:
    """Runs of equal key have equal shapes and can be trained together."""
    optimizer = replace(run.optimizer, lr=1.0)  # learning rates may differ
    return (run.pretext, run.encoder, run.source.input_dim, run.source.n_classes, optimizer, run.steps)


def pretrain(
    runs: Sequence[Pretraining],
    *,
    device: str = "cpu",
    memory: float = 4e9,
    progress: Callable[[int], None] = lambda steps: None,
) -> Iterator[Checkpoint]:
    """Checkpoints of all runs, run by run within a group; groups are trained one after the other as they are asked for.

    Args:
        runs: what to train. The result of a run does not depend on the others: bit for bit on one machine where its
            sizes are multiples of 16, to round-off elsewhere (kernels treat the ends of arrays differently).
        device: "cpu", "cuda" or any torch device; random numbers are always drawn on the CPU.
        memory: bytes that data and parameters of one group may take; larger groups are split.
        progress: called with the number of run-steps done since the last call.

    Raises:
        ValueError: if two specifications are equal.
    """
    names = [run.run for run in runs]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"pretrain: the run {double} is specified twice; vary its seed or drop one")
    groups: dict[tuple[Any, ...], list[Pretraining]] = {}
    for run in runs:
        groups.setdefault(group_key(run), []).append(run)
    for group in groups.values():
        for part in _parts(sorted(group, key=lambda run: run.optimizer.lr), memory):
            with one_thread():
                trained = _train(part, device, progress)
            yield from trained


def _parts(group: list[Pretraining], memory: float) -> Iterator[list[Pretraining]]:
    """The group cut so that pools, activations, parameters with their optimizer, and kept states fit into `memory`."""
    n_params = sum(p.numel() for p in group[0].build().parameters())
    a_run = 4.0 * n_params * (5 + len(group[0].steps)) + 2.0 * group[0].saved_bytes()
    part: list[Pretraining] = []
    used = 0.0
    pools: set[tuple[str, int, int, int]] = set()
    for run in group:
        pool = 0.0 if pool_key(run) in pools else 4.0 * run.n_unlabelled * run.views * run.source.input_dim
        if part and used + a_run + pool > memory:
            yield part
            part, used, pools = [], 0.0, set()
            pool = 4.0 * run.n_unlabelled * run.views * run.source.input_dim
        pools.add(pool_key(run))
        part.append(run)
        used += a_run + pool
    yield part


def _train(runs: Sequence[Pretraining], device: str, progress: Callable[[int], None]) -> list[Checkpoint]:
    """The checkpoints of one group, run by run."""
    first, last = runs[0], runs[0].steps[-1]
    stack, draws = Stack(runs, device), Draws(runs, device)
    began = time.perf_counter()
    kept: dict[int, list[dict[str, Tensor]]] = {}
    seconds: dict[int, float] = {}
    for step in range(last + 1):
        if step in first.steps:
            kept[step] = stack.states()
            seconds[step] = (time.perf_counter() - began) / len(runs)
        if step == last:
            break
        advance(stack, first.pretext, *draws(step))
        if (step + 1) % BLOCK == 0 or step + 1 == last:
            progress(len(runs) * (step % BLOCK + 1))
    return [
        Checkpoint(
            run=name,
            step=step,
            load=partial(_load, run, states[index]),
            embed=partial(_embed, first.pretext),
            spec=run,
            seconds=seconds[step],
        )
        for index, (run, name) in enumerate(zip(runs, [run.run for run in runs], strict=True))
        for step, states in kept.items()
    ]


def advance(stack: Stack, pretext: Pretext, examples: Examples, noise: Tensor | None) -> None:
    """One training step of every run on examples (r, batch, n_views, d) and the pretext's noise (r, batch, ...)."""
    for piece in stack.pieces:
        part = Examples(examples.x[piece.runs], examples.y[piece.runs])
        views = pretext.view(part, None if noise is None else noise[piece.runs])
        teacher = piece.model.teacher
        if teacher is not None:
            with torch.no_grad():
                views = pretext.labelled(teacher.encoder, teacher.head, views)
        pretext.loss(piece.model.encoder, piece.model.head, views).mean(-1).sum().backward()
        piece.collect()
    stack.update()


def _load(run: Pretraining, state: dict[str, Tensor]) -> Pretrained:
    model = run.build()
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def _embed(pretext: Pretext, model: Pretrained, x: Tensor) -> Tensor:
    return model.encoder(pretext.inputs(x))
