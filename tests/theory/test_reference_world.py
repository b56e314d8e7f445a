"""Every closed form against numbers recomputed with numpy.linalg from the generating configuration, to 1e-9."""

import numpy as np
import pytest

from interface.theory import (
    autoencoding_floor,
    autoencoding_operator,
    bayes_loss,
    fixed_mask_floor,
    fixed_mask_operator,
    interface_bound,
    linear_embedding,
    linear_prediction_loss,
    probe_loss,
    rates,
    shift_constant,
    spectral_contrastive_floor,
    spectral_contrastive_loss,
    spectral_operator,
)
from interface.theory.least_squares import crossover, population_loss, training_loss

HALF_PI = np.pi / 2
close = np.testing.assert_allclose


def pca(moments, rank):
    return np.linalg.eigh(moments.covariance)[1][:, ::-1][:, :rank].T


def spectral_minimiser(moments, rank):
    values, vectors = np.linalg.eigh(moments.covariance)
    inverse_root = (vectors / np.sqrt(values)) @ vectors.T
    rho, u = np.linalg.eigh(inverse_root @ moments.cross_covariance @ inverse_root)
    return np.sqrt(rho[::-1][:rank, None].clip(0)) * u[:, ::-1][:, :rank].T @ inverse_root


def probe(moments, weight):
    return probe_loss(linear_embedding(weight, moments), moments)


def test_moments_and_bayes(reference):
    assert reference(0).covariance.diagonal().tolist() == [2.25, 1.25, 4.25, 3.25, 0.25, 0.25]
    close(reference(0).var_y, 2.34, atol=1e-12)
    close(bayes_loss(reference(0)), 0.36222222222222222, atol=1e-9)
    close(bayes_loss(reference(HALF_PI)), 0.2065158371040725, atol=1e-9)
    close(bayes_loss(reference(np.pi / 4)), 0.28436902966314714, atol=1e-9)


@pytest.mark.parametrize(
    ("rank", "floor", "at_zero", "at_half_pi"),
    [
        (1, 7.25, 2.34, 0.8988235294117648),
        (2, 4.0, 2.34, 0.2065158371040725),
        (3, 1.75, 0.5622222222222222, 0.2065158371040725),
        (4, 0.5, 0.3622222222222222, 0.2065158371040725),
    ],
)
def test_autoencoding_minima_and_the_probe_on_them(reference, rank, floor, at_zero, at_half_pi):
    moments = reference(0)
    weight = pca(moments, rank)
    close(autoencoding_floor(moments.covariance, rank), floor, atol=1e-9)
    close(autoencoding_operator(moments).floor(rank, linear=False), floor, atol=1e-9)
    close(linear_prediction_loss(linear_embedding(weight, moments), moments), floor, atol=1e-9)
    close(probe(moments, weight), at_zero, atol=1e-9)
    close(probe(reference(HALF_PI), weight), at_half_pi, atol=1e-9)


@pytest.mark.parametrize(
    ("rank", "floor", "at_zero"), [(1, -0.7901234567901234, 0.5622222222222222), (2, -1.4301234567901233, 0.3622222222222222)]
)
def test_spectral_minima_and_the_probe_on_them(reference, rank, floor, at_zero):
    moments = reference(0)
    embedding = linear_embedding(spectral_minimiser(moments, rank), moments)
    for value in (
        spectral_contrastive_floor(moments, rank, linear=True),
        spectral_operator(moments).floor(rank, linear=True),
        spectral_contrastive_loss(embedding),
        spectral_contrastive_loss(embedding, profiled=True),
    ):
        close(value, floor, atol=1e-9)
    close(probe_loss(embedding, moments), at_zero, atol=1e-9)
    private = reference(HALF_PI)  # a label on private factors: the contrastive encoder is useless
    close(probe(private, spectral_minimiser(private, rank)), private.var_y, atol=1e-9)


def test_other_losses_at_the_minimisers(reference):
    moments = reference(0)
    autoencoding = [linear_prediction_loss(linear_embedding(spectral_minimiser(moments, r), moments), moments) for r in (1, 2)]
    close(autoencoding, [9.25, 8.0], atol=1e-9)
    spectral = [spectral_contrastive_loss(linear_embedding(pca(moments, r), moments)) for r in (1, 2, 3, 4)]
    close(spectral, [18.0625, 28.625, 29.6875, 29.25], atol=1e-9)
    close(spectral_contrastive_floor(moments, 3, linear=True), -1.4301234567901233, atol=1e-9)


def test_a_generic_encoder(reference):
    moments = reference(np.pi / 4)
    weight = np.random.default_rng(0).normal(size=(3, 6))
    sigma = moments.covariance
    inverse = np.linalg.inv(weight @ sigma @ weight.T)
    embedding = linear_embedding(weight, moments)

    by_hand = np.trace(sigma) - np.trace(inverse @ weight @ sigma @ sigma @ weight.T)
    close(linear_prediction_loss(embedding, moments), by_hand, atol=1e-9)
    close(by_hand, 2.6940073396759203, atol=1e-9)

    by_hand = -2 * np.trace(weight @ moments.cross_covariance @ weight.T) + np.sum((weight @ sigma @ weight.T) ** 2)
    close(spectral_contrastive_loss(embedding), by_hand, rtol=1e-12)
    close(by_hand, 596.9803361464177, rtol=1e-12)

    with_y = weight @ moments.cov_xy
    by_hand = moments.var_y - with_y @ inverse @ with_y
    close(probe_loss(embedding, moments), by_hand, atol=1e-9)
    close(by_hand, 0.3855033822541287, atol=1e-9)


