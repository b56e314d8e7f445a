import numpy as np
import pytest
from scipy import optimize

from interface.theory import (
    autoencoding_floor,
    bayes_loss,
    fixed_mask_floor,
    linear_embedding,
    linear_prediction_loss,
    probe_loss,
    relu_embedding,
    spectral_contrastive_floor,
    spectral_contrastive_loss,
)

VISIBLE, HIDDEN = [0, 2, 4, 6], [1, 3, 5]


@pytest.fixture
def nets(random_moments):
    rng = np.random.default_rng(0)
    moments = random_moments(rng)
    return moments, relu_embedding(rng.normal(size=(200, 9, 7)), rng.normal(size=(200, 3, 9)), moments)


def test_profiled_losses_are_those_of_fitted_regressions(random_moments, sampled):
    rng = np.random.default_rng(1)
    moments = random_moments(rng)
    hidden, output = rng.normal(size=(9, 7)), rng.normal(size=(3, 9))
    x, _ = sampled(moments, 200_000, rng)
    beta = np.linalg.solve(moments.covariance, moments.cov_xy)
    y = x @ beta + np.sqrt(bayes_loss(moments)) * rng.normal(size=len(x))
    z = np.column_stack([np.maximum(x @ hidden.T, 0) @ output.T, np.ones(len(x))])
    embedding = relu_embedding(hidden, output, moments)
    for target, exact in (
        (x[:, HIDDEN], linear_prediction_loss(embedding, moments, HIDDEN)),
        (x, linear_prediction_loss(embedding, moments)),
        (y[:, None], probe_loss(embedding, moments)),
    ):
        fitted = z @ np.linalg.lstsq(z, target, rcond=None)[0]
        losses = np.square(fitted - target).sum(1)
        assert abs(losses.mean() - exact) < 4 * losses.std() / len(x) ** 0.5


def test_a_given_head_is_never_below_the_profile_and_equal_at_the_best_head(nets):
    moments, embedding = nets
    rng = np.random.default_rng(2)
    profiled = linear_prediction_loss(embedding, moments, HIDDEN)
    weight, bias = rng.normal(size=(200, 3, 3)), rng.normal(size=(200, 3))
    assert (linear_prediction_loss(embedding, moments, HIDDEN, head=(weight, bias)) >= profiled).all()
    best = np.linalg.solve(embedding.covariance, embedding.with_input[..., HIDDEN]).swapaxes(-1, -2)
    offset = -np.einsum("nkr,nr->nk", best, embedding.mean)
    np.testing.assert_allclose(linear_prediction_loss(embedding, moments, HIDDEN, head=(best, offset)), profiled, rtol=1e-9)


def test_a_given_head_equals_its_sample_mean(random_moments, sampled):
    rng = np.random.default_rng(3)
    moments = random_moments(rng)
    hidden, output, weight, bias = (rng.normal(size=s) for s in ((9, 7), (3, 9), (7, 3), (7,)))
    x, _ = sampled(moments, 50_000, rng)
    losses = np.square(np.maximum(x @ hidden.T, 0) @ output.T @ weight.T + bias - x).sum(1)
    exact = linear_prediction_loss(relu_embedding(hidden, output, moments), moments, head=(weight, bias))
    assert abs(losses.mean() - exact) < 4 * losses.std() / len(x) ** 0.5


@pytest.mark.parametrize("centred", [True, False])
def test_spectral_loss_equals_its_sample_mean(random_moments, sampled, centred):
    rng = np.random.default_rng(4)
    moments = random_moments(rng)
    hidden, output = 0.4 * rng.normal(size=(9, 7)), 0.2 * rng.normal(size=(2, 9))
    embedding = relu_embedding(hidden, output, moments)
    x1, x2 = sampled(moments, 200_000, rng)
    z1, z2 = (np.maximum(x @ hidden.T, 0) @ output.T - centred * embedding.mean for x in (x1, x2))
    half = len(z1) // 2
    pairs = -2 * (z1 * z2).sum(1)[:half] + np.square((z1[:half] * z1[half:]).sum(1))  # two independent examples a term
    exact = spectral_contrastive_loss(embedding, centred=centred)
    assert abs(pairs.mean() - exact) < 4 * pairs.std() / half**0.5


