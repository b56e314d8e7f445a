"""PACTran (Gaussian): a PAC-Bayesian bound on the loss of a linear probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, centre, class_codes, matrix, positive


def pactran(features: ArrayLike, labels: ArrayLike, *, regularisation: float = 10.0, prior_variance: float = 1.0) -> Estimate:
    """Penalised log loss of the best linear probe plus a flatness term; nats, >= 0, *lower* means better transfer.

    Low: a probe with small, well determined weights fits the labels.

    Args:
        features: (n, d) features; centred here; the score depends on their scale.
        labels: (n,) classes; absent ones are skipped.
        regularisation: lambda over n, published 0.1, 1, 10: the squared weights are penalised by 1 / (2 lambda).
        prior_variance: times d, published 0.1, 1, 10.

    Returns:
        Estimate without a standard error (the optimum would be needed for every replicate). "not converged" where
        the probe's gradient is not small; "no signal" where no feature varies, "one class": the value then is what
        the formula gives.

    Raises:
        ValueError: if an option is not positive or an input is malformed.

    Source: Ding et al., "PACTran", ECCV 2022, arXiv:2203.05126, eq. (10), and its public code. Deviations: started
        from 0 instead of a random point and run to a gradient of 1e-7, so that the value is the optimum's.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(2, size=100)
        >>> noise = rng.normal(size=(100, 2))
        >>> bool(pactran(noise + 5 * np.eye(2)[y], y) < pactran(noise, y))
        True
    """
    from scipy.optimize import minimize  # here, because they cost import time
    from scipy.special import logsumexp

    positive(regularisation, "regularisation")
    positive(prior_variance, "prior_variance")
    x = matrix(features)
    codes, classes = class_codes(labels, len(x))
    n, d = x.shape
    k = len(classes)
    scale = float(np.abs(x).max()) or 1.0
    x = centre(x)
    size = float(np.sqrt((x**2).mean()))
    varies = size > 1e-14 * scale
    unit = size if varies else 1.0
    z = x / unit  # the same problem in weights times unit, which is well scaled
    strength = regularisation * n
    y = np.eye(k)[codes]

    def loss(theta: Array) -> tuple[float, Array]:
        w, b = theta[: d * k].reshape(d, k), theta[d * k :]
        logits = z @ w + b
        normaliser = logsumexp(logits, axis=1, keepdims=True)
        error = (np.exp(logits - normaliser) - y) / n
        value = float((normaliser[:, 0] - logits[np.arange(n), codes]).mean()) + 0.5 * float((w**2).sum()) / strength / unit**2
        return value, np.concatenate([(z.T @ error + w / strength / unit**2).ravel(), error.sum(0)])

    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-7}
    best = minimize(loss, np.zeros(d * k + k), jac=True, method="L-BFGS-B", options=options)
    w, b = best.x[: d * k].reshape(d, k), best.x[d * k :]
    logits = z @ w + b
    p = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    curvature = p * (1 - p)
    diagonal = ((z * unit) ** 2).T @ curvature + 1 / strength
    precision = (float(diagonal.sum()) + float(curvature.sum())) * strength / (d * k) + 1e-10
    value = float(best.fun) + 0.5 * d * k / strength * (prior_variance / d) * float(np.log(precision))
    status = "ok" if k > 1 else "one class"
    if status == "ok" and not varies:
        status = "no signal"
    if status == "ok" and float(np.abs(loss(best.x)[1]).max()) > 1e-4:
        status = "not converged"
    return Estimate(value, how="plug_in", n=n, status=status)
