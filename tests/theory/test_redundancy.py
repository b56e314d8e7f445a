import numpy as np
import pytest
from scipy import optimize

from interface.theory import barlow_twins_floor, barlow_twins_loss, linear_embedding, relu_embedding
from interface.theory.redundancy import energies, least_redundancy


def loss_of_map(flat, between, r):
    """The loss of the map whose rows, of whitened features, are scaled to 1."""
    b = flat.reshape(r, -1)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return float(np.sum((np.eye(r) - b @ between @ b.T) ** 2))


@pytest.mark.parametrize("rho", [[0.9, 0.8, 0.3], [1.0, 0.5, 0.0], [0.2, 0.1, 0.05], [0.9, 0.0, 0.0], [0.95, 0.9, 0.9]])
def test_the_least_loss_over_linear_maps_is_found_by_search(rho):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    between = rotation @ np.diag(rho) @ rotation.T
    searched = min(optimize.minimize(loss_of_map, rng.normal(size=9), args=(between, 3)).fun for _ in range(8))
    np.testing.assert_allclose(least_redundancy(np.array(rho)), searched, atol=1e-6)
    assert (energies(np.array(rho)) >= 0).all() and energies(np.array(rho)).sum() <= 3 + 1e-9


def test_energies_keep_the_order_and_broadcast():
    rho = np.array([[0.3, 0.9, 0.8], [0.9, 0.8, 0.3]])
    found = energies(rho)
    np.testing.assert_allclose(found[0], found[1][[2, 0, 1]])
    assert (np.diff(found[1]) > 0).all()  # the less correlated get more


def test_the_loss_equals_that_of_a_sample(random_moments, sampled):
    rng = np.random.default_rng(1)
    moments = random_moments(rng)
    hidden, output = rng.normal(size=(9, 7)), rng.normal(size=(3, 9))
    z1, z2 = (np.maximum(x @ hidden.T, 0) @ output.T for x in sampled(moments, 400_000, rng))
    correlation = np.corrcoef(z1.T, z2.T)[:3, 3:]
    apart = np.sum(correlation**2) - np.sum(np.diagonal(correlation) ** 2)
    for weight in (1.0, 0.1):
        by_hand = np.sum((1 - np.diagonal(correlation)) ** 2) + weight * apart
        exact = barlow_twins_loss(relu_embedding(hidden, output, moments), weight=weight)
        np.testing.assert_allclose(exact, by_hand, rtol=2e-2)


def test_profile_and_floor_are_ordered_and_the_best_span_reaches_the_floor(random_moments):
    rng = np.random.default_rng(2)
    moments = random_moments(rng)
    linear = linear_embedding(rng.normal(size=(200, 3, 7)), moments)
    relu = relu_embedding(rng.normal(size=(200, 9, 7)), rng.normal(size=(200, 3, 9)), moments)
    for embedding in (linear, relu):
        profiled = barlow_twins_loss(embedding, profiled=True)
        assert (profiled <= barlow_twins_loss(embedding) + 1e-9).all()
        assert (profiled >= barlow_twins_floor(moments, 3, linear=embedding is linear) - 1e-9).all()
    values, vectors = np.linalg.eigh(moments.covariance)
    whitener = (vectors / np.sqrt(values)) @ vectors.T
    top = np.linalg.eigh(whitener @ moments.cross_covariance @ whitener)[1][:, -3:].T @ whitener
    best = barlow_twins_loss(linear_embedding(top, moments), profiled=True)
    np.testing.assert_allclose(best, barlow_twins_floor(moments, 3, linear=True), rtol=1e-9)
    assert barlow_twins_floor(moments, 5, linear=False) < barlow_twins_floor(moments, 5, linear=True)


def test_the_profile_depends_on_the_span_only_and_a_dead_coordinate_counts_one(random_moments):
    rng = np.random.default_rng(3)
    moments = random_moments(rng)
    weight, mix = rng.normal(size=(3, 7)), rng.normal(size=(3, 3))
    one, other = (barlow_twins_loss(linear_embedding(w, moments), profiled=True) for w in (weight, mix @ weight))
    np.testing.assert_allclose(one, other, rtol=1e-9)
    alone = barlow_twins_loss(linear_embedding(weight[:1], moments))
    padded = barlow_twins_loss(linear_embedding(np.vstack([weight[:1], np.zeros(7)]), moments))
    np.testing.assert_allclose(padded, alone + 1)


def test_views_are_needed(reference):
    with pytest.raises(ValueError, match="cross"):
        barlow_twins_loss(linear_embedding(np.eye(6), reference(0)._replace(cross_covariance=None)))
