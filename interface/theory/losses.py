"""Exact population losses of an embedding: the pretexts' losses, the probe's loss, and the lowest value of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interface.theory._base import Embedding, Matrix, Moments, alignment, hermite_spectrum, inverse_root, whitening

Block = Sequence[int] | np.ndarray


def linear_prediction_loss(
    embedding: Embedding, moments: Moments, block: Block | None = None, *, head: tuple[Matrix, Matrix | None] | None = None
) -> Matrix:
    """Squared error of predicting a block of x from z with an affine head, summed over the block, in squared units of x.

    Without `head`: profiled, the minimum over all affine heads, tr Sigma_BB - tr cov(x_B, z) C^+ cov(z, x_B); between the
    pretext's floor and tr Sigma_BB. With `head`: raw, E|x_B - D z - b|^2, never below the profiled value. Autoencoding: block
    None, all of x; fixed mask: the hidden block. Directions of z with less than 1e-10 of the largest variance, after scaling
    each coordinate to variance 1, count as absent.

    Args:
        embedding: of one or of many checkpoints.
        moments: of the population that the embedding was computed under.
        block: indices of the predicted coordinates of x, k of them; None for all.
        head: (D, b) with D (..., k, r) and b (..., k) or None for no bias.

    Returns:
        (...) one loss for each leading index of the embedding.

    Raises:
        ValueError: if the block leaves x, or the head's shape does not fit the block and the embedding.

    Source: Baldi and Hornik, "Neural networks and principal component analysis", Neural Networks 1989 (linear autoencoders);
        profiled because only the encoder is passed on (Bommasani et al. 2021, arXiv:2108.07258, section 4.10).
    """
    block = _block(block, moments)
    total = moments.covariance.diagonal()[block].sum()
    if head is None:
        explained = whitening(embedding.covariance) @ embedding.with_input[..., block]
        return total - np.square(explained).sum((-2, -1))

    weight, bias = np.asarray(head[0], dtype=np.float64), head[1]
    if weight.shape[-2:] != (len(block), embedding.covariance.shape[-1]):
        raise ValueError(f"head: weight has shape {weight.shape}; allowed: (..., {len(block)}, {embedding.covariance.shape[-1]})")
    offset = np.einsum("...kr,...r->...k", weight, embedding.mean)
    if bias is not None:
        offset = offset + np.asarray(bias, dtype=np.float64)
    agreement = np.square(offset).sum(-1) - 2 * np.einsum("...kr,...rk->...", weight, embedding.with_input[..., block])
    return total + agreement + np.einsum("...kr,...kr->...", weight @ embedding.covariance, weight)


def spectral_contrastive_loss(embedding: Embedding, *, profiled: bool = False, centred: bool = True) -> Matrix:
    """Spectral contrastive loss -2 E z(x1)'z(x2) + E (z(x)'z(x'))^2, unitless; lower is better.

    Raw, with centred features: -2 tr C12 + |C|_F^2; it depends on the scale of z, so it is not bounded above. Profiled: its
    minimum over all linear maps of z, -|(P M P)_+|_F^2, in [-r, 0]; it depends on the span of z only.

    Args:
        profiled: minimise over linear maps.
        centred: subtract the mean of z first; False uses raw second moments, as published.

    Returns:
        (...) one loss for each leading index of the embedding.

    Raises:
        ValueError: if the embedding has no cross-view covariance.

    Source: HaoChen, Wei, Gaidon, Ma, "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss",
        NeurIPS 2021, arXiv:2106.04156, eq. (6); deviation: features are centred. Profile: in whitened coordinates the loss is
        |B - M_P|_F^2 - |M_P|_F^2 with B positive semi-definite, so the positive part of M_P is the best B.
    """
    if embedding.cross is None:
        raise ValueError("embedding.cross is None; a contrastive loss needs moments with a cross-view covariance")
    second, cross = embedding.covariance, embedding.cross
    if not centred:
        means = embedding.mean[..., :, None] * embedding.mean[..., None, :]
        second, cross = second + means, cross + means
    if not profiled:
        return -2 * np.trace(cross, axis1=-2, axis2=-1) + np.square(second).sum((-2, -1))
    whitener = whitening(second)
    between = whitener @ cross @ whitener.swapaxes(-1, -2)
    values = np.linalg.eigvalsh(0.5 * (between + between.swapaxes(-1, -2)))
    return -np.square(values.clip(min=0)).sum(-1)


def probe_loss(embedding: Embedding, moments: Moments) -> Matrix:
    """L*_adapt of an affine probe: the least squared error of predicting y from z, in squared units of y.

    var_y - c'C^+c with c = cov(z, y) = cov(z, x) Sigma^-1 E[x y], exact because y = beta'x + independent noise. Between the
    Bayes risk and var_y; unchanged by invertible affine maps of z.

    Args:
        embedding: of the frozen encoder *on the target population*.
        moments: of that population.

    Returns:
        (...) one loss for each leading index of the embedding.
    """
    slope = np.linalg.solve(moments.covariance, moments.cov_xy)
    explained = whitening(embedding.covariance) @ (embedding.with_input @ slope)[..., None]
    return moments.var_y - np.square(explained).sum((-2, -1))


def bayes_loss(moments: Moments) -> float:
    """Squared error of E[y | x], in squared units of y: no predictor from x is below it."""
    return float(moments.var_y - moments.cov_xy @ np.linalg.solve(moments.covariance, moments.cov_xy))


def autoencoding_floor(covariance: Matrix, rank: int) -> float:
    """Lowest autoencoding loss of any encoder with `rank` coordinates and an affine decoder: the trailing eigenvalues' sum.

    Example:
        >>> autoencoding_floor(np.diag([3.0, 2.0, 1.0]), rank=1)
        3.0
    """
    return float(np.linalg.eigvalsh(covariance)[::-1][rank:].sum())


def fixed_mask_floor(moments: Moments, visible: Block, hidden: Block, rank: int) -> float:
    """Lowest loss of predicting x_hidden from `rank` coordinates of x_visible, any encoder with an affine head, squared units of x.

    Source: reduced-rank regression, Izenman, J. Multivariate Analysis 1975, theorem 1, with identity weight.
    """
    sigma, visible, hidden = moments.covariance, _block(visible, moments), _block(hidden, moments)
    gains = np.linalg.svd(inverse_root(sigma[np.ix_(visible, visible)]) @ sigma[np.ix_(visible, hidden)], compute_uv=False) ** 2
    return float(sigma.diagonal()[hidden].sum() - gains[:rank].sum())


def spectral_contrastive_floor(moments: Moments, rank: int, *, linear: bool) -> float:
    """Lowest spectral contrastive loss with centred features and `rank` coordinates, unitless.

    Linear encoders: minus the sum of the `rank` largest squared positive canonical correlations. Any other encoder can also use
    products of them (Hermite polynomials of x), so its floor is lower, strictly so once some product exceeds the next canonical
    correlation; with one coordinate the two agree (maximal correlation of Gaussians).

    Raises:
        ValueError: if the moments have no cross-view covariance.

    Source: HaoChen et al. 2021, theorem 3.8's minimiser (Eckart-Young); Gebelein 1941 and Lancaster 1958 for the Gaussian spectrum.
    """
    rho = np.linalg.eigvalsh(alignment(moments))
    reach = rho if linear else np.concatenate([rho, hermite_spectrum(rho, rank)])
    return float(-np.square(np.sort(reach.clip(min=0))[::-1][:rank]).sum())


def _block(block: Block | None, moments: Moments) -> np.ndarray:
    length = moments.covariance.shape[0]
    if block is None:
        return np.arange(length)
    indices = np.asarray(block)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or not ((indices >= 0) & (indices < length)).all():
        raise ValueError(f"block is {block!r}; allowed: a list of indices of x, each in [0, {length})")
    return indices