def test_a_mask_over_uncorrelated_blocks_predicts_nothing(reference):
    moments = reference(np.pi / 4)  # sigma is diagonal: x_345 is independent of x_012
    visible_only = np.random.default_rng(0).normal(size=(3, 6)) * [1, 1, 1, 0, 0, 0]
    loss = linear_prediction_loss(linear_embedding(visible_only, moments), moments, [3, 4, 5])
    close([loss, fixed_mask_floor(moments, [0, 1, 2], [3, 4, 5], 3)], 3.75, atol=1e-9)
    close(fixed_mask_operator(moments, [0, 1, 2], [3, 4, 5]).floor(2, linear=False), 3.75, atol=1e-9)


@pytest.mark.parametrize(
    ("angle", "kappa", "rotated", "same"),
    [
        (0, 1.0, 0.0, 0.2),
        (np.pi / 8, 2.6663541599255884, 0.03989216948759111, 0.1765685424949237),
        (np.pi / 4, 5.369311953264576, 0.2111111111111108, 0.12),
        (np.pi / 2, 9.0, 1.9777777777777776, 0.04),
    ],
)
def test_factor_rotation(reference, angle, kappa, rotated, same):
    source = reference(0)
    moved = reference(0, rotation=angle)
    close(shift_constant(source.covariance, moved.covariance, linear=True), kappa, atol=1e-9)
    close(probe(moved, spectral_minimiser(source, 2)) - bayes_loss(moved), rotated, atol=1e-9)
    kept = reference(0, rotation=angle, same_slope=np.linalg.solve(source.covariance, source.cov_xy))
    excess = probe(kept, pca(source, 3)) - bayes_loss(kept)
    close(excess, same, atol=1e-9)
    assert excess <= kappa * 0.2 + 1e-12


def test_simpson_slopes(reference):
    moments = reference(0)
    points = {
        name: np.array(
            [
                (linear_prediction_loss(linear_embedding(weight, moments), moments), probe(moments, weight))
                for weight in (minimiser(moments, rank) for rank in ranks)
            ]
        )
        for name, minimiser, ranks in (("ae", pca, (1, 2, 3)), ("scl", spectral_minimiser, (1, 2)))
    }
    slope = lambda rows: np.polyfit(rows[:, 0], rows[:, 1], 1)[0]  # noqa: E731
    close(slope(points["ae"]), 0.3003330305782621, atol=1e-9)
    close(slope(points["scl"]), 0.16, atol=1e-9)
    close(slope(np.vstack(list(points.values()))), -0.0497998981299572, atol=1e-9)


def test_rates_of_the_interface(reference):
    moments = reference(0)
    operator = autoencoding_operator(moments)
    found = rates(operator.S, operator.target(moments.cov_xy), 3)
    a = moments.cov_xy / np.sqrt(moments.covariance.diagonal())
    close(found, (0.2, a[0] ** 2 / (2.25 - 1.25), 2 * abs(a[0] * a[1])), atol=1e-9)
    close(found[1:], (1.7777777777777777, 1.19256958799989), atol=1e-9)
    close(interface_bound(operator.S, a, 3, 0.01), (np.sqrt(0.2) + np.sqrt(found.slope * 0.01)) ** 2, atol=1e-12)


def test_least_squares_ladder(reference):
    l_adapt = bayes_loss(reference(0))
    expected = {
        10: (0.2897777777777778, 0.4657142857142857, 1.0866666666666667),
        20: (0.326, 0.40483660130718957, 0.5294017094017094),
        50: (0.34773333333333334, 0.3776359338061466, 0.4127648578811369),
        200: (0.3586, 0.3658996051889453, 0.373483016695452),
    }
    for n, values in expected.items():
        close((training_loss(l_adapt, 2, n), population_loss(l_adapt, 2, n), population_loss(l_adapt, 6, n)), values, atol=1e-9)
    moments = reference(np.pi / 4)
    frozen = float(probe(moments, pca(moments, 3)))
    n = crossover(frozen, 3, bayes_loss(moments), 6)
    close((frozen, n), (0.38436902966314723, 15.531070889894409), atol=1e-9)
    close(frozen * (n - 1) / (n - 4), bayes_loss(moments) * (n - 1) / (n - 7), atol=1e-9)


def test_least_squares_ladder_by_simulation():
    rng = np.random.default_rng(0)
    train, test = [], []
    for _ in range(4000):
        z, y = rng.normal(size=(12, 3)), rng.normal(size=12)  # L* = 1
        w = np.linalg.lstsq(z, y, rcond=None)[0]
        train.append(np.mean((z @ w - y) ** 2))
        test.append(1 + w @ w)
    for values, expected in ((train, training_loss(1.0, 3, 12)), (test, population_loss(1.0, 3, 12))):
        assert abs(np.mean(values) - expected) < 4 * np.std(values) / 4000**0.5
    with pytest.raises(ValueError, match="at least 5"):
        population_loss(1.0, 3, 4)
