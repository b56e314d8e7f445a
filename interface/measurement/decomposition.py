"""A risk after N labels as a sum: what the representation lacks, what few labels cost, and what another procedure changes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from interface.core import Bracket, Estimate


class LabelledRisk(NamedTuple):
    """R_N of one checkpoint in one cell and where it comes from, in nats or squared units of the label.

    risk: R_N, the population loss of what was adapted on N labels, given those labels.
    excess: R_N - Bayes risk = representation + generalisation + optimisation.
    representation: L* of a linear probe - Bayes risk, >= 0: the part that an analysis of the interface is about.
    generalisation: risk of the linear probe learnt on the same labels - L*. Under a shift between labels and target it holds
        the cost of that shift too.
    optimisation: R_N - risk of that probe: what a budgeted descent leaves, or what moving the encoder changes. It may be negative;
        it is 0 for the linear probe itself.

    Where the Bayes risk is not known, 0 takes its place, and excess and representation have the status "floor_unknown".
    """

    risk: Estimate
    excess: Estimate
    representation: Estimate
    generalisation: Estimate
    optimisation: Estimate


def decompose(risk: Loss, probe: Loss, minimum: Estimate | Bracket, floor: Estimate | None) -> LabelledRisk:
    """The four parts of a risk, each with its own error.

    Args:
        risk: of what was adapted; probe: of the linear probe learnt on the same labels; on the same test examples if sampled.
        minimum: L* of the linear probe on the target; a bracket enters with its midpoint.
        floor: Bayes risk of the target, or None.

    Returns:
        LabelledRisk. Errors of the difference of two risks are those of paired losses; elsewhere variances are added.

    Source: the decomposition of Bommasani et al. 2021, arXiv:2108.07258, figure 22, with the population's minimum as the interface.

    Example:
        >>> exact = lambda value: Loss(Estimate(value, stderr=0.0, how="exact"))
        >>> parts = decompose(exact(1.0), exact(0.75), exact(0.5).mean, exact(0.25).mean)
        >>> [float(part) for part in parts]
        [1.0, 0.75, 0.25, 0.25, 0.25]
    """
    least = minimum.midpoint() if isinstance(minimum, Bracket) else minimum
    bayes, status = (Estimate(0.0, stderr=0.0, how="exact"), "floor_unknown") if floor is None else (floor, "ok")
    paired = None
    if risk.each is not None and probe.each is not None:
        gaps = risk.each - probe.each
        paired = float(gaps.std()) / len(gaps) ** 0.5
    return LabelledRisk(
        risk.mean,
        _difference(risk.mean, bayes, status),
        _difference(least, bayes, status),
        _difference(probe.mean, least),
        _difference(risk.mean, probe.mean, stderr=paired),
    )


class Loss(NamedTuple):
    """A mean loss, with the losses of the test examples (n,) behind it where it is sampled."""

    mean: Estimate
    each: Tensor | None = None

    @classmethod
    def sampled(cls, losses: Tensor, status: str = "ok") -> Loss:
        """From losses (n,); without a standard error, and "absent_class" unless another status is given, if one is infinite."""
        finite = bool(torch.isfinite(losses).all())
        n = len(losses)
        mean = Estimate(
            float(losses.mean()),
            stderr=float(losses.std()) / n**0.5 if finite else None,
            how="held_out",
            n=n,
            status=status if finite or status != "ok" else "absent_class",
        )
        return cls(mean, losses if finite else None)

    @classmethod
    def exact(cls, value: float, status: str = "ok") -> Loss:
        """From a closed form."""
        return cls(Estimate(value, stderr=0.0, how="exact", status=status))


def _difference(a: Estimate, b: Estimate, status: str = "ok", *, stderr: float | None = None) -> Estimate:
    """a - b with the first status that is not "ok", and an error with variances added unless it is given."""
    if stderr is None and a.stderr is not None and b.stderr is not None:
        stderr = (a.stderr**2 + b.stderr**2) ** 0.5
    words = [word for word in (a.status, b.status, status) if word != "ok"]
    how = "exact" if a.how == b.how == "exact" else a.how if b.how == "exact" else b.how
    sizes = [part.n for part in (a, b) if part.n is not None]
    return Estimate(a - b, stderr=stderr, how=how, n=min(sizes, default=None), status=words[0] if words else "ok")
