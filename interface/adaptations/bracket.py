"""The minimal adaptation loss of features that the user brings, in one call."""

from __future__ import annotations

from typing import Any

import torch

from interface.adaptations._base import Labelled, Probe
from interface.adaptations.linear import LinearProbe
from interface.convex._base import as_features, as_tensor
from interface.core import Bracket
from interface.seeds import generator


def minimal_adaptation_loss(
    features: Any,
    labels: Any,
    adaptation: Probe = LinearProbe(),
    *,
    test: Labelled | None = None,
    soft: Any | None = None,
    seed: int = 0,
) -> Bracket:
    """Bracket of L*_adapt: the least population loss that the family reaches on these features, in nats or squared units.

    Args:
        features: (n, d) representations of independent examples; the encoder must not have seen them with their labels.
        labels: (n,) integers for log loss, real numbers for squared loss.
        adaptation: family of heads.
        test: (features (n', d), labels (n',)) of further independent examples; None splits the sample into random halves, one to
            fit and one to test.
        soft: known p(y|x): (n, C) without `test`; with it a pair ((n, C), (n', C)), either of them None.
        seed: of the random halves.

    Returns:
        Bracket. Its bias width is about p / n for a log loss (p parameters, n rows a side): take n >= 50 p for .02 nats.

    Raises:
        ValueError: if there are too few rows, shapes disagree, features are not finite or labels not usable.

    Source: sample average approximation, see `LinearProbe.brackets`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(2000, 4))
        >>> lower, upper = minimal_adaptation_loss(x, x[:, 0] + rng.normal(size=2000)).interval()
        >>> lower < 1 < upper
        True
    """
    x, y = as_features(features), as_tensor(labels, "labels")
    n = x.shape[1]
    if x.shape[0] != 1:
        raise ValueError(f"features has shape {tuple(x.shape)}; allowed: (n, d). For many encoders use the adaptation's `brackets`")
    if y.ndim == 0 or len(y) != n:
        raise ValueError(f"labels has shape {tuple(y.shape)}, but features have {n} rows; one label a row is needed")
    if test is not None:
        return adaptation.bracket((x, y), test, soft=soft)
    if n < 4:
        raise ValueError(f"features have {n} rows; at least 4 are needed to split them into halves, or give `test`")
    order = torch.randperm(n, generator=generator("halves", seed)).to(x.device)
    first, second = order[: n // 2], order[n // 2 :]
    halves = None
    if soft is not None:
        p = as_tensor(soft, "soft")
        if len(p) != n:
            raise ValueError(f"soft has shape {tuple(p.shape)}, but features have {n} rows; without `test` one row each is needed")
        halves = (p[first.to(p.device)], p[second.to(p.device)])
    n_classes = None if y.is_floating_point() or soft is not None else 1 + int(y.max())  # a half may lack the last class
    y = y.to(x.device)
    return adaptation.bracket((x[:, first], y[first]), (x[:, second], y[second]), soft=halves, n_classes=n_classes)
