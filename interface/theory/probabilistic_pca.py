"""Negative ELBO of Gaussian autoencoders with an affine decoder: closed forms, and the likelihood of probabilistic PCA below it."""

from __future__ import annotations

import numpy as np

from interface.theory._base import Embedding, Matrix, Moments, whitening


def variational_loss(embedding: Embedding, moments: Moments, variance: float, beta: float = 1.0) -> Matrix:
    """Lowest negative beta-ELBO in nats of a latent whose Gaussian posterior has a mean affine in z, over all affine decoders.

    With g_i the variances that z explains of x, by direction, and s' = beta * variance, it is d/2 ln(2 pi variance) +
    (tr Sigma - sum g_i) / (2 variance) + beta/2 sum (ln(g_i / s') + 1), the sums over g_i > s': a direction below s' is cheaper
    to leave to the noise. At beta 1 it is an upper bound on the entropy of x plus the divergence of the model from it.

    Args:
        embedding, moments: of the encoder under the population.
        variance: of the decoder's Gaussian noise, the same for all entries of x, > 0.
        beta: weight of the divergence of the posterior from the prior, > 0.

    Source: Lucas, Tucker, Grosse, Norouzi, "Don't blame the ELBO! A linear VAE perspective on posterior collapse", NeurIPS
        2019, arXiv:1911.02469; Tipping and Bishop, "Probabilistic principal component analysis", JRSS B 1999. Here the input of the
        latent is z instead of x, and the noise is given.
    """
    explained = np.square(np.linalg.svd(whitening(embedding.covariance) @ embedding.with_input, compute_uv=False), dtype=np.float64)
    return _from_variances(explained, float(np.trace(moments.covariance)), len(moments.covariance), variance, beta)


def variational_floor(covariance: Matrix, rank: int, variance: float, beta: float = 1.0) -> float:
    """Lowest negative beta-ELBO in nats of any encoder with `rank` coordinates and an affine decoder with noise `variance`.

    At beta 1 it is the negative log-likelihood of probabilistic PCA with this noise.

    Example:
        >>> x = np.diag([4.0, 1.0])  # one direction kept: a Gaussian of variances 4 and 1
        >>> bool(np.isclose(variational_floor(x, 1, 1.0), np.log(2 * np.pi * np.e) + np.log(4) / 2))
        True
    """
    values = np.linalg.eigvalsh(covariance)[::-1].clip(min=0)
    return float(_from_variances(values[:rank], float(values.sum()), len(values), variance, beta))


def _from_variances(explained: Matrix, total: float, d: int, variance: float, beta: float) -> Matrix:
    if not variance > 0 or not beta > 0:
        raise ValueError(f"variance, beta are {variance!r}, {beta!r}; allowed: numbers > 0")
    kept = explained > beta * variance
    ratio = np.where(kept, explained, 1.0) / (beta * variance)
    information = np.where(kept, np.log(ratio) + 1, 0.0).sum(-1)
    left = total - np.where(kept, explained, 0.0).sum(-1)
    return 0.5 * (d * np.log(2 * np.pi * variance) + left / variance + beta * information)
