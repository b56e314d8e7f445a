"""Linear probes of bounded norm on bounded features: the family whose log loss is bounded, so that brackets are certified."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from interface.adaptations._base import Labelled, Probe, Soft, two_sided
from interface.adaptations._heads import SoftmaxPredictor
from interface.adaptations._limits import bounded_lower_limit
from interface.adaptations._samples import checked, is_real, is_single
from interface.convex import fit_softmax_ball
from interface.convex._base import as_features, as_tensor
from interface.core import Bracket


@dataclass(frozen=True)
class BallPredictor(SoftmaxPredictor):
    """Class probabilities softmax(W z + b) of features that are clipped radially; `clip` is the largest norm of (z, 1)."""

    clip: float = field(kw_only=True)

    def logits(self, x: Tensor, e: int) -> Tensor:
        """W z + b on the clipped features, (C, n)."""
        return super().logits(clipped(x.double(), self.clip), e)


@dataclass(frozen=True)
class LinearBall(Probe):
    """softmax(W z + b) with ||W||² + ||b||² <= radius², on features whose norm with the constant 1 is clipped at `clip`; log loss.

    Its losses are at most `bound`, so that a solved bracket is certified: the lower limit holds at every sample size. The price
    is a wider interval and another quantity: the least loss of this family, which is above that of all linear probes. It is
    invariant to permutations and signs of the features, and to rotations; not to their scale, so they should be
    standardised beforehand by constants that do not depend on the labelled draws (`standardised`), as `measure` does.

    Args:
        radius: of the ball; clip: the largest norm of (z, 1), above 1.

    Raises:
        ValueError: if radius is not above 0, or clip not above 1.

    Example:
        >>> LinearBall(5.0, 4.0).bound(3) < LinearBall(5.0, 5.0).bound(3) < 37
        True
    """

    radius: float = 5.0
    clip: float = 5.0

    units: ClassVar[tuple[str, ...]] = ("nats",)

    def __post_init__(self) -> None:
        if not 0 < self.radius < math.inf or not 1 < self.clip < math.inf:
            raise ValueError(f"LinearBall: radius, clip are {self.radius!r}, {self.clip!r}; allowed: numbers > 0 and > 1")

    def n_parameters(self, d: int, n_classes: int | None) -> int:
        return (d + 1) * (1 if n_classes is None else n_classes - 1)

    def bound(self, n_classes: int) -> float:
        """Largest log loss of any member, in nats: ln(1 + (C - 1) exp(sqrt(2) radius clip)) for C classes.

        Two classes' logits differ by (w_j - w_k)'(z, 1), and ||w_j - w_k|| is at most sqrt(2) ||W||.
        """
        return float(np.logaddexp(0.0, math.log(n_classes - 1) + math.sqrt(2) * self.radius * self.clip))

    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> BallPredictor:
        """The empirical minimiser; arguments as `LinearProbe.fit`, labels are classes or their probabilities.

        Raises:
            ValueError: as `fit_softmax_ball`, or if labels are real numbers.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        if is_real(y, x.shape[1], n_classes):
            raise ValueError("LinearBall: labels are real numbers; allowed: classes. Their squared loss has no bound")
        solution = fit_softmax_ball(clipped(x.double(), self.clip), y, radius=self.radius, n_classes=n_classes)
        return BallPredictor(solution, is_single(features, y), clip=self.clip)

    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Brackets of the least log loss in the ball, in nats, with a lower limit that holds at every sample size.

        Arguments as `LinearProbe.brackets`. The upper limit is the normal one; `bounded_upper_limit(bracket.high, bound)` holds
        at every sample size. Solved with known p(y|x), `soft`, the limit holds too: a mean of bounded losses is bounded.

        Raises:
            ValueError: as `LinearProbe.brackets`, or if labels are real numbers.

        Source: as `LinearProbe.brackets` for the two sides and `bounded_lower_limit` for the limit, given the least mean loss
            minus its proven gap.

        Example:
            >>> x = torch.randn(2, 400, 3, generator=torch.Generator().manual_seed(0))
            >>> bracket = LinearBall().bracket((x[0], (x[0, :, 0] > 0).long()), (x[1], (x[1, :, 0] > 0).long()))
            >>> bracket.certified, 0 < bracket.interval()[0] < bracket.low
            (True, True)
        """
        samples = checked(fit, test, soft, n_classes)
        head = self.fit(samples.x_fit, samples.y_fit, n_classes=samples.n_classes)
        bound, n = self.bound(head.size[1]), samples.x_fit.shape[1]
        found = two_sided(head, samples, head.solution.gap.flatten().tolist(), head.solution.status)
        return [replace(b, lower_limit=bounded_lower_limit(max(0.0, float(b.low) - b.gap), n, bound)) for b in found]


def clipped(x: Tensor, clip: float) -> Tensor:
    """Features (..., d) pulled back along their ray until the norm of (z, 1) is at most `clip`."""
    most = math.sqrt(clip**2 - 1)
    return x * (most / x.norm(dim=-1, keepdim=True).clamp_min(most))


def standardised(features: Any, source: Any) -> Tensor:
    """Features (E, n, d) with the mean and standard deviation that `source` has taken out; a constant feature is only centred.

    Args:
        features: (E, n, d) or (n, d); source: (E, m, d) or (m, d), drawn independently of the labelled examples.

    Raises:
        ValueError: if shapes disagree, or values are not finite.

    Example:
        >>> z = torch.tensor([[0.0, 5.0], [2.0, 5.0]])
        >>> standardised(z, z).tolist()
        [[[-1.0, 0.0], [1.0, 0.0]]]
    """
    x, reference = as_features(features).double(), as_features(source, "source").double()
    if x.shape[2] != reference.shape[2] or (len(reference) not in (1, len(x)) and len(x) > 1):
        raise ValueError(f"source has shape {tuple(reference.shape)}, but features have {tuple(x.shape)}; only rows may differ")
    scale = reference.std(1, keepdim=True, correction=0)
    return (x - reference.mean(1, keepdim=True)) / torch.where(scale > 0, scale, 1.0)
