"""Multinomial logistic regression on features that do not fit in memory: any number of rows, in passes over batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from interface.convex._base import as_features, class_targets
from interface.convex._dual import FAR
from interface.convex._logistic import class_inverse
from interface.convex._whitening import Whitened, principal_axes
from interface.convex.softmax import DUAL_RADIUS, SoftmaxFit

ROUNDS = 30  # of Newton's method, at most
ITERATIONS = 100  # of conjugate gradients in one of them, a pass each, at most
FORCING = 0.1  # relative residual of a Newton system far from the minimum
SPARE = 0.05  # part of the tolerance that the residual of the last one may cost
BACKTRACKS = 30
ARMIJO = 1e-4


@dataclass(frozen=True)
class Streamed:
    """Rows in batches, read once a pass; the same rows each time, in any order.

    Args:
        batches: () -> batches (features (m, d), labels (m,) or probabilities (m, C)), of any sizes m.

    Example:
        >>> x, y = torch.arange(10.0).reshape(5, 2), torch.arange(5) % 2
        >>> [len(labels) for _, labels in Streamed.of(x, y, rows=2).batches()]
        [2, 2, 1]
    """

    batches: Callable[[], Iterable[tuple[Any, Any]]]

    @classmethod
    def of(cls, features: Any, labels: Any, rows: int = 65_536) -> Streamed:
        """Blocks of rows of arrays (n, d) and (n,), such as memory-mapped ones."""
        if rows < 1 or len(features) != len(labels):
            raise ValueError(
                f"features, labels and rows are {len(features)}, {len(labels)} and {rows}; allowed: equal lengths, >= 1"
            )
        blocks = range(0, len(features), rows)
        return cls(lambda: ((features[at : at + rows], labels[at : at + rows]) for at in blocks))


def fit_softmax_streamed(
    source: Streamed,
    *,
    n_classes: int,
    ridge: float = 0.0,
    tolerance: float = 1e-6,
    start: SoftmaxFit | None = None,
    dual_radius: float = DUAL_RADIUS,
) -> SoftmaxFit:
    """Smallest mean log loss (nats) of a linear softmax, with a proven gap, in memory that does not grow with the rows.

    Truncated Newton steps in float64; each product with the Hessian is one pass over the batches. The objective, the gap and
    the status mean what they do in `fit_softmax`.

    Args:
        source: the rows; n_classes: C, each of which must occur.
        ridge, tolerance, start, dual_radius: as in `fit_softmax`.

    Returns:
        SoftmaxFit of one problem.

    Raises:
        ValueError: if there are no rows, a batch is not as it should be, a class never occurs, or a number is out of range.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithm 7.1; the dual point of `newton_round`.

    Example:
        >>> x, y = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 4
        >>> fit = fit_softmax_streamed(Streamed.of(x, y, rows=64), n_classes=4)
        >>> fit.status, bool(fit.gap < 1e-6)
        (['ok'], True)
    """
    if not 0 <= ridge < float("inf") or not tolerance > 0 or not dual_radius > 0:
        raise ValueError(f"ridge, tolerance, dual_radius are {ridge!r}, {tolerance!r}, {dual_radius!r}; allowed: >= 0, > 0, > 0")
    passes = _Passes.over(source, n_classes, ridge)
    axes, penalty = passes.axes, passes.penalty
    if start is not None and start.weight.shape != (1, n_classes, len(axes.mean[0])):
        raise ValueError(f"start has weights {tuple(start.weight.shape)}; needed: {(1, n_classes, len(axes.mean[0]))}")
    w = torch.zeros_like(passes.moment) if start is None else axes.inward(start.weight, start.intercept)[0]
    if start is None:
        w[:, -1] = passes.moment[:, -1].log()
    w = w - w.mean(0)
    accuracy = SPARE * tolerance / dual_radius
    lower, value, least = passes.floor, float("inf"), 0.0
    for _ in range(ROUNDS):
        here, gradient, between, _ = passes.gradient(w)
        near = float(gradient.norm())
        step = passes.newton_step(w, gradient, between, max(accuracy, min(FORCING, near) * near))
        decrement, length = -0.5 * float((gradient * step).sum()), 1.0
        entropy, residual = passes.tilted(w, step)
        free = penalty == 0
        bound = entropy - float((residual.square() / (2 * penalty.where(~free, 1.0)) * ~free).sum())
        lower = max(lower, bound - dual_radius * float((residual * free).norm()))
        for _ in range(BACKTRACKS):
            value, _, _, least = passes.gradient(w + length * step)
            if value <= here - 2 * ARMIJO * length * decrement + 1e-14 * abs(here):
                break
            length *= 0.4
        w = w + length * step
        if (value - lower <= tolerance and decrement <= tolerance) or float(w.norm()) > dual_radius:
            break
    if ridge > 0:  # what a penalised probe could gain at most from the directions left out
        lower = max(passes.floor, lower - float(axes.dropped) / ridge)
    norm, gap = float(w.norm()), value - lower
    separated = passes.floor == 0 and least > 0.5  # by the right class of every row: scaling w sends the loss to 0
    vacuous = ridge == 0 and (separated or norm > dual_radius or (norm > FAR * dual_radius and gap > tolerance))
    gap = max(value - passes.floor if vacuous else gap, 0.0)
    weight, intercept = axes.outward(w.unsqueeze(0))
    status = "vacuous_lower" if vacuous else "ok" if gap <= tolerance else "not_converged"
    return SoftmaxFit(weight, intercept, w.new_tensor([value]), w.new_tensor([gap]), [status], dual_radius)


@dataclass(frozen=True)
class _Passes:
    """Sums over all rows, in whitened coordinates u (D,) with the last one 1; w is (C, D)."""

    source: Streamed
    axes: Whitened
    moment: Tensor
    penalty: Tensor
    floor: float
    n: int

    @classmethod
    def over(cls, source: Streamed, classes: int, ridge: float) -> _Passes:
        """Two passes: mean and covariance, then moments of the targets."""
        n, round_off = 0, 0.0
        shift = total = square = torch.empty(0)
        for x, _ in _checked(source, classes):
            if n == 0:
                shift = x.double().mean(0)
                total, square = torch.zeros_like(shift), shift.new_zeros(len(shift), len(shift))
            if x.shape[1] != len(shift):
                raise ValueError(f"batches have {len(shift)} and {x.shape[1]} features; allowed: one number of them")
            round_off = max(round_off, 4 * torch.finfo(torch.float64 if x.dtype == torch.float64 else torch.float32).eps)
            x = x.double() - shift  # near the mean, so that no digits are lost
            n, total, square = n + len(x), total + x.sum(0), square + x.mT @ x
        if n == 0:
            raise ValueError("source gave no batches; allowed: at least one")
        covariance = square / n - torch.outer(total / n, total / n)
        axes = principal_axes(covariance.unsqueeze(0), (shift + total / n).unsqueeze(0), round_off, standardise=ridge == 0)
        penalty = torch.cat([ridge * axes.metric[0], axes.metric.new_zeros(1)])
        moment = penalty.new_zeros(classes, len(penalty))
        passes, entropy = cls(source, axes, moment, penalty, 0.0, n), 0.0
        for u, targets in passes._batches():
            moment += targets.mT @ u / n
            entropy -= float(torch.special.xlogy(targets, targets).sum()) / n
        if not (moment[:, -1] > 0).all():
            absent = (moment[:, -1] <= 0).nonzero().flatten().tolist()
            raise ValueError(f"n_classes is {classes}, but classes {absent} never occur; each must")
        return cls(source, axes, moment, penalty, entropy, n)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Coordinates (m, D) and targets (m, C), in float64."""
        n = 0
        for x, targets in _checked(self.source, len(self.moment)):
            u = (x.double() - self.axes.mean) @ self.axes.map[0].mT
            n += len(u)
            yield torch.cat([u, u.new_ones(len(u), 1)], 1), targets
        if n != self.n:
            raise ValueError(f"source gave {self.n} rows in one pass and {n} in another; allowed: the same rows each time")

    def gradient(self, w: Tensor) -> tuple[float, Tensor, Tensor, float]:
        """(objective, gradient (C, D), mean curvature over classes (C, C), least probability of a row's target)."""
        value, gradient, between, least = 0.0, self.penalty * w - self.moment, w.new_zeros(len(w), len(w)), 1.0
        for u, targets in self._batches():
            z = u @ w.mT
            lse = torch.logsumexp(z, 1, keepdim=True)
            p = (z - lse).exp_()
            value += float(lse.sum()) / self.n
            gradient += p.mT @ u / self.n
            between += (p.sum(0).diag() - p.mT @ p) / self.n
            least = min(least, float((p * targets).sum(1).min()))
        return value + float((w * (0.5 * self.penalty * w - self.moment)).sum()), gradient, between, least

    def newton_step(self, w: Tensor, gradient: Tensor, between: Tensor, accuracy: float) -> Tensor:
        """(C, D) where the Newton system has a residual of norm `accuracy`, by conjugate gradients."""
        size = float(between.trace()) / (len(w) - 1)
        classes, diagonal = size * class_inverse(between), size + self.penalty
        residual, step = -gradient, torch.zeros_like(w)
        direction = z = classes @ residual / diagonal
        rz = float((residual * z).sum())
        for _ in range(ITERATIONS):
            if float(residual.norm()) <= accuracy:
                break
            image = self.penalty * direction
            for u, _ in self._batches():
                image = image + self._tilt(u, w, direction)[1].mT @ u / self.n
            length = rz / float((direction * image).sum())
            step, residual = step + length * direction, residual - length * image
            z, previous = classes @ residual / diagonal, rz
            rz = float((residual * z).sum())
            direction = z + rz / previous * direction
        return step

    def tilted(self, w: Tensor, step: Tensor) -> tuple[float, Tensor]:
        """(mean entropy, moment of q minus that of the targets (C, D)) of q = p (1 + step u - mean of it), kept >= 0."""
        entropy, residual = 0.0, -self.moment
        for u, _ in self._batches():
            p, change = self._tilt(u, w, step)
            q = (p + change).clamp_min(0)
            q = q / q.sum(1, keepdim=True)
            entropy -= float(torch.special.xlogy(q, q).sum()) / self.n
            residual = residual + q.mT @ u / self.n
        return entropy, residual

    @staticmethod
    def _tilt(u: Tensor, w: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(p (m, C), its derivative along v (m, C)) at w."""
        p = torch.softmax(u @ w.mT, 1)
        tilt = u @ v.mT
        return p, p * (tilt - (p * tilt).sum(1, keepdim=True))


def _checked(source: Streamed, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (m, d) and targets (m, C) of each batch."""
    for features, labels in source.batches():
        x = as_features(features)
        y, _ = class_targets(labels, x.shape[1], classes, several=False)
        yield x[0], (one_hot(y[0], classes).double() if y.ndim == 2 else y[0]).to(x.device)
