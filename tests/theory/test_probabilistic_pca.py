import numpy as np
import pytest
from scipy import optimize
from scipy.stats import multivariate_normal

from interface.theory import linear_embedding, relu_embedding, variational_floor, variational_loss


def negative_elbo(flat, covariance, with_input, k, variance, beta):
    """Of a posterior N(B z, diag(exp s)) with white z and a decoder u -> D u, by hand from second moments."""
    d = len(covariance)
    b, s, decoder = flat[: k * k].reshape(k, k), flat[k * k : k * k + k], flat[k * k + k :].reshape(d, k)
    code = b @ b.T
    error = (
        np.trace(covariance) - 2 * np.trace(decoder @ b @ with_input) + np.trace(decoder @ (code + np.diag(np.exp(s))) @ decoder.T)
    )
    divergence = np.trace(code) + np.sum(np.exp(s) - s - 1)
    return 0.5 * (error / variance + d * np.log(2 * np.pi * variance) + beta * divergence)


@pytest.mark.parametrize(("variance", "beta"), [(1.0, 1.0), (0.3, 2.0)])
def test_the_closed_form_is_the_minimum_over_posteriors_and_decoders(random_moments, variance, beta):
    rng = np.random.default_rng(0)
    moments = random_moments(rng)
    weight = rng.normal(size=(2, 7))
    embedding = linear_embedding(weight, moments)
    white = np.linalg.inv(np.linalg.cholesky(embedding.covariance)) @ embedding.with_input
    arguments = (moments.covariance, white, 2, variance, beta)
    searched = min(optimize.minimize(negative_elbo, rng.normal(size=4 + 2 + 14), args=arguments).fun for _ in range(6))
    np.testing.assert_allclose(variational_loss(embedding, moments, variance, beta), searched, atol=1e-5)


def test_the_floor_is_the_likelihood_of_probabilistic_pca(random_moments):
    moments = random_moments(np.random.default_rng(1))
    values, vectors = np.linalg.eigh(moments.covariance)
    for rank, variance in ((2, 0.5), (6, 0.5), (3, 100.0)):
        kept = np.where((np.arange(7) >= 7 - rank) & (values > variance), values, variance)
        model = (vectors * kept) @ vectors.T
        likelihood = 0.5 * (
            7 * np.log(2 * np.pi) + np.linalg.slogdet(model)[1] + np.trace(np.linalg.solve(model, moments.covariance))
        )
        np.testing.assert_allclose(variational_floor(moments.covariance, rank, variance), likelihood, rtol=1e-10)
    entropy = multivariate_normal(np.zeros(7), moments.covariance).entropy()
    assert variational_floor(moments.covariance, 7, values[0] / 2) == pytest.approx(
        entropy, rel=1e-9
    )  # all is kept: the model is true


def test_no_encoder_is_below_the_floor_and_principal_components_reach_it(random_moments):
    rng = np.random.default_rng(3)
    moments = random_moments(rng)
    floor = variational_floor(moments.covariance, 3, 0.4)
    linear = linear_embedding(rng.normal(size=(100, 3, 7)), moments)
    relu = relu_embedding(rng.normal(size=(100, 9, 7)), rng.normal(size=(100, 3, 9)), moments)
    for embedding in (linear, relu):
        assert (variational_loss(embedding, moments, 0.4) >= floor - 1e-9).all()
    top = np.linalg.eigh(moments.covariance)[1][:, -3:].T
    np.testing.assert_allclose(variational_loss(linear_embedding(top, moments), moments, 0.4), floor, rtol=1e-9)


def test_faults_are_named(random_moments):
    moments = random_moments(np.random.default_rng(4))
    for variance, beta in ((0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="variance, beta"):
            variational_floor(moments.covariance, 2, variance, beta)
