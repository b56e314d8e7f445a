"""The loss of what was adapted, on the target: a mean over a test sample, or a sum over a target that can be enumerated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from interface.core import fingerprint
from interface.measurement.adaptation import held_out_draws
from interface.measurement.batch import Batch
from interface.measurement.decomposition import Loss
from interface.measurement.transfer import Transfer
from interface.populations import Support


class HeldOut:
    """Targets of labelled cells, drawn or enumerated once each; the features of the latest one are kept while its cells follow.

    Args:
        batch: checkpoints; seed: of the test draws; n_test: how many, or None for as many as a minimum's bracket has.
    """

    def __init__(self, batch: Batch, seed: int, n_test: int | None) -> None:
        self.batch, self.seed, self.n_test = batch, seed, n_test
        self._samples: dict[tuple[Any, ...], tuple[Any, Tensor | Support]] = {}
        self._latest: tuple[Any, Tensor] | None = None

    def x(self, transfer: Transfer) -> Any:
        """Inputs (n, ...) that losses are asked for."""
        return self._sample(transfer)[0]

    def features(self, transfer: Transfer) -> Tensor:
        """(r, n, features) of those inputs."""
        key = self._key(transfer)
        if self._latest is None or self._latest[0] != key:
            self._latest = key, self.batch.features(self.x(transfer), transfer.depth, transfer.readout)
        return self._latest[1]

    def losses(self, transfer: Transfer, loss: Callable[[Tensor], Tensor], status: Sequence[str] = ()) -> list[Loss]:
        """Of each of E problems, in nats or squared units: sampled, or exact where the target is enumerated.

        Args:
            loss: (E, n) losses of the inputs `x` as a function of their labels (n,).
            status: a word a problem; empty is "ok" for all.
        """
        known = self._sample(transfer)[1]
        if isinstance(known, Tensor):
            losses = loss(known)
        else:
            losses = torch.zeros(())
            for c, p in enumerate(known.y.double().mT):
                of_class = loss(torch.full((len(p),), c))
                losses = losses + torch.where(p > 0, p * of_class, 0.0)  # what never happens costs nothing, not 0 * inf
        words = list(status) or ["ok"] * len(losses)
        if isinstance(known, Tensor):
            return [Loss.sampled(each, word) for each, word in zip(losses, words, strict=True)]
        return [Loss.exact(float(each @ known.p.double()), word) for each, word in zip(losses, words, strict=True)]

    def _sample(self, transfer: Transfer) -> tuple[Any, Tensor | Support]:
        key = self._key(transfer)
        if key not in self._samples:
            support = transfer.target.support()
            if support is None:
                drawn = held_out_draws(self.batch, transfer, seed=self.seed, n_test=self.n_test)
                self._samples[key] = drawn.x[:, 0], drawn.y
            else:
                self._samples[key] = support.x, support
        return self._samples[key]

    def _key(self, transfer: Transfer) -> tuple[Any, ...]:
        return fingerprint(transfer.target), transfer.depth, transfer.readout
