"""Probe, then fine-tune: encoder and head together, from the head that the frozen features learn on the same labels."""

from __future__ import annotations

from dataclasses import dataclass

from interface.adaptations._tuning import Head, Task, Tuning
from interface.convex import SoftmaxFit, SquaredFit, fit_squared
from interface.convex._steady import learned_softmax


@dataclass(frozen=True, kw_only=True)
class ProbeThenFineTuning(Tuning):
    """All parameters of the encoder and the head, from what a linear probe learns on the same labels; see `Tuning` for its fields.

    With real labels that is least squares, of minimal norm where it is not unique. With classes it is a logistic regression with
    half a count of each class and a ridge of 1 / N on standardised features, as `LinearProbe.learn`: an unpenalised probe that
    separates a few labels, or never saw a class, would start at infinity.

    Source: Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022,
        arXiv:2202.10054 (LP-FT); deviation: a fixed penalty in place of a tuned one.

    Example:
        >>> ProbeThenFineTuning(lr=0.01).name
        'ProbeThenFineTuning(lr=0.01)'
    """

    def head(self, task: Task) -> Head:
        z = task.features()
        labels = task.each(task.y)
        if task.n_classes is None:
            solution: SquaredFit | SoftmaxFit = fit_squared(z, labels.unsqueeze(2))
        else:
            solution = learned_softmax(z, labels, task.n_classes)
        return Head(solution.weight.to(z), solution.intercept.to(z))
