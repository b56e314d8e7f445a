"""Pretraining: all runs of equal shapes together, run axis first; a run's numbers do not depend on its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from interface.checkpoints import Checkpoint
from interface.core import fingerprint
from interface.encoders import Encoder, initialise
from interface.populations import Examples, Population
from interface.pretexts import Pretext
from interface.seeds import generator

BLOCK = 64  # steps whose batch indices are drawn at once
LANES = 64  # floats: at least the widest vector register


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) with beta = (.9, .999), eps 1e-8.

    Args:
        lr: learning rate, > 0.
        batch: examples a step, drawn with replacement.
    """

    lr: float = 1e-3
    batch: int = 128

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"Adam: lr is {self.lr!r}; allowed: a number > 0")
        if self.batch < 2:
            raise ValueError(f"Adam: batch is {self.batch!r}; allowed: an integer >= 2")


@dataclass(frozen=True)
class Pretraining:
    """Specification of one pretraining run; its fingerprint names the run.

    Args:
        source: population of the unlabelled data.
        pretext: the task.
        encoder: specification of the encoder.
        n_unlabelled: number of base examples that the run ever sees.
        optimizer: learning rate and batch size.
        steps: training steps at which a checkpoint is kept, increasing; the last is the length of training.
        seed: of the data, the batches and the initialisation. Runs of equal source and seed share batches, whatever
            their pretext, learning rate or size.
        views: random views kept of each base example.

    Raises:
        ValueError: if steps do not increase from >= 0, or there are fewer views than the pretext compares.
    """

    source: Population
    pretext: Pretext
    encoder: Encoder
    n_unlabelled: int
    optimizer: Adam = Adam()
    steps: tuple[int, ...] = (0, 4, 12, 36, 100, 300, 900, 2700)
    seed: int = 0
    views: int = 1

    def __post_init__(self) -> None:
        if not self.steps or self.steps[0] < 0 or any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError(f"Pretraining: steps are {self.steps!r}; allowed: increasing integers >= 0")
        if self.n_unlabelled < 2:
            raise ValueError(f"Pretraining: n_unlabelled is {self.n_unlabelled!r}; allowed: an integer >= 2")
        if self.views < self.pretext.n_views:
            raise ValueError(
                f"Pretraining: views is {self.views}; {self.pretext.name} compares {self.pretext.n_views} views of an example"
            )

    @property
    def run(self) -> str:
        """Name of the run."""
        return fingerprint(self)

    def input_dim(self) -> int:
        """Number of entries of the input that the encoder sees."""
        seen = self.pretext.visible(self.source.input_dim)
        return self.source.input_dim if seen is None else len(seen)

    def build(self) -> Pretrained:
        """The untrained modules, not initialised."""
        head = self.pretext.head(self.source.input_dim, self.encoder.features, self.source.n_classes)
        return Pretrained(self.encoder.build(self.input_dim()), head)

    def flops(self, step: int) -> int:
        """Training flops up to `step`: three forward passes a step, the Kaplan et al. (2020) count."""
        head = self.build().head
        per_head = sum(2 * m.in_features * m.out_features for m in head.modules() if isinstance(m, nn.Linear)) if head else 0
        forward = self.pretext.n_views * (self.encoder.flops(self.input_dim()) + per_head)
        return 3 * forward * self.optimizer.batch * step


