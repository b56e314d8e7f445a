"""Losses and profiles of single tasks, against their definitions written out."""

import math

import numpy as np
import pytest
import torch

from interface.encoders import initialise
from interface.pretexts import BarlowTwins, InfoNCE, MaskedPrediction, SpectralContrastive, VariationalAutoencoding
from interface.pretexts._profiles import canonical_variates, classification_profile
from interface.seeds import generator
from tests.pretexts.settings import modules, one_view, stacked, trained_on


def test_masked_profile_is_the_weighted_least_squares_of_each_entry():
    pretext = MaskedPrediction(rate=0.5)
    encoder, _ = modules(pretext)
    views = trained_on(pretext, 300)
    (bracket,) = pretext.profile(stacked([encoder]), views, views)
    z = np.c_[encoder(views.visible).detach().double().numpy(), np.ones(300)]
    total = 0.0
    for j in range(256):
        rows = views.hidden[:, j].bool().numpy()
        target = views.target[:, j].double().numpy()[rows]
        residual = target - z[rows] @ np.linalg.lstsq(z[rows], target, rcond=None)[0]
        total += residual @ residual
    assert bracket.low == pytest.approx(total / 300 / 0.5, rel=1e-6) and bracket.high == pytest.approx(bracket.low)


def test_an_uninformative_encoder_is_at_chance_under_infonce():
    pretext = InfoNCE()
    head = initialise(pretext.head(256, 4, 10), generator("head"))
    blind = pretext.evaluate(lambda x: torch.ones(len(x), 4), head, trained_on(pretext, 256))
    torch.testing.assert_close(blind, torch.full((2,), math.log(128)), rtol=1e-5, atol=1e-5)


def test_soft_labels_at_one_are_classes():
    z, y = torch.randn(1, 400, 3, generator=generator("z")), torch.randint(3, (400,), generator=generator("y"))
    hard = classification_profile((z, z), (y, y))[0]
    soft = classification_profile((z, z), (torch.nn.functional.one_hot(y, 3).float(),) * 2)[0]
    assert float(soft.low) == pytest.approx(float(hard.low), abs=1e-6)


def test_the_variational_loss_is_the_negative_elbo_of_its_draw():
    pretext = VariationalAutoencoding(beta=2.0, variance=0.5)
    x = torch.randn(30, 6, generator=generator("x"))
    views = pretext.draw(one_view(x), generator("noise"))
    head = initialise(pretext.head(6, 2, None), generator("head"))
    weight = torch.randn(6, 2, generator=generator("weight"))
    mean = x @ weight
    log_variance = head.log_variance(mean)
    u = mean + (log_variance / 2).exp() * views.noise[:, :2]
    likelihood = torch.distributions.Normal(head.decoder(u), 0.5**0.5).log_prob(x).sum(1)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(pretext.loss(lambda z: z @ weight, head, views), -likelihood + 2.0 * divergence)
    torch.testing.assert_close(pretext.evaluate(lambda z: z @ weight, head, views), -likelihood + divergence)


def test_barlow_twins_on_a_batch_and_on_pairs():
    a = torch.randn(200, 3, generator=generator("a"))
    b = 0.7 * a + torch.randn(200, 3, generator=generator("b"))
    views = trained_on(BarlowTwins(), 4)._replace(first=a, second=b)
    both = torch.cat([a, b])
    p, q = ((z - both.mean(0)) / both.std(0, correction=0) for z in (a, b))
    correlation = (p.T @ q / 200).numpy()
    diagonal = np.diagonal(correlation)
    batch = np.sum((1 - diagonal) ** 2) + 0.2 * (np.sum(correlation**2) - np.sum(diagonal**2))
    losses = BarlowTwins(weight=0.2).loss(lambda z: z, None, views)
    torch.testing.assert_close(losses, torch.full((200,), float(batch)))
    pairs = np.mean([float((p[i] @ p[j]) * (q[i] @ q[j])) for i in range(200) for j in range(200) if i != j])
    evaluated = BarlowTwins(weight=0.2).evaluate(lambda z: z, None, views)
    assert float(evaluated.mean()) == pytest.approx(3 - 2 * float((p * q).sum(1).mean()) + pairs, rel=1e-4)


def test_canonical_variates_are_white_and_agree_in_order():
    a = torch.randn(500, 4, dtype=torch.float64, generator=generator("a"))
    b = a * torch.tensor([1.0, 0.5, 0.1, 0.0], dtype=torch.float64) + torch.randn(
        500, 4, dtype=torch.float64, generator=generator("b")
    )
    a, b = a - a.mean(0), b - b.mean(0)
    scale, agreement = canonical_variates(a, b)
    p, q = a @ scale, b @ scale
    torch.testing.assert_close(0.5 * (p.T @ p + q.T @ q) / 500, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(0.5 * (p.T @ q + q.T @ p) / 500, torch.diag(agreement))
    assert (agreement.diff() > 0).all()
    flat = torch.cat([a, a[:, :1]], 1), torch.cat([b, b[:, :1]], 1)  # a copy of a coordinate is one direction less
    torch.testing.assert_close(canonical_variates(*flat)[1][-3:], agreement[-3:])


def test_variances_pulled_to_one_make_redundancy_reduction_spectral_contrast():
    """|a - b|^2 + |C - 1|^2 is the spectral contrastive loss plus the number of coordinates, pair by pair."""
    a = torch.randn(300, 3, dtype=torch.float64, generator=generator("a"))
    b = 0.8 * a + 0.3 * torch.randn(300, 3, dtype=torch.float64, generator=generator("b"))
    a, b = (z - 0.5 * (a.mean(0) + b.mean(0)) for z in (a, b))
    views = trained_on(SpectralContrastive(), 4)._replace(first=a, second=b)
    contrast = float(SpectralContrastive().loss(lambda z: z, None, views).mean())
    squared = (a @ b.T).square()
    apart = float((squared.sum() - squared.diagonal().sum()) / (300 * 299))
    invariance, energy = float((a - b).square().sum(1).mean()), float((a.square() + b.square()).sum(1).mean())
    assert invariance + apart - energy + 3 == pytest.approx(contrast + 3, rel=1e-9)