@pytest.mark.parametrize("centred", [True, False])
def test_spectral_profile_is_the_minimum_over_linear_maps(nets, centred):
    _, embedding = nets
    for index in range(3):
        one = embedding._replace(**{name: getattr(embedding, name)[index] for name in embedding._fields})

        def mapped(flat, one=one):
            a = flat.reshape(3, 3)
            image = one._replace(mean=a @ one.mean, covariance=a @ one.covariance @ a.T, cross=a @ one.cross @ a.T)
            return float(spectral_contrastive_loss(image, centred=centred))

        start = np.linalg.inv(np.linalg.cholesky(one.covariance)).ravel()
        found = min(optimize.minimize(mapped, start * s, method="BFGS").fun for s in (1.0, 0.5))
        profile = spectral_contrastive_loss(one, profiled=True, centred=centred)
        assert profile <= mapped(start)
        np.testing.assert_allclose(found, profile, atol=1e-5)


def test_losses_depend_on_the_span_only(nets):
    moments, embedding = nets
    rng = np.random.default_rng(5)
    a = rng.normal(size=(3, 3)) * [[1e-4], [1.0], [1e3]]
    image = embedding._replace(
        mean=embedding.mean @ a.T,
        covariance=a @ embedding.covariance @ a.T,
        with_input=a @ embedding.with_input,
        cross=a @ embedding.cross @ a.T,
    )
    for loss in (
        lambda e: linear_prediction_loss(e, moments),
        lambda e: probe_loss(e, moments),
        lambda e: spectral_contrastive_loss(e, profiled=True),
    ):
        np.testing.assert_allclose(loss(image), loss(embedding), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_rank_deficient_and_dead_coordinates_leave_the_loss_alone(random_moments, scale):
    rng = np.random.default_rng(6)
    moments = random_moments(rng)
    weight = rng.normal(size=(2, 7))
    plain = linear_embedding(weight, moments)
    padded = linear_embedding(scale * np.vstack([weight, np.zeros(7), weight[0] + weight[1], 1e-6 * weight[0]]), moments)
    for loss in (
        lambda e: linear_prediction_loss(e, moments),
        lambda e: probe_loss(e, moments),
        lambda e: spectral_contrastive_loss(e, profiled=True),
    ):
        np.testing.assert_allclose(loss(padded), loss(plain), rtol=1e-9)


def test_a_constant_encoder_explains_nothing(random_moments):
    moments = random_moments(np.random.default_rng(7))
    dead = relu_embedding(np.zeros((4, 7)), np.ones((2, 4)), moments)
    assert linear_prediction_loss(dead, moments) == np.trace(moments.covariance)
    assert probe_loss(dead, moments) == moments.var_y
    assert spectral_contrastive_loss(dead, profiled=True) == 0


def test_opposite_views_earn_nothing(random_moments):
    """A map can switch a coordinate off, but no map makes anticorrelated views agree."""
    moments = random_moments(np.random.default_rng(11))
    moments = moments._replace(cross_covariance=np.diag([1.0, -1.0, 0, 0, 0, 0, 0]) * 0.1)
    both = linear_embedding(np.eye(7)[:2], moments)
    first = linear_embedding(np.eye(7)[:1], moments)
    second = linear_embedding(np.eye(7)[1:2], moments)
    assert spectral_contrastive_loss(second, profiled=True) == 0
    assert spectral_contrastive_loss(both, profiled=True) >= spectral_contrastive_floor(moments, 2, linear=True)
    assert spectral_contrastive_loss(first, profiled=True) < 0


def test_no_encoder_is_below_a_floor_or_the_bayes_risk(nets):
    moments, embedding = nets
    assert (linear_prediction_loss(embedding, moments) >= autoencoding_floor(moments.covariance, 3)).all()
    assert (spectral_contrastive_loss(embedding, profiled=True) >= spectral_contrastive_floor(moments, 3, linear=False)).all()
    assert (probe_loss(embedding, moments) >= bayes_loss(moments)).all()
    assert (probe_loss(embedding, moments) <= moments.var_y).all()
    hidden = np.random.default_rng(8).normal(size=(200, 9, 7))
    hidden[..., HIDDEN] = 0
    masked = relu_embedding(hidden, np.random.default_rng(9).normal(size=(200, 3, 9)), moments)
    assert (linear_prediction_loss(masked, moments, HIDDEN) >= fixed_mask_floor(moments, VISIBLE, HIDDEN, 3)).all()


def test_the_mask_floor_is_that_of_all_visible_inputs_at_full_rank(random_moments):
    moments = random_moments(np.random.default_rng(10))
    s = moments.covariance
    ab = s[np.ix_(VISIBLE, HIDDEN)]
    full = np.trace(s[np.ix_(HIDDEN, HIDDEN)]) - np.trace(ab.T @ np.linalg.solve(s[np.ix_(VISIBLE, VISIBLE)], ab))
    np.testing.assert_allclose(fixed_mask_floor(moments, VISIBLE, HIDDEN, 4), full, rtol=1e-9)
    floors = [fixed_mask_floor(moments, VISIBLE, HIDDEN, r) for r in (1, 2, 3)]
    assert floors[0] > floors[1] > floors[2] == pytest.approx(full)


def test_relu_features_beat_the_linear_spectral_floor(reference):
    """One coordinate, relu(u_1): only the mean makes it beat linear encoders; three centred ones do so by |u_1|."""
    moments = reference(0)
    axis = np.eye(6)[:1]
    one = relu_embedding(axis, np.ones((1, 1)), moments)
    linear = spectral_contrastive_floor(moments, 1, linear=True)
    rho = 8 / 9
    angle = np.arccos(rho)
    kernel = (np.sin(angle) + (np.pi - angle) * rho) / np.pi  # E relu(u)relu(v) / E relu(u)^2
    raw = spectral_contrastive_loss(one, profiled=True, centred=False)
    np.testing.assert_allclose(raw, -(kernel**2), rtol=1e-12)
    assert round(float(raw), 4) == -0.8101 < linear
    # Centred, linear functions are the most correlated ones of a Gaussian pair: the two floors agree at rank 1.
    assert spectral_contrastive_loss(one, profiled=True) > linear
    np.testing.assert_allclose(spectral_contrastive_floor(moments, 1, linear=False), linear, rtol=1e-12)

    both = np.eye(6)[:2]
    output = np.array([[1, 0, -1, 0], [0, 1, 0, -1], [1, 0, 1, 0]])  # u_1, u_2, |u_1|
    three = relu_embedding(np.vstack([both, -both]), output, moments)
    absolute = (2 / np.pi * (np.sqrt(1 - rho**2) + rho * np.arcsin(rho) - 1)) / (1 - 2 / np.pi)  # correlation of |u|, |v|
    centred = spectral_contrastive_loss(three, profiled=True)
    np.testing.assert_allclose(centred, -(rho**2) - 0.8**2 - absolute**2, rtol=1e-9)
    assert spectral_contrastive_floor(moments, 3, linear=False) < centred < spectral_contrastive_floor(moments, 3, linear=True)


def test_faults_are_named(nets):
    moments, embedding = nets
    with pytest.raises(ValueError, match="cross"):
        spectral_contrastive_loss(embedding._replace(cross=None))
    with pytest.raises(ValueError, match="block"):
        linear_prediction_loss(embedding, moments, [7])
    with pytest.raises(ValueError, match="head"):
        linear_prediction_loss(embedding, moments, HIDDEN, head=(np.ones((7, 3)), None))
    with pytest.raises(ValueError, match="cross_covariance"):
        spectral_contrastive_floor(moments._replace(cross_covariance=None), 2, linear=True)
