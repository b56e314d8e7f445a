"""PACTran (Gaussian): a PAC-Bayesian bound on the loss of a linear probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, centre, matrix, positive, rowwise, sample

CHEAP = 30_000  # entries n d C up to which a default standard error may cost 24 more fits


def pactran(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    regularisation: float = 10.0,
    prior_variance: float = 1.0,
    blocks: int | None = None,
) -> Estimate:
    """Penalised log loss of the best linear probe plus a flatness term; nats, >= 0, *lower* means better transfer.

    Low: a probe with small, well determined weights fits the labels.

    Args:
        features: (n, d) features; centred here; the score depends on their scale.
        labels: (n,) classes; absent ones are skipped.
        regularisation: lambda over n, published 0.1, 1, 10: the squared weights are penalised by 1 / (2 lambda).
        prior_variance: times d, published 0.1, 1, 10.
        blocks: blocks of rows for the standard error, each a fit of its own; None: 24 for n d C <= 30,000, 0: none.

    Returns:
        Estimate with a delete-a-block standard error. "not converged" where
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
    positive(regularisation, "regularisation")
    positive(prior_variance, "prior_variance")
    rows = sample(matrix(features), labels, blocks=0, labelled=True, by_rows=True)
    assert rows.x is not None
    assert rows.codes is not None
    x, codes = rows.x, rows.codes
    value, status = _bound(x, codes, regularisation, prior_variance)
    cheap = rows.n * rows.d * (int(codes.max()) + 1) <= CHEAP
    wanted = 0 if blocks is None and not cheap else blocks
    stderr = rowwise(lambda kept: _bound(x[kept], codes[kept], regularisation, prior_variance)[0], rows.n, wanted)
    return Estimate(value, stderr=stderr, how="plug_in", n=rows.n, status=status)


def _bound(x: Array, codes: np.ndarray, regularisation: float, prior_variance: float) -> tuple[float, str]:
    from scipy.optimize import minimize  # here, because they cost import time
    from scipy.special import logsumexp

    codes = np.unique(codes, return_inverse=True)[1]
    n, d = x.shape
    k = int(codes.max()) + 1
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
    return value, status
