"""A linear head plus one hidden layer: a wider family whose best member nobody can prove to be found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interface.adaptations._base import Labelled, Probe, Soft, upper_only
from interface.adaptations._heads import ClassPredictor, ValuePredictor
from interface.adaptations._penalised import penalised_squares
from interface.adaptations._samples import checked, is_real, is_single, problem, values_of
from interface.convex import SoftmaxFit, SquaredFit
from interface.convex._base import as_features, as_tensor, part_of
from interface.convex._steady import smoothed, standardised_softmax
from interface.core import Bracket
from interface.seeds import generator as stream

HELD = 5  # every fifth row chooses the step; the others are trained on
EPS = 1e-5  # of Adam: at a linear minimum gradients are round-off, which a smaller number would blow up to whole steps
EVERY = 10  # steps between two looks at the held rows
Network = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # W (E, C, d), b (E, C), U (E, h, d), c (E, h), V (E, C, h)


@dataclass(frozen=True)
class HiddenClasses(ClassPredictor):
    """Class probabilities softmax(W z + b + V relu(U z + c)) on features standardised by `mean` and `scale`.

    Args:
        network: W, b, U, c, V; mean, scale: (1|E, d); single: whether it was fitted on features (n, d).
    """

    network: Network
    mean: Tensor
    scale: Tensor
    single: bool = False

    @property
    def size(self) -> tuple[int, int, int]:
        heads, classes, d = self.network[0].shape
        return heads, classes, d

    def logits(self, x: Tensor, e: int) -> Tensor:
        """(C, n) in float64."""
        return _of_one(self.network, self.mean, self.scale, x, e)


@dataclass(frozen=True)
class HiddenValues(ValuePredictor):
    """Real predictions W z + b + V relu(U z + c) on features standardised by `mean` and `scale`; fields as `HiddenClasses`."""

    network: Network
    mean: Tensor
    scale: Tensor
    single: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return len(self.network[0]), self.network[0].shape[2]

    def values(self, x: Tensor, e: int) -> Tensor:
        """(n,) in float64."""
        return _of_one(self.network, self.mean, self.scale, x, e)[0]


@dataclass(frozen=True)
class MLPProbe(Probe):
    """W z + b + V relu(U z + c) with `hidden` relu units; contains all linear probes. L* is invariant to invertible affine maps.

    The problem is not convex, so that only an upper side is reported. The search starts at a slightly penalised linear head with
    V = 0, goes on by Adam on four fifths of the rows, and returns the step of least loss on the others, which may be the start.

    Args:
        hidden: relu units, >= 1; steps: of Adam on the whole sample, >= 0; lr: its learning rate, > 0.

    Raises:
        ValueError: if a number is outside its range.
    """

    hidden: int = 32
    steps: int = 200
    lr: float = 0.01

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.steps < 0 or not 0 < self.lr < math.inf:
            raise ValueError(f"MLPProbe: hidden, steps, lr are {self.hidden}, {self.steps}, {self.lr}; allowed: >= 1, >= 0, > 0")

    def n_parameters(self, d: int, n_classes: int | None) -> int:
        outputs = 1 if n_classes is None else n_classes - 1
        return (d + 1) * outputs + (d + 1 + outputs) * self.hidden

    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> HiddenClasses | HiddenValues:
        """The head of least loss on a fifth of the sample that a search on the rest met, not the empirical minimiser.

        Args:
            features, labels, n_classes: as `LinearProbe.fit`. No class costs infinitely much: training starts from smoothed labels.
            generator: of the hidden layer's initial weights, shared by all E problems; by default a fixed stream.

        Raises:
            ValueError: if there are fewer than two rows, shapes disagree, features are not finite or labels out of range.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        n, single = x.shape[1], is_single(features, y)
        if n < 2:
            raise ValueError(f"features have {n} row; MLPProbe needs at least 2")
        real = is_real(y, n, n_classes)
        target = values_of(y, n).unsqueeze(2) if real else smoothed(y, n, n_classes)
        target = target.to(x.device)
        held = torch.arange(n, device=x.device) % HELD == HELD - 1
        x = x.double()
        mean, scale = x[:, ~held].mean(1), x[:, ~held].std(1, correction=0)
        scale = torch.where(scale > 0, scale, 1.0)
        z = (x - mean.unsqueeze(1)) / scale.unsqueeze(1)
        first = torch.randn(self.hidden, x.shape[2] + 1, generator=generator or stream("mlp probe", self.hidden)).to(x.device)
        problems = max(len(x), len(target))
        parts = [  # one at a time: in float32 a batch's round-off would reach each of its problems, and cost no less
            self._searched(part_of(z, index), part_of(target, index), held, first, real)
            for index in torch.arange(problems, device=x.device).split(1)
        ]
        w, b, u, c, v = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return (HiddenValues if real else HiddenClasses)((w, b, u, c, v), mean, scale, single)

    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Upper sides: the test loss of the head found. `low` is a floor only, with status "no_lower_side", see `upper_only`.

        Arguments and errors as `LinearProbe.brackets`.

        Example:
            >>> x = torch.randn(2, 400, 2, generator=torch.Generator().manual_seed(0))
            >>> y = (x.prod(2) > 0).long()
            >>> bracket = MLPProbe().bracket((x[0], y[0]), (x[1], y[1]))
            >>> bracket.status, bracket.high < 0.6
            ('no_lower_side', True)
        """
        samples = checked(fit, test, soft, n_classes)
        return upper_only(self.fit(samples.x_fit, samples.y_fit, n_classes=samples.n_classes), samples)

    def _searched(self, z: Tensor, target: Tensor, held: Tensor, first: Tensor, real: bool) -> Network:
        """The network of one problem: z (1, n, d) and target (1, n, C)."""
        ridge = 1 / int((~held).sum())
        start: SoftmaxFit | SquaredFit
        centre, unit = torch.zeros_like(target[:, :1]), torch.ones_like(target[:, :1])
        if real:  # outputs in units of the label's spread, whatever its scale and offset
            centre, spread = target.mean(1, keepdim=True), target.std(1, keepdim=True, correction=0)
            unit = torch.where(spread > 0, spread, 1.0)
            target = (target - centre) / unit
            start = penalised_squares(z[:, ~held], target[:, ~held, 0], ridge=ridge)
        else:
            start = standardised_softmax(z[:, ~held], target[:, ~held], ridge=ridge)
        hidden, zeros = first.unsqueeze(0), first.new_zeros(1, target.shape[2], self.hidden)
        network = [start.weight, start.intercept, hidden[..., :-1] / z.shape[2] ** 0.5, hidden[..., -1], zeros]
        network = [part.float().clone().requires_grad_() for part in network]
        z, target = z.float(), target.float()
        learnt, judged = (z[:, ~held], target[:, ~held]), (z[:, held], target[:, held])
        best = [part.detach().clone() for part in network]
        least = math.inf
        optimizer = torch.optim.Adam(network, lr=self.lr, eps=EPS)
        with torch.enable_grad():
            for step in range(self.steps + 1):
                if step % EVERY == 0 and bool(held.any()):
                    with torch.no_grad():
                        found = float(_loss(network, *judged, real))
                    if found < least:
                        least, best = found, [part.detach().clone() for part in network]
                optimizer.zero_grad()
                _loss(network, *learnt, real).backward()
                optimizer.step()
        w, b, u, c, v = (part.double() for part in best)
        return w * unit.mT, b * unit[:, 0] + centre[:, 0], u, c, v * unit.mT


def _outputs(network: Any, z: Tensor) -> Tensor:
    """(E, n, C) on standardised features."""
    w, b, u, c, v = network
    return z @ w.mT + b.unsqueeze(1) + torch.relu(z @ u.mT + c.unsqueeze(1)) @ v.mT


def _loss(network: Any, z: Tensor, target: Tensor, real: bool) -> Tensor:
    """Mean loss over all rows."""
    out = _outputs(network, z)
    return (out - target).square().mean() if real else -(torch.log_softmax(out, 2) * target).sum(2).mean()


def _of_one(network: Network, mean: Tensor, scale: Tensor, x: Tensor, e: int) -> Tensor:
    """(C, n) of head e on features (n, d)."""
    z = (x.double() - problem(mean, e)) / problem(scale, e)
    return _outputs([part[e : e + 1] if len(part) > 1 else part for part in network], z.unsqueeze(0))[0].mT
