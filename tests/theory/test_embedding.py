import numpy as np
import pytest

from interface.theory import linear_embedding, relu_embedding
from interface.theory.moments import Moments

N = 60_000


def assert_within_errors(products, exact):
    """Sample means over the first axis agree with `exact` to 4 standard errors, entry by entry."""
    error = products.std(axis=0) / len(products) ** 0.5
    assert (np.abs(products.mean(axis=0) - exact) <= 4 * error + 1e-12).all()


def assert_moments_of(embedding, z1, z2, x):
    """Products are centred by the *exact* mean, so that their sample means have simple standard errors."""
    assert_within_errors(z1, embedding.mean)
    a, b = z1 - embedding.mean, z2 - embedding.mean
    assert_within_errors(np.einsum("ni,nj->nij", a, a), embedding.covariance)
    assert_within_errors(np.einsum("ni,nj->nij", a, x), embedding.with_input)
    assert_within_errors(np.einsum("ni,nj->nij", a, b), embedding.cross)


@pytest.mark.parametrize("seed", [0, 1])
def test_moments_match_samples(random_moments, sampled, seed):
    rng = np.random.default_rng(seed)
    moments = random_moments(rng)
    x1, x2 = sampled(moments, N, rng)
    weight, hidden, output = rng.normal(size=(3, 7)), rng.normal(size=(9, 7)), rng.normal(size=(3, 9))
    hidden[:, [1, 4]] = 0  # two inputs that the encoder does not see
    assert_moments_of(linear_embedding(weight, moments), x1 @ weight.T, x2 @ weight.T, x1)
    relu = [np.maximum(x @ hidden.T, 0) @ output.T for x in (x1, x2)]
    assert_moments_of(relu_embedding(hidden, output, moments), *relu, x1)


def test_checkpoints_on_leading_axes_equal_one_at_a_time(random_moments):
    rng = np.random.default_rng(2)
    moments = random_moments(rng)
    hidden, output = rng.normal(size=(4, 5, 9, 7)), rng.normal(size=(4, 5, 3, 9))
    together = relu_embedding(hidden, output, moments)
    for index in np.ndindex(4, 5):
        for whole, alone in zip(together, relu_embedding(hidden[index], output[index], moments), strict=True):
            np.testing.assert_allclose(whole[index], alone, rtol=1e-12, atol=1e-14)
    weight = rng.normal(size=(4, 5, 3, 7))
    for whole, alone in zip(linear_embedding(weight, moments), linear_embedding(weight[1, 2], moments), strict=True):
        np.testing.assert_allclose(whole[1, 2], alone, rtol=1e-12, atol=1e-14)


def test_dead_and_repeated_units_are_exact(random_moments):
    rng = np.random.default_rng(3)
    moments = random_moments(rng)
    w = rng.normal(size=(1, 7))
    hidden = np.vstack([w, np.zeros((1, 7)), w, -w, 1e-9 * w])
    embedding = relu_embedding(hidden, np.eye(5), moments)
    variance = (w @ moments.covariance @ w.T).item()
    assert all(np.isfinite(part).all() for part in embedding)
    assert not embedding.covariance[1].any()
    assert embedding.mean[1] == 0
    np.testing.assert_allclose(embedding.covariance[0, [0, 2]], variance * (0.5 - 0.5 / np.pi), rtol=1e-9)
    np.testing.assert_allclose(embedding.covariance[0, 3], -variance / (2 * np.pi), rtol=1e-9)  # never active together
    np.testing.assert_allclose(embedding.with_input[0] - embedding.with_input[3], (w @ moments.covariance)[0], rtol=1e-9)


def test_a_pair_of_opposite_units_is_linear(random_moments):
    rng = np.random.default_rng(4)
    moments = random_moments(rng)
    weight = rng.normal(size=(3, 7))
    relu = relu_embedding(np.vstack([weight, -weight]), np.hstack([np.eye(3), -np.eye(3)]), moments)
    for part, linear in zip(relu, linear_embedding(weight, moments), strict=True):
        np.testing.assert_allclose(part, linear, rtol=1e-9, atol=1e-12)


def test_without_views_there_is_no_cross_covariance(random_moments):
    moments = random_moments(np.random.default_rng(5))._replace(cross_covariance=None)
    assert linear_embedding(np.ones((1, 7)), moments).cross is None
    assert relu_embedding(np.ones((2, 7)), np.ones((1, 2)), moments).cross is None


def test_shapes_that_do_not_fit_are_named():
    moments = Moments(np.eye(3), None, np.zeros(3), 1.0)
    with pytest.raises(ValueError, match="weight has shape"):
        linear_embedding(np.ones((2, 4)), moments)
    with pytest.raises(ValueError, match="hidden has shape"):
        relu_embedding(np.ones(3), np.ones((1, 1)), moments)
    with pytest.raises(ValueError, match="output has shape"):
        relu_embedding(np.ones((4, 3)), np.ones((1, 5)), moments)
