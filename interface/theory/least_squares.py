"""What finitely many labels cost a linear probe: exact expectations for ordinary least squares on Gaussian features."""

from __future__ import annotations

import numpy as np


def training_loss(l_adapt: float, features: int, n_labels: int) -> float:
    """Expected mean squared error of the fitted probe on its own n labels, squared units of y; the bracket's low side.

    Gaussian features, jointly Gaussian y, no intercept; then n loss / l_adapt is chi-squared with n - r degrees of freedom.

    Args:
        l_adapt: L*_adapt of the probe, squared units of y.
        features: r, number of features of full rank.
        n_labels: n >= r.

    Source: Gaussian linear model, e.g. Seber and Lee, "Linear Regression Analysis", 2nd ed., theorem 3.5.
    """
    _check(features, n_labels, features)
    return l_adapt * (n_labels - features) / n_labels


def population_loss(l_adapt: float, features: int, n_labels: int) -> float:
    """Expected squared error on fresh draws of the probe fitted to n labels, squared units of y; the bracket's high side.

    Args:
        as `training_loss`, with n > r + 1.

    Source: mean of an inverse Wishart matrix; Stein 1960; Hastie et al. 2022, arXiv:1903.08560, section 2.

    Example:
        >>> training_loss(1.0, 2, 20) < 1.0 < population_loss(1.0, 2, 20)
        True
    """
    _check(features, n_labels, features + 2)
    return l_adapt * (n_labels - 1) / (n_labels - features - 1)


def crossover(l_frozen: float, features: int, l_scratch: float, input_dim: int) -> float:
    """Number of labels at which least squares on all d inputs overtakes the probe on r frozen features, in labels.

    Below it the frozen probe has the lower expected loss. inf if scratch has no lower asymptote.

    Args:
        l_frozen: L*_adapt of the frozen probe; features: r.
        l_scratch: Bayes risk, L*_adapt of all inputs; input_dim: d > r.

    Source: equality of two `population_loss`es.
    """
    if not features < input_dim:
        raise ValueError(f"crossover: features is {features}, input_dim {input_dim}; allowed: features < input_dim")
    if l_frozen <= l_scratch:
        return np.inf
    return (l_frozen * (input_dim + 1) - l_scratch * (features + 1)) / (l_frozen - l_scratch)


def _check(features: int, n_labels: int, least: int) -> None:
    if n_labels < least:
        raise ValueError(f"n_labels is {n_labels}; allowed with {features} features: at least {least}")
