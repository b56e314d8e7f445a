import numpy as np
import pytest

from interface.theory import band, interface_bound, rates, shift_constant
from interface.theory.embedding import linear_embedding, relu_embedding
from interface.theory.losses import bayes_loss, probe_loss


@pytest.mark.parametrize("columns", [1, 3])
def test_the_bound_holds_for_random_projectors_and_is_never_below_the_band(columns):
    rng = np.random.default_rng(columns)
    for rank in (1, 2, 4):
        factor, target = rng.normal(size=(6, 6)), rng.normal(size=(6, columns))
        S = factor @ factor.T
        top = np.linalg.eigh(S)[1][:, -rank:]
        basis = np.linalg.qr(top + np.exp(rng.uniform(-10, 1, (500, 1, 1))) * rng.normal(size=(500, 6, rank)))[0]
        excess = np.linalg.eigvalsh(S)[-rank:].sum() - np.einsum("nkr,kl,nlr->n", basis, S, basis)
        found = np.sum(target**2) - np.square(basis.swapaxes(-1, -2) @ target).sum((-2, -1))
        bound = interface_bound(S, target, rank, excess)
        assert (found <= bound + 1e-9).all()
        assert (band(S, target, rank, excess).high <= bound + 1e-6 * np.sum(target**2)).all()
        assert (bound <= np.sum(target**2)).all()


def test_a_closed_gap_at_the_rank_leaves_the_bound_of_a_smaller_subspace():
    S = np.diag([3.0, 1.0, 1.0, 0.0])
    bound = interface_bound(S, [1.0, 0.0, 0.0, 0.0], 2, 0.1)
    np.testing.assert_allclose(bound, 0.1 / (3 - 1), rtol=1e-9)
    assert interface_bound(S, [0.0, 1.0, 0.0, 0.0], 2, 0.1) == 1  # nothing better than the trivial bound


def test_nonlinear_eigenvalues_narrow_the_gap():
    S, target = np.diag([3.0, 2.0, 0.0]), [0.0, 1.0, 0.0]
    assert rates(S, target, 2).slope == pytest.approx(1 / 2)
    assert rates(S, target, 2, beyond=[1.5]).slope == pytest.approx(1 / 0.5)
    assert rates(S, target, 2, beyond=[2.5]).mismatch == 1  # two functions are preferred to the label
    assert interface_bound(S, target, 2, 0.01, beyond=[1.5]) > interface_bound(S, target, 2, 0.01)


def test_the_shift_constant_bounds_every_encoder_of_its_kind(random_moments):
    rng = np.random.default_rng(0)
    source = random_moments(rng)
    beta = np.linalg.solve(source.covariance, source.cov_xy)

    def moved(covariance):
        return source._replace(covariance=covariance, cov_xy=covariance @ beta, var_y=float(beta @ covariance @ beta) + 0.2)

    def worst(covariance, embed):
        on_source, on_target = (probe_loss(embed(m), m) - bayes_loss(m) for m in (source, moved(covariance)))
        return (on_target / on_source).max()

    other = random_moments(rng).covariance
    factor = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    root = np.linalg.cholesky(source.covariance)
    narrower = root @ factor @ np.diag(np.linspace(0.4, 0.99, 7)) @ factor.T @ root.T
    weight, hidden, output = (rng.normal(size=(500, *shape)) for shape in ((3, 7), (9, 7), (3, 9)))
    for covariance in (other, narrower):
        linear = worst(covariance, lambda m: linear_embedding(weight, m))
        assert linear <= shift_constant(source.covariance, covariance, linear=True) + 1e-9
        assert linear > 0.2 * shift_constant(source.covariance, covariance, linear=True)
        assert worst(covariance, lambda m: relu_embedding(hidden, output, m)) <= shift_constant(
            source.covariance, covariance, linear=False
        )
    assert shift_constant(source.covariance, other, linear=False) == np.inf
    assert shift_constant(source.covariance, narrower, linear=True) == pytest.approx(0.99)
    np.testing.assert_allclose(
        shift_constant(source.covariance, narrower, linear=False), np.prod(np.linspace(0.4, 0.99, 7)) ** -0.5, rtol=1e-9
    )
