"""The linear probe W z + b: log loss of classes, squared loss of real labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from scipy.stats import chi2
from torch import Tensor

from interface.adaptations._base import Labelled, Predictor, Probe, Soft, two_sided
from interface.adaptations._heads import SoftmaxPredictor, SquaredPredictor
from interface.adaptations._limits import LEVEL
from interface.adaptations._samples import checked, is_real, is_single, problem, side, values_of
from interface.convex import SoftmaxFit, fit_softmax, fit_squared
from interface.convex._base import as_features, as_tensor
from interface.convex._steady import learned_softmax, runs_off
from interface.convex._whitening import whiten
from interface.core import Bracket


@dataclass(frozen=True)
class LinearProbe(Probe):
    """All affine functions of the features: L* = inf over W, b of the population loss of W z + b.

    Integer labels make it multinomial logistic (nats), real ones least squares (squared units). L* is invariant to invertible
    affine maps of the features. The family is unbounded, so a bracket's interval is approximate, unless labels are Gaussian.

    Args:
        gaussian: states that the real label, given the features, is Gaussian with a linear mean and a constant variance, as it
            is where both are jointly Gaussian. Then the lower limit is an exact chi-squared one, and brackets are certified.

    Example:
        >>> probe = LinearProbe()
        >>> probe.n_parameters(16, 10), probe.n_parameters(16, None)
        (153, 17)
    """

    gaussian: bool = False

    def n_parameters(self, d: int, n_classes: int | None) -> int:
        return (d + 1) * (1 if n_classes is None else n_classes - 1)

    def fit(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> SoftmaxPredictor | SquaredPredictor:
        """The empirical minimiser, a `SoftmaxPredictor` for integer labels or a `SquaredPredictor` for real ones.

        Args:
            features: (n, d) or (E, n, d).
            labels: (n,) or (E, n); integers are classes, real numbers are values.
            n_classes: number of classes, if it is not the largest label + 1.
            generator: not used: the minimum is a deterministic function of the sample.

        Raises:
            ValueError: as `fit_softmax` and `fit_squared`.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        single = is_single(features, y)
        if is_real(y, x.shape[1], n_classes):
            return SquaredPredictor(fit_squared(x, values_of(y, x.shape[1]).unsqueeze(2)), single)
        return SoftmaxPredictor(fit_softmax(x, y, n_classes=n_classes), single)

    def learn(
        self, features: Any, labels: Any, *, n_classes: int | None = None, generator: torch.Generator | None = None
    ) -> Predictor:
        """The head that N labels give, from 2 rows up, where an unpenalised minimum need not be attained.

        Real labels: least squares, of minimal norm where there are no more rows than coefficients. Classes: half a count is
        added to each class, features are standardised on the sample, and (1/N) ||W||² / 2 to the mean loss, as from a
        standard normal prior on the weights. Both wear off as N grows. The loss of this head is then invariant to the scale and
        offset of each feature only.
        """
        x, y = as_features(features), as_tensor(labels, "labels")
        if is_real(y, x.shape[1], n_classes):
            return self.fit(features, labels)
        single = is_single(features, y)
        return SoftmaxPredictor(learned_softmax(x, y, n_classes), single)

    def brackets(self, fit: Labelled, test: Labelled, *, soft: Soft | None = None, n_classes: int | None = None) -> list[Bracket]:
        """Brackets of the minimal adaptation loss of E representations, in nats or squared units.

        E[low] <= L* <= E[high]: low is the least mean loss on the fit sample, high the mean loss of its minimiser on the test
        sample. Both samples must be independent draws of the target, and the features chosen without them.

        Where the minimum over classes is not attained or not proven, or attained only where logits spread over hundreds of nats,
        high is the loss of the head that `learn` gives instead: it too is one of the family, found without the test sample, and
        where the minimiser runs off, a rare mistake on new data costs as much as its logits are apart.

        Args:
            fit: features (E, n, d), or (n, d) for one, and labels (n,), shared, or (E, n).
            test: the same of the test sample: (E, n', d) and (n',) or (E, n').
            soft: known p(y|x) of both samples, (n, C) and (n', C), in place of drawn labels; either may be None.
            n_classes: number of classes, if it is not the largest label + 1.

        Returns:
            E brackets. `low.status` is "vacuous_lower" where the fit sample is separated or has no more rows than coefficients;
            `high` is inf with status "absent_class" where the test sample holds a class that the fit sample lacks. A gap above
            1e-6 makes the bracket's status "not_converged".

        Raises:
            ValueError: if a sample has fewer than two rows, shapes disagree, features are not finite or labels out of range, or
                if labels are classes that were said to be Gaussian.

        Source: Norkin, Pflug, Ruszczynski, Mathematical Programming 83 (1998), and Mak, Morton, Wood, Operations Research
            Letters 24 (1999), for the two sides; with `soft` the lower side rises, by Jensen's inequality given x. Gaussian
            labels: n low / L* is chi-squared with n - 1 - rank degrees of freedom (Cochran, 1934).

        Example:
            >>> g = torch.Generator().manual_seed(0)
            >>> x = torch.randn(2, 400, 3, generator=g)
            >>> y = (x[..., 0] + torch.randn(2, 400, generator=g) > 0).long()
            >>> bracket = LinearProbe().bracket((x[0], y[0]), (x[1], y[1]))
            >>> lower, upper = bracket.interval()
            >>> bracket.solved, lower < upper < 0.6931
            (True, True)
        """
        samples = checked(fit, test, soft, n_classes)
        if self.gaussian and samples.n_classes is not None:
            raise ValueError("LinearProbe: gaussian is True, but labels are classes; allowed for real labels only")
        head = self.fit(samples.x_fit, samples.y_fit, n_classes=samples.n_classes)
        found = two_sided(head, samples, head.solution.gap.flatten().tolist(), head.solution.status)
        if samples.n_classes is not None:
            assert isinstance(head.solution, SoftmaxFit)
            for e in runs_off(head.solution, samples.x_fit):
                if found[e].high.status == "ok":
                    other = self.learn(problem(samples.x_fit, e), problem(samples.y_fit, e), n_classes=samples.n_classes)
                    losses = other.loss(problem(samples.x_test, e), problem(samples.y_test, e))
                    found[e] = replace(found[e], high=side(losses))
            return found
        if not self.gaussian:
            return found
        free = samples.x_fit.shape[1] - whiten(samples.x_fit).kept.sum(1)  # the intercept is one of those kept
        return [replace(b, lower_limit=_chi_squared_limit(b.low, problem(free, e))) for e, b in enumerate(found)]


def _chi_squared_limit(low: Any, free: Tensor) -> float:
    """The 97.5% lower limit for a variance from the mean square of n residuals; 0 where none of them is free."""
    return float(low) * low.n / float(chi2.ppf(1 - LEVEL, int(free))) if free > 0 else 0.0
