"""Proxy A-distance: how well a linear classifier tells two domains apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, centre, one_of, two_samples

CLASSIFIERS = ("logistic", "discriminant")


def proxy_a_distance(
    source: ArrayLike, target: ArrayLike, *, classifier: str = "logistic", folds: int = 5, ridge: float = 1e-3, seed: int = 0
) -> Estimate:
    """2 (1 - 2 err), clipped to [0, 2], of the cross-fitted balanced error of a domain classifier; unitless.

    High: domains are told apart linearly. About 0: they are not. Balanced, so that unequal sizes alone give 0; a null
    distribution comes from `permutation_test(..., null="domains")`.

    Args:
        source: (n, d) rows of one domain.
        target: (m, d) rows of the other.
        classifier: "logistic" (L2-penalised, scikit-learn) or "discriminant" (ridge linear discriminant in closed
            form: the fast choice for permutations).
        folds: every row is classified by the model that did not see its fold.
        ridge: of the standardised features: the penalty, per row, of "logistic" and the share of the identity in the
            covariance of "discriminant".
        seed: of the folds; rows are sorted first, so that their order does not matter.

    Returns:
        Estimate with the binomial standard error of the balanced error; status "clipped at 0" where the classifier
        did worse than chance; "no signal" and 0 where no feature varies.

    Raises:
        ValueError: if folds is not in [2, min(n, m)], an option is unknown, or inputs are malformed.

    Source: Ben-David et al., NeurIPS 2006; Glorot, Bordes and Bengio, ICML 2011, section 4.3. Deviations: balanced
        error, cross-fitting in place of one split.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(100, 3)), rng.normal(size=(300, 3))
        >>> bool(proxy_a_distance(a, b) < 0.5), bool(proxy_a_distance(a, b + 9) > 1.9)
        (True, True)
    """
    one_of(classifier, CLASSIFIERS, "classifier")
    a, b = two_samples(source, target, ("source", "target"))
    if not 2 <= folds <= min(len(a), len(b)):
        raise ValueError(f"folds is {folds}; allowed: 2 to {min(len(a), len(b))}, the smaller sample")
    x = centre(np.concatenate([_sorted(a), _sorted(b)]))
    scale = x.std(0)
    varies = scale > 1e-12 * np.abs(np.concatenate([a, b])).max()
    n = len(x)
    if not varies.any():
        return Estimate(0.0, how="held_out", n=n, status="no signal")
    x = x[:, varies] / scale[varies]
    y = np.repeat([0, 1], [len(a), len(b)])
    rng = np.random.default_rng(seed)
    fold = np.concatenate([rng.permutation(len(rows)) % folds for rows in (a, b)])
    wrong = np.empty(n)
    fit = _logistic if classifier == "logistic" else _discriminant
    for k in range(folds):
        held = fold == k
        wrong[held] = (fit(x[~held], y[~held], x[held], ridge) > 0) != (y[held] == 1)
    errors = [wrong[y == domain] for domain in (0, 1)]
    value = 2 * (1 - sum(e.mean() for e in errors))
    stderr = 2 * float(np.sqrt(sum(e.var(ddof=1) / len(e) for e in errors)))
    status = "ok" if value >= 0 else "clipped at 0: worse than chance"
    return Estimate(float(np.clip(value, 0.0, 2.0)), stderr=stderr, how="held_out", n=n, status=status)


def _sorted(x: Array) -> Array:
    """Rows in lexicographic order of their first columns, so that folds do not depend on the caller's order."""
    return x[np.lexsort(x[:, :3][:, ::-1].T)]


def _logistic(x: Array, y: np.ndarray, new: Array, ridge: float) -> Array:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (ridge * len(x)), class_weight="balanced", max_iter=1000)
    return np.asarray(model.fit(x, y).decision_function(new))


def _discriminant(x: Array, y: np.ndarray, new: Array, ridge: float) -> Array:
    means = [x[y == domain].mean(0) for domain in (0, 1)]
    within = sum(np.cov(x[y == domain].T, ddof=0).reshape(x.shape[1], -1) for domain in (0, 1)) / 2
    direction = np.linalg.solve((1 - ridge) * within + ridge * np.eye(x.shape[1]), means[1] - means[0])
    return np.asarray((new - 0.5 * (means[0] + means[1])) @ direction)
