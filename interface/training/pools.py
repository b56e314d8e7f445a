"""The unlabelled data of runs that are trained together, and which of it each step sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from interface.core import fingerprint
from interface.populations import Examples
from interface.seeds import generator
from interface.training.specification import Pretraining

BLOCK = 64  # steps whose batch indices are drawn at once


def pool_key(run: Pretraining) -> tuple[str, int, int, int]:
    """What tells two pools of unlabelled data apart: the stream ("pool", *key) that they are drawn from."""
    return fingerprint(run.source), run.seed, run.n_unlabelled, run.views


class Pools:
    """The unlabelled data of a group, each distinct pool drawn once: x (total, d) view by view, y (total,)."""

    def __init__(self, runs: Sequence[Pretraining], device: str) -> None:
        offsets: dict[tuple[str, int, int, int], int] = {}
        xs, ys, total = [], [], 0
        for run in runs:
            key = pool_key(run)
            if key not in offsets:
                drawn = run.source.views(run.n_unlabelled, run.views, generator("pool", *key))
                offsets[key] = total
                total += run.n_unlabelled * run.views
                x = drawn.x.flatten(0, 1).flatten(1)
                xs.append(x.float() if run.encoder.vocabulary is None else x.long())
                y = drawn.y if len(drawn.y) else torch.zeros(run.n_unlabelled)  # a pool without labels
                ys.append(y.repeat_interleave(run.views))
        self.x = torch.cat(xs).to(device)
        self.y = torch.cat(ys).to(device)
        self.offset = torch.tensor([offsets[pool_key(run)] for run in runs])
        self.bases = torch.tensor([run.n_unlabelled for run in runs])
        self.views = torch.tensor([run.views for run in runs])

    def batches(self, uniform: Tensor, n_views: int) -> Tensor:
        """Rows of x, (r, ..., n_views), from uniforms (r, ..., 3): a base, a view of it, a different view of it."""
        column = lambda values: values.view(-1, *(1,) * (uniform.ndim - 2))  # noqa: E731
        base = (uniform[..., 0] * column(self.bases)).long().clamp_max(column(self.bases) - 1)
        first = (uniform[..., 1] * column(self.views)).long().clamp_max(column(self.views) - 1)
        chosen = [first]
        if n_views == 2:
            others = column(self.views) - 1
            chosen.append((first + 1 + (uniform[..., 2] * others).long().clamp_max(others - 1)) % column(self.views))
        start = column(self.offset) + base * column(self.views)
        return torch.stack([start + view for view in chosen], dim=-1)


class Draws:
    """What each step of a group sees: runs of equal source and seed see the same. Called for step 0, 1, 2, ... in turn."""

    def __init__(self, runs: Sequence[Pretraining], device: str) -> None:
        self.pools, self.device, self.first = Pools(runs, device), device, runs[0]
        keys = [(fingerprint(run.source), run.seed) for run in runs]
        streams = list(dict.fromkeys(keys))
        self.stream_of = torch.tensor([streams.index(key) for key in keys])
        self.batch_streams = [generator("batches", *key) for key in streams]
        self.noise_streams = [generator("noise", self.first.pretext.name, *key) for key in streams]
        self.rows = torch.empty(0)

    def __call__(self, step: int) -> tuple[Examples, Tensor | None]:
        """Examples x (r, batch, n_views, d), y (r, batch), and the pretext's noise (r, batch, ...)."""
        pretext, batch, pools = self.first.pretext, self.first.optimizer.batch, self.pools
        if step % BLOCK == 0:
            uniform = torch.stack([torch.rand(BLOCK, batch, 3, generator=stream) for stream in self.batch_streams])
            self.rows = pools.batches(uniform[self.stream_of], pretext.n_views).transpose(0, 1).contiguous().to(self.device)
        rows = self.rows[step % BLOCK]
        noise = [drawn for s in self.noise_streams if (drawn := pretext.noise(batch, self.first.source.input_dim, s)) is not None]
        x = pools.x.index_select(0, rows.flatten()).view(*rows.shape, -1)
        y = pools.y.index_select(0, rows[..., 0].flatten()).view(rows.shape[:-1])
        return Examples(x, y), torch.stack(noise)[self.stream_of].to(self.device) if noise else None