class Pretrained(nn.Module):
    """An encoder with the head that it was pretrained with (None where the pretext has none)."""

    def __init__(self, encoder: nn.Module, head: nn.Module | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head


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
        pool = 0.0 if _pool_key(run) in pools else 4.0 * run.n_unlabelled * run.views * run.source.input_dim
        if part and used + activations + pool > memory:
            yield part
            part, used, pools = [], 0.0, set()
        pools.add(_pool_key(run))
        part.append(run)
        used += activations + pool
    yield part


def _pool_key(run: Pretraining) -> tuple[str, int, int, int]:
    return fingerprint(run.source), run.seed, run.n_unlabelled, run.views


class _Pools:
    """The unlabelled data of a group, each distinct pool drawn once: x (total, d) view by view, y (total,)."""

    def __init__(self, runs: Sequence[Pretraining], device: str) -> None:
        offsets: dict[tuple[str, int, int, int], int] = {}
        xs, ys, total = [], [], 0
        for run in runs:
            key = _pool_key(run)
            if key not in offsets:
                drawn = run.source.views(run.n_unlabelled, run.views, generator("pool", *key))
                offsets[key] = total
                total += run.n_unlabelled * run.views
                xs.append(drawn.x.flatten(0, 1))
                ys.append(drawn.y.repeat_interleave(run.views))
        self.x = torch.cat(xs).to(device)
        self.y = torch.cat(ys).to(device)
        self.offset = torch.tensor([offsets[_pool_key(run)] for run in runs])
        self.bases = torch.tensor([run.n_unlabelled for run in runs])
        self.views = torch.tensor([run.views for run in runs])

    def batches(self, uniform: Tensor, n_views: int) -> Tensor:
        """Rows of x, (r, batch, n_views), from uniforms (r, batch, 3): a base, a view of it, a different view of it."""
        column = lambda values: values.unsqueeze(1)  # noqa: E731
        base = (uniform[..., 0] * column(self.bases)).long().clamp_max(column(self.bases) - 1)
        first = (uniform[..., 1] * column(self.views)).long().clamp_max(column(self.views) - 1)
        chosen = [first]
        if n_views == 2:
            others = column(self.views) - 1
            chosen.append((first + 1 + (uniform[..., 2] * others).long().clamp_max(others - 1)) % column(self.views))
        start = column(self.offset) + base * column(self.views)
        return torch.stack([start + view for view in chosen], dim=-1)


class _Stack:
    """Parameters of all runs, run axis first, in one buffer with one row a run, and the optimizer that moves them.

    Rows are padded to whole vector registers: a kernel computes the odd elements at the end of an array with other
    instructions, and which elements those are must not depend on a run's place among its neighbours.
    """

    def __init__(self, runs: Sequence[Pretraining], device: str) -> None:
        states = [_initial_state(run) for run in runs]
        shapes = {name: value.shape for name, value in states[0].items()}
        starts, length = {}, 0
        for name, shape in shapes.items():
            starts[name] = length
            length += -(-shape.numel() // LANES) * LANES
        values, gradients = (torch.zeros(len(runs), length, device=device) for _ in range(2))

        def part(buffer: Tensor, name: str) -> Tensor:
            return buffer[:, starts[name] : starts[name] + shapes[name].numel()].view(-1, *shapes[name])

        for name in shapes:
            part(values, name).copy_(torch.stack([state[name] for state in states]))
        self.parameters = {name: part(values, name).detach().requires_grad_() for name in shapes}
        self.gradients = [part(gradients, name) for name in shapes]
        lrs = [run.optimizer.lr for run in runs]  # sorted: one block of rows a learning rate
        cuts = [i for i in range(len(lrs)) if i == 0 or lrs[i] != lrs[i - 1]]
        blocks = []
        for start, stop in zip(cuts, [*cuts[1:], len(lrs)], strict=True):
            rows = values[start:stop]
            rows.grad = gradients[start:stop]
            blocks.append({"params": [rows], "lr": lrs[start]})
        self.optimizer = torch.optim.Adam(blocks, fused=True)

    def update(self) -> None:
        """One step of the optimizer along the gradients that `backward` has left."""
        found = [value.grad for value in self.parameters.values()]
        torch._foreach_copy_(self.gradients, [gradient for gradient in found if gradient is not None])
        self.optimizer.step()
        for value in self.parameters.values():
            value.grad = None


def _initial_state(run: Pretraining) -> dict[str, Tensor]:
    """Equal sources, encoders and seeds start from equal encoders."""
    model = run.build()
    key = (fingerprint(run.source), run.seed, run.encoder.name)
    initialise(model.encoder, generator("encoder", *key))
    if model.head is not None:
        initialise(model.head, generator("head", *key, run.pretext.name))
    return model.state_dict()


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
    pools = _Pools(runs, device)
    stack = _Stack(runs, device)
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
