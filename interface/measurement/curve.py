"""What N labels are worth: the risk after adapting on N of them, for several N, over replicated draws of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from interface.adaptations import LinearProbe, Probe
from interface.adaptations._samples import as_features, as_tensor, checked
from interface.core import Estimate
from interface.seeds import generator

N_LABELS = (8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, eq=False)
class AdaptationCurve:
    """Test loss after adapting on N labels, in nats or squared units, for K numbers N and M draws of the labels.

    Args:
        n_labels: K increasing numbers; losses: (M, K) mean test loss of each head.
        noise: (K, K) covariance of the mean over replicates that comes from the test sample, which all heads share.
        n_test: rows of the test sample; n_classes: C, or None for squared loss; adaptation: name of the family.
    """

    n_labels: tuple[int, ...]
    losses: np.ndarray
    noise: np.ndarray
    n_test: int
    n_classes: int | None
    adaptation: str

    @property
    def mean(self) -> np.ndarray:
        """(K,) mean over the draws of labels."""
        return self.losses.mean(0)

    @property
    def covariance(self) -> np.ndarray:
        """(K, K) of `mean`: from the draws of labels, given one pool to draw from, and from the test sample."""
        centred = self.losses - self.mean
        return centred.T @ centred / (len(self.losses) * (len(self.losses) - 1)) + self.noise

    def estimates(self) -> list[Estimate]:
        """R_N for each N with its standard error."""
        errors = np.sqrt(np.diag(self.covariance))
        return [
            Estimate(float(value), stderr=float(error), how="held_out", n=self.n_test)
            for value, error in zip(self.mean, errors, strict=True)
        ]

    def intervals(self) -> list[tuple[float, float]]:
        """A 95% interval for each R_N, by Student's t over the replicates."""
        most = float(student.ppf(0.975, len(self.losses) - 1))
        return [(value - most * (value.stderr or 0.0), value + most * (value.stderr or 0.0)) for value in self.estimates()]


def adaptation_curve(
    features: Any,
    labels: Any,
    *,
    n_labels: Sequence[int] = N_LABELS,
    replicates: int = 10,
    test: tuple[Any, Any] | None = None,
    adaptation: Probe = LinearProbe(),
    n_classes: int | None = None,
    seed: int = 0,
) -> AdaptationCurve:
    """Risk R_N after adapting on N labels, in nats or squared units, for each N, with what it varies by.

    Each replicate is one random order of the rows, whose first N are learnt from: the same rows along a curve, so that its
    points are comparable. Replicates share the pool of rows, so that a pool of several times the largest N is needed for their
    spread to be that of new draws; where N is the whole pool, the order is all that is left to vary.

    Args:
        features: (n, d) representations of independent examples; labels: (n,) integers, or real numbers for squared loss.
        n_labels: increasing numbers of labels, from 2 (or what the adaptation needs) up to the rows to learn from.
        replicates: M >= 2 draws of labels.
        test: (features, labels) of further independent examples; None sets a random half aside for it.
        adaptation: family of heads; what it does with few labels its `learn` says.
        n_classes: number of classes, if it is not the largest label + 1.
        seed: of the orders, and of the half.

    Raises:
        ValueError: if there are fewer rows than labels asked for, shapes disagree, features are not finite or labels out of
            range, or n_labels or replicates are not usable.

    Source: the curve of loss against data of Whitney, Song, Brandfonbrener, Altosaar and Cho, "Evaluating representations by the
        complexity of learning low-loss predictors" (2020).

    Example:
        >>> x = torch.randn(1200, 4, generator=torch.Generator().manual_seed(0))
        >>> curve = adaptation_curve(x, (x[:, 0] > 0).long(), n_labels=(8, 64, 512), replicates=4)
        >>> few, some, many = curve.estimates()
        >>> few > some > many
        True
    """
    x, y = as_features(features), as_tensor(labels, "labels")
    n = x.shape[1]
    if x.shape[0] != 1:
        raise ValueError(f"features has shape {tuple(x.shape)}; allowed: (n, d), one representation")
    if y.ndim != 1 or len(y) != n:
        raise ValueError(f"labels has shape {tuple(y.shape)}, but features have {n} rows; one label a row is needed")
    if replicates < 2:
        raise ValueError(f"replicates is {replicates!r}; allowed: at least 2, to say how R_N varies")
    if test is None:
        order = torch.randperm(n, generator=generator("curve", "half", seed))
        first, second = order[: n // 2], order[n // 2 :]
        fit, test = ((x[:, rows.to(x.device)], y[rows.to(y.device)]) for rows in (first, second))
    else:
        fit = (x, y)
    samples = checked(fit, test, None, n_classes)
    numbers = _numbers(n_labels, samples.x_fit.shape[1], adaptation.fewest_labels)

    def losses(rows: Tensor) -> Tensor:
        x_fit, y_fit = samples.x_fit[:, rows.to(samples.x_fit.device)], samples.y_fit[:, rows.to(samples.y_fit.device)]
        return adaptation.learn(x_fit, y_fit, n_classes=samples.n_classes).loss(samples.x_test, samples.y_test)[0].cpu()

    total, each = torch.zeros(len(numbers), samples.x_test.shape[1], dtype=torch.float64), []
    for replicate in range(replicates):
        order = torch.randperm(samples.x_fit.shape[1], generator=generator("curve", "labels", seed, replicate))
        found = torch.stack([losses(order[:number]) for number in numbers])
        each.append(found.mean(1).numpy())
        total += found
    noise = torch.atleast_2d(torch.cov(total / replicates)) / total.shape[1]
    return AdaptationCurve(numbers, np.stack(each), noise.numpy(), total.shape[1], samples.n_classes, adaptation.name)


def _numbers(n_labels: Sequence[int], rows: int, fewest: int) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in n_labels)
    if not numbers or list(numbers) != sorted(set(numbers)) or numbers[0] < fewest or numbers != tuple(n_labels):
        raise ValueError(f"n_labels is {tuple(n_labels)!r}; allowed: increasing integers from {fewest} up")
    if numbers[-1] > rows:
        raise ValueError(
            f"n_labels goes up to {numbers[-1]}, but {rows} rows are there to learn from; ask for fewer, or give `test`"
        )
    return numbers
