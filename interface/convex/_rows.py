"""A penalised softmax problem on the rows of its features: float32 for the way to the minimum, float64 for the proof.

Two classes are one row of coefficients, the difference of theirs, in the logistic loss; C > 2 classes are C rows. So K is 1 or C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from interface.convex._logistic import class_curvature, class_inverse

BLOCK = 2_000_000  # bytes of float64 features held at a time while a proof is made
PIECE = 128  # columns of a Gram matrix formed at a time
INTERCEPTS = 8  # steps of Newton's method for the intercepts alone, at most


@dataclass(frozen=True)
class Rows:
    """Mean over rows of the log loss at logits w u, plus half <penalty, w w>; w is (K, D), u = ((x - mean) / scale, 1).

    Args:
        x: (n, d) features of any floating type; mean: (d,) float64; scale: of all features.
        u: (n, D) coordinates in float32, D = d + 1; gram: (D, D) float32, the mean of u u' over some rows.
        penalty: (D,) float64, 0 for the intercept.
        y: (n,) labels, or (K, n) probabilities in float64: always so where K is 1.
        moment: (K, D) float32, the mean of target times u.
    """

    x: Tensor
    mean: Tensor
    scale: float
    u: Tensor
    gram: Tensor
    penalty: Tensor
    y: Tensor
    moment: Tensor

    @classmethod
    def of(cls, x: Tensor, ridge: float, sample: int) -> Rows:
        """Features (n, d) centred and scaled to a mean variance of 1, so that float32 holds what varies in them; no labels yet.

        `sample` is the least number of rows that the second moments take in, evenly spaced, if there are as many.
        """
        n, d = x.shape
        mean = x.mean(0, dtype=torch.promote_types(x.dtype, torch.float32))  # any centre will do, as long as it is used throughout
        centred = x - mean
        norm = float(torch.linalg.vector_norm(centred))
        if not 1e-15 < norm < 1e15:  # squares leave float32
            norm = float(torch.linalg.vector_norm(centred, dtype=torch.float64))
        scale = norm / (n * d) ** 0.5 or 1.0
        u = x.new_empty(n, d + 1, dtype=torch.float32)
        torch.div(centred, scale, out=u[:, :-1])
        u[:, -1] = 1
        penalty = torch.full((d + 1,), ridge / scale**2, dtype=torch.float64, device=x.device)
        penalty[-1] = 0
        return cls(x, mean.double(), scale, u, _gram(u[:: max(1, n // sample)]), penalty, x.new_empty(0), x.new_empty(0))

    def labelled(self, y: Tensor, classes: int) -> Rows:
        """With labels (n,), or with probabilities (n, C)."""
        if classes == 2:
            y = (y if y.ndim == 1 else y[:, 1]).double()[None]
            # coefficients -w/2 and w/2 have half the squared norm of their difference
            return replace(self, y=y, moment=y.float() @ self.u / len(self.u), penalty=0.5 * self.penalty)
        targets = one_hot(y, classes).mT.float() if y.ndim == 1 else y.mT.float()
        return replace(self, y=y if y.ndim == 1 else y.mT, moment=targets @ self.u / len(self.u))

    def evaluate(self, w: Tensor) -> tuple[float, Tensor]:
        """(objective, probabilities (K, n)) at w, both from float32 logits."""
        value, p = _log_loss(w @ self.u.mT, self.y)
        return value + self.penalised(w), p

    def penalised(self, w: Tensor) -> float:
        return 0.5 * float(w.double().square().sum(0) @ self.penalty)

    def separated(self, value: float, p: Tensor) -> bool:
        """Whether, without penalty, every row's label has probability above a half: then scaling w sends the loss to 0."""
        free = value < log(2) and self.y.ndim == 1 and not self.penalty.any()
        return free and bool(p.gather(0, self.y[None]).min() > 0.5)

    def gradient(self, p: Tensor, w: Tensor) -> Tensor:
        """(K, D) in float32 at the point w whose probabilities are p."""
        return torch.addmm(self.penalty.float() * w - self.moment, p, self.u, alpha=1 / len(self.u))

    def weighted_gram(self, p: Tensor) -> Tensor:
        """(D, D) float32: the mean of u u' weighted by each row's curvature between classes at p (K, n)."""
        weight = p[0] * (1 - p[0]) if len(p) == 1 else 1 - p.square().sum(0)
        return _gram(self.u * (weight / weight.mean().clamp_min(torch.finfo(p.dtype).tiny)).sqrt().unsqueeze(1))

    def certificate(self, w: Tensor, radius: float, accuracy: float) -> tuple[Tensor, float, float, Tensor, Tensor]:
        """(w, value, gap, gradient, probabilities) at w with intercepts moved to their own minimum; float64, p in float32.

        The dual point is the probabilities: with g the gradient and b the intercepts the duality gap is
        ||g||² / (2 penalty) over the weights, plus <b, g_b> + radius ||g_b||, where the intercepts' g_b is round-off.

        Source: Fenchel duality of the log-sum-exp, see `newton_round`.
        """
        n, d = self.x.shape
        w, weight = w.clone(), w[:, :-1] / self.scale
        z = w.new_empty(len(w), n)
        rows = [slice(start, start + BLOCK // (8 * d) + 1) for start in range(0, n, BLOCK // (8 * d) + 1)]
        for at in rows:
            z[:, at] = weight @ self._centred(at).mT
        if len(w) == 1:
            radius *= 2**0.5  # of the difference of two intercepts that sum to 0
        inverse = None
        for _ in range(INTERCEPTS):
            value, p = _log_loss(z + w[:, -1:], self.y)
            residual = p.scatter_add(0, self.y[None], p.new_full((1, 1), -1.0).expand(1, n)) if self.y.ndim == 1 else p - self.y
            slope = residual.mean(1)
            if float(slope.norm()) * radius <= accuracy:
                break
            if inverse is None:
                inverse = between_inverse(between(p.float()))
            w[:, -1] -= inverse @ slope
        gradient = self.penalty * w
        for at in rows:
            gradient[:, :-1].addmm_(residual[:, at], self._centred(at), alpha=1 / (n * self.scale))
        gradient[:, -1] = slope
        gap = float(gradient[:, :-1].square().sum()) / (2 * float(self.penalty[0]))
        gap += float(slope @ w[:, -1]) + radius * float(slope.norm())
        return w, value + self.penalised(w), max(gap, 0.0), gradient, p.float()

    def _centred(self, at: slice) -> Tensor:
        """(rows, d) features less their mean, in float64."""
        return self.x[at].double() - self.mean if self.x.dtype == torch.float64 else self.x[at].double().sub_(self.mean)


def bending(p: Tensor) -> Callable[[Tensor], Tensor]:
    """Hessian of the log loss in the logits at probabilities p (K, n): a tilt (K, n) of them -> its product, in its place."""
    if p.shape[0] == 1:
        return (p * (1 - p)).mul
    return lambda tilt: tilt.sub_((p * tilt).sum(0)).mul_(p)


def between(p: Tensor) -> Tensor:
    """(K, K) mean over rows of that Hessian."""
    return (p * (1 - p)).mean(1, keepdim=True) if len(p) == 1 else class_curvature(p)


def between_inverse(curvature: Tensor) -> Tensor:
    """Its inverse (K, K), in float64, on what sums to 0 over classes."""
    if len(curvature) == 1:
        return 1 / curvature.double().clamp_min(torch.finfo(curvature.dtype).tiny)
    return class_inverse(curvature)


def _gram(u: Tensor) -> Tensor:
    """Mean of u u' (D, D), which is symmetric: from products of the columns on and above its diagonal."""
    gram = u.new_empty(u.shape[1], u.shape[1])
    for start in range(0, len(gram), PIECE):
        stop = start + PIECE
        gram[start:stop, start:] = u[:, start:stop].mT @ u[:, start:]
        gram[stop:, start:stop] = gram[start:stop, stop:].mT
    return gram.div_(len(u))


def _log_loss(z: Tensor, y: Tensor) -> tuple[float, Tensor]:
    """(mean log loss, probabilities (K, n)) of logits z (K, n)."""
    if len(z) == 1:
        return float((softplus(z) - y * z).mean()), torch.sigmoid(z)
    log_p = torch.log_softmax(z, 0)
    own = log_p.gather(0, y[None]) if y.ndim == 1 else (log_p * y).sum(0)
    return -float(own.mean(dtype=torch.float64)), log_p.exp_()
