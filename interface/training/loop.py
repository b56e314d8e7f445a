"""Pretraining: all runs of equal shapes together, run axis first; a run's numbers do not depend on its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from interface.checkpoints import Checkpoint
from interface.core import fingerprint
from interface.populations import Examples
from interface.pretexts import Pretext
from interface.seeds import generator
from interface.training.pools import Pools, pool_key
from interface.training.specification import Pretrained, Pretraining
from interface.training.stack import Stack

BLOCK = 64  # steps whose batch indices are drawn at once


def group_key(run: Pretraining) -> tuple[Any, ...]:
    """Runs of equal key have equal shapes and can be trained together."""
    return (run.pretext, run.encoder, run.source.input_dim, run.source.n_classes, run.optimizer.batch, run.steps)


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
    """The group cut so that data pools and activations fit into `memory`."""
    part: list[Pretraining] = []
    used = 0.0
    pools: set[tuple[str, int, int, int]] = set()
    for run in group:
        activations = 40.0 * run.optimizer.batch * run.source.input_dim * run.pretext.n_views
        pool = 0.0 if pool_key(run) in pools else 4.0 * run.n_unlabelled * run.views * run.source.input_dim
        if part and used + activations + pool > memory:
            yield part
            part, used, pools = [], 0.0, set()
        pools.add(pool_key(run))
        part.append(run)
        used += activations + pool
    yield part


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread inside: on models this small several are slower, and the last bits must not depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(runs: Sequence[Pretraining], device: str, progress: Callable[[int], None]) -> list[Checkpoint]:
    """The checkpoints of one group, run by run."""
    first = runs[0]
    pretext, batch, n_views, last = first.pretext, first.optimizer.batch, first.pretext.n_views, first.steps[-1]
    template = first.build()
    pools = Pools(runs, device)
    stack = Stack(runs, device)
    parameters = stack.parameters

    streams = list(dict.fromkeys((fingerprint(run.source), run.seed) for run in runs))
    stream_of = torch.tensor([streams.index((fingerprint(run.source), run.seed)) for run in runs])
    batch_streams = [generator("batches", *stream) for stream in streams]
    noise_streams = [generator("noise", pretext.name, *stream) for stream in streams]

    embed = _functional(template.encoder, parameters, "encoder.")
    head = None if template.head is None else _functional(template.head, parameters, "head.")
    began = time.perf_counter()
    kept: dict[int, dict[str, Tensor]] = {}
    seconds: dict[int, float] = {}
    for step in range(last + 1):
        if step in first.steps:
            kept[step] = {name: value.detach().to("cpu", copy=True) for name, value in parameters.items()}
            seconds[step] = (time.perf_counter() - began) / len(runs)
        if step == last:
            break
        if step % BLOCK == 0:
            uniform = torch.stack([torch.rand(BLOCK, batch, 3, generator=stream) for stream in batch_streams])
        rows = pools.batches(uniform[stream_of, step % BLOCK], n_views).to(device)
        noise = [drawn for s in noise_streams if (drawn := pretext.noise(batch, first.source.input_dim, s)) is not None]
        drawn = torch.stack(noise)[stream_of].to(device) if noise else None
        x = pools.x.index_select(0, rows.flatten()).view(*rows.shape, -1)
        examples = Examples(x, pools.y[rows[..., 0]])
        losses = pretext.loss(embed, head, pretext.view(examples, drawn))
        losses.mean(-1).sum().backward()
        stack.update()
        if (step + 1) % BLOCK == 0 or step + 1 == last:
            progress(len(runs) * (step % BLOCK + 1))

    return [
        Checkpoint(
            run=name,
            step=step,
            load=partial(_load, run, {key: value[index] for key, value in state.items()}),
            embed=partial(_embed, pretext),
            spec=run,
            seconds=seconds[step],
        )
        for index, (run, name) in enumerate(zip(runs, [run.run for run in runs], strict=True))
        for step, state in kept.items()
    ]


def _load(run: Pretraining, state: dict[str, Tensor]) -> Pretrained:
    model = run.build()
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def _embed(pretext: Pretext, model: Pretrained, x: Tensor) -> Tensor:
    return model.encoder(pretext.inputs(x))


def _functional(module: nn.Module, parameters: dict[str, Tensor], prefix: str) -> Callable[[Tensor], Tensor]:
    """The module as a function of x at those of the stacked parameters that bear its prefix."""
    own = {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}
    return lambda x: functional_call(module, own, (x,))
