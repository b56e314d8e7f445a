"""InfoNCE: pick out the other view of an example among the views of a batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from interface.convex import minimize
from interface.core import Bracket
from interface.populations import Examples
from interface.pretexts._base import BATCH, Embed, Pairs, Pretext, decoder, whole_batches
from interface.pretexts._profiles import held_out_bracket, whitening

N_BATCHES = 24
COLDEST = 0.02
TEMPERATURE = 0.2
PROFILE_TOLERANCE = 1e-5  # nats: estimated decrement at which the bilinear critic counts as fitted


@dataclass(frozen=True)
class InfoNCE(Pretext):
    """Symmetric InfoNCE of cosine similarities over the batch, in nats per example; ln(batch) is chance.

    Trained through a small projection (features -> features -> 32, ReLU) at one temperature. Evaluated at temperature .2 and
    on batches of 128, each the independent unit. Profiled over bilinear critics z'Wz+ on whitened features, a class that
    does not hold the training head: raw and profiled losses are not ordered.

    Source: van den Oord, Li, Vinyals, "Representation learning with contrastive predictive coding", 2018,
    arXiv:1807.03748, eq. (4); symmetric and with in-batch negatives as Chen et al., "SimCLR", ICML 2020.

    Args:
        temperature: divides the cosine similarities, >= 0.02, so that their exponentials stay within float32.
        projection: dimension of the space in which cosines are taken.
    """

    temperature: float = TEMPERATURE
    projection: int = 32

    n_views: ClassVar[int] = 2
    unit: ClassVar[str] = "nats"
    n_evaluation: ClassVar[int] = BATCH * N_BATCHES
    unit_size: ClassVar[int] = BATCH

    @property
    def canonical(self) -> Self:
        return replace(self, temperature=TEMPERATURE)

    @property
    def profile_class_differs(self) -> bool:
        return True

    def __post_init__(self) -> None:
        if not self.temperature >= COLDEST:
            raise ValueError(f"InfoNCE: temperature is {self.temperature!r}; allowed: a number >= {COLDEST}")

    def view(self, examples: Examples, noise: Tensor | None) -> Pairs:
        return Pairs(examples.x[..., 0, :], examples.x[..., 1, :])

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        return decoder(features, features, self.projection)

    def loss(self, embed: Embed, head: Embed | None, views: Pairs) -> Tensor:
        assert head is not None
        a, b = (nn.functional.normalize(head(embed(x)), dim=-1) for x in views)
        return _cosine_loss(a, b, self.temperature)

    def evaluate(self, embed: Embed, head: Embed | None, views: Pairs) -> Tensor:
        """Mean loss of each batch of 128, (..., batches)."""
        return _cosine_loss(*_unit_batches(embed, head, views), TEMPERATURE).mean(-1)

    def logits(self, embed: Embed, head: Embed | None, views: Pairs) -> tuple[Tensor, Tensor]:
        """Both directions (r, batches, 2, 128, 128) of each batch; the match of each example has its own index."""
        a, b = _unit_batches(embed, head, views)
        similarity = a @ b.mT / TEMPERATURE
        return torch.stack([similarity, similarity.mT], dim=-3), torch.arange(BATCH, device=a.device)

    def profile(self, embed: Embed, fit: Pairs, test: Pairs) -> list[Bracket]:
        """Infimum over W of the loss with similarities z'W z+: convex, fitted by L-BFGS on the fit batches."""
        fit, test = whole_batches(fit), whole_batches(test)
        first, second = embed(fit.first), embed(fit.second)
        mean, whiten = whitening(first)
        a, b = (((z - mean) @ whiten).unflatten(-2, (-1, BATCH)) for z in (first, second))
        runs, features = len(a), a.shape[-1]

        def value_and_gradient(critic: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
            return _critic_loss(a[active], b[active], critic)

        start = torch.zeros(runs, features, features)
        fitted = minimize(value_and_gradient, start, tolerance=PROFILE_TOLERANCE, max_iter=200)
        c, d = (((embed(x) - mean) @ whiten).unflatten(-2, (-1, BATCH)) for x in test)
        low, high = (
            torch.cat([_symmetric_cross_entropy(p[r] @ fitted.x[r] @ q[r].mT).mean(-1).unsqueeze(0) for r in range(runs)])
            for p, q in ((a, b), (c, d))
        )
        status = ["ok" if done else "not_converged" for done in fitted.converged.tolist()]
        return held_out_bracket(low, high, np.zeros(runs), status)


def _unit_batches(embed: Embed, head: Embed | None, views: Pairs) -> tuple[Tensor, Tensor]:
    """Unit vectors (..., batches, 128, projection) of both views."""
    assert head is not None
    a, b = (nn.functional.normalize(head(embed(x)), dim=-1).unflatten(-2, (-1, BATCH)) for x in whole_batches(views))
    return a, b


def _cosine_loss(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """(..., n) from unit vectors: similarities are bounded, so one exponential serves both directions."""
    similarity = a @ b.mT / temperature
    weight = similarity.exp()
    return 0.5 * (weight.sum(-1).log() + weight.sum(-2).log()) - similarity.diagonal(dim1=-2, dim2=-1)


def _symmetric_cross_entropy(similarity: Tensor) -> Tensor:
    """(..., n, n) -> (..., n): mean of the two directions of picking the diagonal."""
    match = similarity.diagonal(dim1=-2, dim2=-1)
    return 0.5 * (similarity.logsumexp(-1) + similarity.logsumexp(-2)) - match


def _critic_loss(a: Tensor, b: Tensor, critic: Tensor) -> tuple[Tensor, Tensor]:
    """Mean loss (r,) and its gradient (r, k, k) of bilinear critics on batches a, b (r, batches, n, k)."""
    values, gradients = [], []
    for p, q, w in zip(a, b, critic, strict=True):
        similarity = p @ w @ q.mT
        rows, columns = similarity.logsumexp(-1, keepdim=True), similarity.logsumexp(-2, keepdim=True)
        match = similarity.diagonal(dim1=-2, dim2=-1)
        values.append((0.5 * (rows.squeeze(-1) + columns.squeeze(-2)) - match).mean())
        residual = 0.5 * ((similarity - rows).exp() + (similarity - columns).exp())
        residual.diagonal(dim1=-2, dim2=-1).sub_(1)
        gradients.append((p.mT @ residual @ q).sum(0) / match.numel())
    return torch.stack(values), torch.stack(gradients)
