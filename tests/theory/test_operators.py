import itertools

import numpy as np
import pytest

from interface.theory import (
    autoencoding_operator,
    bayes_loss,
    compression,
    fixed_mask_floor,
    fixed_mask_operator,
    linear_embedding,
    linear_prediction_loss,
    probe_loss,
    relu_embedding,
    spectral_contrastive_floor,
    spectral_contrastive_loss,
    spectral_operator,
)
from interface.theory._base import hermite_spectrum

VISIBLE, HIDDEN = [0, 2, 4, 6], [1, 3, 5]


def encoders(moments, rng, visible=range(7), n=300):
    """Random linear and relu encoders with three coordinates that read the visible inputs only."""
    seen = np.isin(np.arange(7), list(visible))
    hidden = rng.normal(size=(n, 9, 7)) * seen
    return linear_embedding(rng.normal(size=(n, 3, 7)) * seen, moments), relu_embedding(hidden, rng.normal(size=(n, 3, 9)), moments)


def test_prediction_losses_are_affine_in_the_compression(random_moments):
    rng = np.random.default_rng(0)
    moments = random_moments(rng)
    for operator, visible, block in (
        (autoencoding_operator(moments), range(7), None),
        (fixed_mask_operator(moments, VISIBLE, HIDDEN), VISIBLE, HIDDEN),
    ):
        target = operator.target(moments.cov_xy)
        for embedding in encoders(moments, rng, visible):
            q = compression(embedding, operator)
            np.testing.assert_allclose(
                linear_prediction_loss(embedding, moments, block), operator.c - np.einsum("nij,ij->n", q, operator.S), rtol=1e-9
            )
            np.testing.assert_allclose(
                probe_loss(embedding, moments), moments.var_y - np.einsum("i,nij,j->n", target, q, target), rtol=1e-9
            )
            values = np.linalg.eigvalsh(q)
            assert (values > -1e-9).all()
            assert (values < 1 + 1e-9).all()
            assert (values.sum(-1) < 3 + 1e-9).all()
        linear, relu = (np.linalg.eigvalsh(compression(e, operator)) for e in encoders(moments, rng, visible))
        np.testing.assert_allclose(linear[:, -3:], 1, atol=1e-9)  # a projector
        assert relu[:, -1].max() < 1 - 1e-6  # not one


def test_the_spectral_operator_bounds_from_below_with_equality_on_invariant_spans(random_moments):
    rng = np.random.default_rng(1)
    moments = random_moments(rng)
    operator = spectral_operator(moments)
    linear, _ = encoders(moments, rng)
    outer = -np.einsum("nij,ij->n", compression(linear, operator), operator.S)
    loss = spectral_contrastive_loss(linear, profiled=True)
    assert (loss >= outer - 1e-12).all()
    assert (loss > outer + 1e-6).any()
    top = np.linalg.eigh(operator.S)[1][:, -3:].T @ operator.whitener
    best = linear_embedding(top, moments)
    np.testing.assert_allclose(spectral_contrastive_loss(best, profiled=True), operator.floor(3, linear=True), rtol=1e-9)


def test_floors_of_operators_and_losses_agree(random_moments):
    moments = random_moments(np.random.default_rng(2))
    for rank in range(1, 7):
        mask, spectral = fixed_mask_operator(moments, VISIBLE, HIDDEN), spectral_operator(moments)
        np.testing.assert_allclose(mask.floor(rank, linear=False), fixed_mask_floor(moments, VISIBLE, HIDDEN, rank), rtol=1e-9)
        for linear in (True, False):
            np.testing.assert_allclose(
                spectral.floor(rank, linear=linear), spectral_contrastive_floor(moments, rank, linear=linear), rtol=1e-9
            )


def test_slope_and_target_are_inverse_on_what_the_encoder_reads(random_moments):
    moments = random_moments(np.random.default_rng(3))
    direction = np.array([0.5, -0.5, 0.5, 0.5])
    operator = fixed_mask_operator(moments, VISIBLE, HIDDEN)
    beta = operator.slope(direction)
    assert not beta[HIDDEN].any()
    np.testing.assert_allclose(operator.target(moments.covariance @ beta), direction, rtol=1e-9)
    np.testing.assert_allclose(beta @ moments.covariance @ beta, 1, rtol=1e-9)


def test_hidden_inputs_hold_a_part_of_the_label_that_no_masked_encoder_reads(random_moments):
    moments = random_moments(np.random.default_rng(4))
    operator = fixed_mask_operator(moments, VISIBLE, HIDDEN)
    everything = np.eye(7)[VISIBLE]
    best = probe_loss(linear_embedding(everything, moments), moments)
    np.testing.assert_allclose(best, moments.var_y - np.sum(operator.target(moments.cov_xy) ** 2), rtol=1e-9)
    assert best > bayes_loss(moments)


@pytest.mark.parametrize("rho", [[0.9, 0.8, 0.1], [0.6, -0.5], [0.95]])
def test_hermite_spectrum_enumerates_products(rho):
    powers = [np.prod(np.power(rho, alpha)) for alpha in itertools.product(range(40), repeat=len(rho)) if sum(alpha) >= 2]
    expected = np.sort([p for p in powers if p > 0])[::-1][:12]
    np.testing.assert_allclose(hermite_spectrum(np.array(rho), 12), expected, rtol=1e-12)


def test_hermite_spectrum_is_that_of_the_conditional_expectation():
    """Discretised by Gauss-Hermite quadrature, the conditional expectation of one view given the other has these eigenvalues."""
    rho, nodes = 0.7, 60
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    density = np.exp(-(rho**2 * (x[:, None] ** 2 + x**2) - 2 * rho * x[:, None] * x) / (2 * (1 - rho**2))) / np.sqrt(1 - rho**2)
    kernel = np.sqrt(weight[:, None] * weight) * density
    values = np.sort(np.linalg.eigvalsh(kernel))[::-1]
    np.testing.assert_allclose(values[2:6], hermite_spectrum(np.array([rho]), 4), rtol=1e-6)  # after the constant and x itself


def test_noiseless_content_and_bad_blocks_are_refused(random_moments):
    with pytest.raises(ValueError, match="below 1"):
        hermite_spectrum(np.array([1.0, 0.5]))
    moments = random_moments(np.random.default_rng(5))
    for visible, hidden in (([0, 1], [1, 2]), ([], [1]), ([0], [7]), ([0, 0], [1])):
        with pytest.raises(ValueError, match="disjoint"):
            fixed_mask_operator(moments, visible, hidden)
    with pytest.raises(ValueError, match="cross_covariance"):
        spectral_operator(moments._replace(cross_covariance=None))
