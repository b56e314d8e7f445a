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
    return _regression_loss(embedding, embedding.with_input[..., block], moments.covariance.diagonal()[block].sum(), head)


def _regression_loss(embedding: Embedding, with_target: Matrix, total: float, head: tuple[Matrix, Matrix | None] | None) -> Matrix:
    """Squared error of predicting centred targets t (k,) from z: with_target (..., r, k) = cov(z, t), total = E|t|^2."""
    if head is None:
        explained = whitening(embedding.covariance) @ with_target
        return total - np.square(explained).sum((-2, -1))

    weight, bias = np.asarray(head[0], dtype=np.float64), head[1]
    allowed = (with_target.shape[-1], embedding.covariance.shape[-1])
    if weight.shape[-2:] != allowed:
        raise ValueError(f"head: weight has shape {weight.shape}; allowed: (..., {allowed[0]}, {allowed[1]})")
    offset = np.einsum("...kr,...r->...k", weight, embedding.mean)
    if bias is not None:
        offset = offset + np.asarray(bias, dtype=np.float64)
    agreement = np.square(offset).sum(-1) - 2 * np.einsum("...kr,...rk->...", weight, with_target)
    return total + agreement + np.einsum("...kr,...kr->...", weight @ embedding.covariance, weight)


def corrupted(moments: Moments, noise: float) -> Moments:
    """Moments of x + noise * standard normal, the input of a denoising encoder; those of the label with it are unchanged.

    Raises:
        ValueError: if the noise is not a number > 0.
    """
    if not noise > 0:
        raise ValueError(f"noise is {noise!r}; allowed: a number > 0")
    return moments._replace(covariance=moments.covariance + noise**2 * np.eye(len(moments.covariance)))


def denoising_loss(
    embedding: Embedding, moments: Moments, noise: float, *, head: tuple[Matrix, Matrix | None] | None = None
) -> Matrix:
    """Squared error of predicting x from an encoding of x + noise, summed over x, in squared units of x.

    Profiled over affine heads: for z = W (x + noise) it is tr Sigma - tr[(W C W')^-1 W Sigma^2 W'] with C = Sigma + noise^2 I.

    Args:
        embedding: under `corrupted(moments, noise)`, the law of what the encoder reads.
        moments: of the clean population.
        noise: standard deviation of the noise added to every coordinate.
        head: as `linear_prediction_loss`.

    Source: Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising autoencoders",
        ICML 2008; cov(z, x) = cov(z, x + noise) C^-1 Sigma because E[x | x + noise] = Sigma C^-1 (x + noise).
    """
    clean = np.linalg.solve(corrupted(moments, noise).covariance, moments.covariance)
    return _regression_loss(embedding, embedding.with_input @ clean, float(np.trace(moments.covariance)), head)


def cross_view_loss(embedding: Embedding, moments: Moments, *, head: tuple[Matrix, Matrix | None] | None = None) -> Matrix:
    """Squared error of predicting one view of an example from the encoding of another, summed over x, squared units of x.

    Profiled over affine heads: for z = W x it is tr Sigma - tr[(W Sigma W')^-1 W Sigma_12^2 W'].

    Args:
        embedding, moments: of one view.
        head: as `linear_prediction_loss`.

    Raises:
        ValueError: if the moments have no cross-view covariance.

    Source: E[x2 | x1] = Sigma_21 Sigma^-1 x1; Tosh, Krishnamurthy, Hsu, "Contrastive learning, multi-view redundancy, and
        linear models", ALT 2021, arXiv:2008.10150 (two views as pretext).
    """
    across = np.linalg.solve(moments.covariance, _between(moments))
    return _regression_loss(embedding, embedding.with_input @ across, float(np.trace(moments.covariance)), head)


def tasks_loss(
    embedding: Embedding, moments: Moments, tasks: Matrix, *, head: tuple[Matrix, Matrix | None] | None = None
) -> Matrix:
    """Mean over T linear tasks a_j'x of the squared error of predicting them from z, in squared units of the tasks.

    Args:
        embedding, moments: of the population.
        tasks: (T, d) coefficients a_j.
        head: as `linear_prediction_loss`, with a weight (..., T, r).

    Source: Du, Hu, Kakade, Lee, Lei, "Few-shot learning via learning the representation, provably", ICLR 2021.
    """
    total = float(np.einsum("td,de,te->", tasks, moments.covariance, tasks))
    return _regression_loss(embedding, embedding.with_input @ tasks.T, total, head) / len(tasks)


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


def denoising_floor(covariance: Matrix, noise: float, rank: int) -> float:
    """Lowest denoising loss of any encoder with `rank` coordinates and an affine head: tr Sigma less the top l^2/(l + noise^2).

    Example:
        >>> denoising_floor(np.diag([3.0, 1.0]), 1.0, rank=1)  # 4 - 9/4
        1.75
    """
    values = np.linalg.eigvalsh(covariance)[::-1]
    return float(values.sum() - np.square(values[:rank]) @ (1 / (values[:rank] + noise**2)))


def cross_view_floor(moments: Moments, rank: int) -> float:
    """Lowest loss of predicting one view from `rank` coordinates of another, any encoder with an affine head, squared units of x.

    Source: reduced-rank regression, as `fixed_mask_floor`.
    """
    gains = np.linalg.svd(inverse_root(moments.covariance) @ _between(moments), compute_uv=False) ** 2
    return float(np.trace(moments.covariance) - gains[:rank].sum())


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


def _between(moments: Moments) -> Matrix:
    if moments.cross_covariance is None:
        raise ValueError("moments.cross_covariance is None; predicting another view needs a population with views")
    return moments.cross_covariance


def _block(block: Block | None, moments: Moments) -> np.ndarray:
    length = moments.covariance.shape[0]
    if block is None:
        return np.arange(length)
    indices = np.asarray(block)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or not ((indices >= 0) & (indices < length)).all():
        raise ValueError(f"block is {block!r}; allowed: a list of indices of x, each in [0, {length})")
    return indices
