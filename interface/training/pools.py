"""The unlabelled data of runs that are trained together, and which of it each step sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from interface.core import fingerprint
from interface.seeds import generator
from interface.training.specification import Pretraining


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
                xs.append(drawn.x.flatten(0, 1))
                ys.append(drawn.y.repeat_interleave(run.views))
        self.x = torch.cat(xs).to(device)
        self.y = torch.cat(ys).to(device)
        self.offset = torch.tensor([offsets[pool_key(run)] for run in runs])
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
