"""Variational autoencoding: reconstruct the input from a noisy code that is kept close to a standard normal."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from interface.core import Bracket
from interface.encoders import Linear
from interface.populations import Examples
from interface.pretexts._base import Embed, Pretext, decoder, squared_error
from interface.pretexts._profiles import held_out_bracket, inverse_root
from interface.theory.moments import Moments
from interface.theory.probabilistic_pca import variational_floor

BETA = 1.0


class NoisyCode(NamedTuple):
    x: Tensor  # (..., n, d) input and pseudolabel
    noise: Tensor  # (..., n, d) standard normal; the code takes as many columns as it has


class _Sampler(nn.Module):
    """Means and noise (..., n, 2k) -> reconstruction and log-variances (..., n, d + k)."""

    def __init__(self, features: int, hidden: int | None, outputs: int) -> None:
        super().__init__()
        self.log_variance = Linear(features, features)
        self.decoder = decoder(features, hidden, outputs)

    def forward(self, both: Tensor) -> Tensor:
        mean, noise = both.chunk(2, dim=-1)
        log_variance = self.log_variance(mean)
        return torch.cat([self.decoder(mean + (0.5 * log_variance).exp() * noise), log_variance], dim=-1)


@dataclass(frozen=True)
class VariationalAutoencoding(Pretext):
    """Negative ELBO in nats per example: -ln p(x | u) + beta KL(q(u | x) | N(0, 1)) with a Gaussian decoder; one draw of u.

    It is a *bound* on -ln p(x), not importance weighted, so differences between encoders mix model and posterior. The features
    are the posterior's mean; the head holds its log-variances, affine in the mean, and the decoder. Evaluated at beta 1. Profiled
    over posteriors with a mean affine in the features and any covariance, and affine decoders, where the least is a closed form.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014, arXiv:1312.6114, section 2.2; beta as Higgins et al.,
    "beta-VAE", ICLR 2017; the profile from Lucas et al., NeurIPS 2019, arXiv:1911.02469.

    Args:
        beta: weight of the divergence from the prior, > 0.
        variance: of the decoder's noise, in squared units of an entry, > 0. It defines the task.
        hidden: width of the hidden layer of the decoder that pretraining uses; None is an affine decoder.
    """

    beta: float = BETA
    variance: float = 1.0
    hidden: int | None = None

    unit: ClassVar[str] = "nats"

    def __post_init__(self) -> None:
        if not self.beta > 0 or not self.variance > 0:
            given = f"beta, variance are {self.beta!r}, {self.variance!r}"
            raise ValueError(f"VariationalAutoencoding: {given}; allowed: numbers > 0")

    @property
    def canonical(self) -> Self:
        return replace(self, beta=BETA)

    @property
    def profile_class_differs(self) -> bool:
        return self.hidden is not None

    def noise(self, n: int, input_dim: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, input_dim, generator=generator)

    def view(self, examples: Examples, noise: Tensor | None) -> NoisyCode:
        assert noise is not None
        return NoisyCode(examples.x[..., 0, :], noise)

    def head(self, input_dim: int, features: int, n_classes: int | None) -> nn.Module:
        if features > input_dim:
            raise ValueError(f"VariationalAutoencoding: {features} features of {input_dim} entries; allowed: at most as many")
        return _Sampler(features, self.hidden, input_dim)

    def loss(self, embed: Embed, head: Embed | None, views: NoisyCode) -> Tensor:
        assert head is not None
        mean = embed(views.x)
        noise = views.noise[..., : mean.shape[-1]].expand(mean.shape)
        found = head(torch.cat([mean, noise], dim=-1))
        d = views.x.shape[-1]
        reconstruction, log_variance = found[..., :d], found[..., d:]
        error = squared_error(reconstruction, views.x) / self.variance
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(-1)
        return 0.5 * (error + d * math.log(2 * math.pi * self.variance) + self.beta * divergence)

    def profile(self, embed: Embed, fit: NoisyCode, test: NoisyCode) -> list[Bracket]:
        low: list[Tensor] = []
        high: list[Tensor] = []
        for z_fit, z_test in zip(embed(fit.x).double(), embed(test.x).double(), strict=True):  # a run at a time
            centre, offset = z_fit.mean(0), fit.x.double().mean(0)
            white = inverse_root((z_fit - centre).mT @ (z_fit - centre) / len(z_fit))
            code, spread, back = self._posterior((z_fit - centre) @ white, fit.x.double() - offset)
            for z, x, losses in ((z_fit, fit.x, low), (z_test, test.x, high)):
                u = (z - centre) @ white @ code
                losses.append(self._losses(x.double() - offset, u, spread, back))
        return held_out_bracket(torch.stack(low), torch.stack(high), torch.zeros(len(low)))

    def _posterior(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best code: map (k, m) from white z to its mean, its variances (m,), and the decoder (m, d)."""
        left, root, right = torch.linalg.svd(z.mT @ x / len(x), full_matrices=False)
        kept = root.square() > self.variance
        explained, left, right = root[kept].square(), left[:, kept], right[kept]
        gain = (explained - self.variance).sqrt()
        return left * (gain / explained.sqrt()), self.variance / explained, right * gain.unsqueeze(-1)

    def _losses(self, x: Tensor, u: Tensor, spread: Tensor, back: Tensor) -> Tensor:
        error = squared_error(u @ back, x) + spread @ back.square().sum(-1)
        divergence = u.square().sum(-1) + (spread - spread.log() - 1).sum()
        return 0.5 * (error / self.variance + x.shape[-1] * math.log(2 * math.pi * self.variance) + divergence)

    def floor(self, moments: Moments, rank: int, *, linear: bool) -> float | None:
        return variational_floor(moments.covariance, rank, self.variance) if self.hidden is None else None
