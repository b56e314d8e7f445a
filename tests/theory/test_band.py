import numpy as np
import pytest
from scipy import optimize

from interface.theory import (
    autoencoding_operator,
    band,
    bayes_loss,
    fixed_mask_operator,
    interface_bound,
    linear_embedding,
    linear_prediction_loss,
    position,
    probe_loss,
    rates,
    relu_embedding,
    spectral_contrastive_loss,
    spectral_operator,
)

TOLERANCE = 1e-6
VISIBLE, HIDDEN = [0, 2, 4, 6], [1, 3, 5]
PRETEXTS = {
    "autoencoding": (autoencoding_operator, linear_prediction_loss, np.ones(7)),
    "mask": (
        lambda m: fixed_mask_operator(m, VISIBLE, HIDDEN),
        lambda e, m: linear_prediction_loss(e, m, HIDDEN),
        np.isin(np.arange(7), VISIBLE).astype(float),
    ),
    "spectral": (spectral_operator, lambda e, m: spectral_contrastive_loss(e, profiled=True), np.ones(7)),
}


def maximisers(S, target, rank, multipliers, sign):
    """Spans (m, rank, k) that maximise tr P(sign T + l S): encoders on the edge of the band."""
    matrices = sign * np.outer(target, target) + multipliers[:, None, None] * S
    return np.linalg.eigh(matrices)[1][..., -rank:].swapaxes(-1, -2)


def attacks(operator, target, rank, rng, n):
    """Weights (m, rank, d): random, near the pretext's optimum, and near both edges, at many distances."""
    multipliers = np.exp(rng.uniform(-4, 6, n))
    edges = [maximisers(operator.S, target, rank, multipliers, sign) for sign in (1, -1)]
    best = np.broadcast_to(np.linalg.eigh(operator.S)[1][:, -rank:].T, edges[0].shape)
    near = np.concatenate([*edges, best])
    near = near + np.exp(rng.uniform(-14, 0, (len(near), 1, 1))) * rng.normal(size=near.shape)
    return np.concatenate([near, rng.normal(size=near.shape)]) @ operator.whitener


def as_relu(weight, rng, extra=5):
    """The same functions by pairs of opposite units, some as absolute values, disturbed, with further units mixed in."""
    n, r, d = weight.shape
    size = np.exp(rng.uniform(-12, 0, (n, 1, 1)))
    hidden = np.concatenate([weight, -weight, rng.normal(size=(n, extra, d))], axis=1)
    linear = np.where(rng.random((n, 1, r)) < 0.8, -1.0, 1.0)  # relu(u) - relu(-u) is u, relu(u) + relu(-u) is |u|
    output = np.concatenate([np.broadcast_to(np.eye(r), (n, r, r)), linear * np.eye(r)], axis=2)
    output = np.concatenate([output, size * rng.normal(size=(n, r, extra))], axis=2)
    return hidden + size * rng.normal(size=hidden.shape) * np.abs(hidden), output


def assert_inside(adapt_excess, ends):
    assert (adapt_excess >= ends.low - TOLERANCE).all()
    assert (adapt_excess <= ends.high + TOLERANCE).all()


@pytest.mark.parametrize("pretext", PRETEXTS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_encoder_lies_in_the_band(random_moments, pretext, rank):
    build, loss, seen = PRETEXTS[pretext]
    rng = np.random.default_rng(rank)
    moments = random_moments(rng)
    operator = build(moments)
    target = operator.target(moments.cov_xy)
    least = moments.var_y - target @ target
    weight = attacks(operator, target, rank, rng, 150)
    for linear in (True, False):
        if linear:
            embedding = linear_embedding(weight, moments)
        else:
            hidden, output = as_relu(weight, rng)
            embedding = relu_embedding(hidden * seen, output, moments)
        beyond = () if linear else operator.beyond
        excess = loss(embedding, moments) - operator.floor(rank, linear=linear)
        assert (excess > -1e-9).all()
        found = probe_loss(embedding, moments) - least
        assert_inside(found, band(operator.S, target, rank, excess, beyond=beyond))
        assert (found <= interface_bound(operator.S, target, rank, excess, beyond=beyond) + TOLERANCE).all()
        if linear:
            assert_inside(found, band(operator.S, target, rank, excess, compression=False))
        if pretext != "spectral":
            assert_inside(found, band(operator.S, target, rank, excess, at_equality=True))


def test_wide_relu_autoencoders_need_compressions(random_moments):
    """At rank d every linear encoder of full rank reads everything; a nonlinear one does not, and only compressions allow it."""
    rng = np.random.default_rng(0)
    moments = random_moments(rng)
    operator = autoencoding_operator(moments)
    target = operator.target(moments.cov_xy)
    embedding = relu_embedding(rng.normal(size=(50, 20, 7)), rng.normal(size=(50, 7, 20)), moments)
    excess = linear_prediction_loss(embedding, moments)
    found = probe_loss(embedding, moments) - bayes_loss(moments)
    assert_inside(found, band(operator.S, target, 7, excess))
    as_projectors = band(operator.S, target, 7, excess, compression=False)
    assert (found > as_projectors.high + TOLERANCE).all()


def test_the_linear_spectral_band_does_not_hold_for_nonlinear_encoders(reference):
    """u_1 and |u_1| beat the linear floor where one content factor is strong, yet read nothing of the label u_2."""
    moments = reference(0)._replace(cross_covariance=np.diag([2.2, 0.3, 0, 0, 0, 0]), cov_xy=2.25 * np.eye(6)[1])
    operator = spectral_operator(moments)
    target = operator.target(moments.cov_xy)
    axis = np.eye(6)[:1]
    embedding = relu_embedding(np.vstack([axis, -axis]), np.array([[1.0, -1.0], [1.0, 1.0]]), moments)  # u_1, |u_1|
    loss = spectral_contrastive_loss(embedding, profiled=True)
    found = target @ target  # nothing of u_2 is read
    assert loss < operator.floor(2, linear=True)
    assert band(operator.S, target, 2, loss - operator.floor(2, linear=True)).high < found - 0.1
    ends = band(operator.S, target, 2, loss - operator.floor(2, linear=False), beyond=operator.beyond)
    np.testing.assert_allclose(ends.high, found)


@pytest.mark.parametrize("sign", [1, -1])
def test_both_edges_are_attained(sign):
    rng = np.random.default_rng(1)
    for rank in (1, 2, 4):
        factor, target = rng.normal(size=(6, 6)), rng.normal(size=6)
        S = factor @ factor.T
        basis = maximisers(S, target, rank, np.exp(rng.uniform(-3, 6, 60)), sign)
        floor = np.linalg.eigvalsh(S)[-rank:].sum()
        excess = floor - np.einsum("nik,kl,nil->n", basis, S, basis)
        found = target @ target - np.square(basis @ target).sum(-1)
        for at_equality in (False, True):
            ends = band(S, target, rank, excess, at_equality=at_equality)
            np.testing.assert_allclose(ends.low if sign == 1 else ends.high, found, atol=2e-6 * (target @ target))


def test_the_dual_is_solved_where_it_has_kinks(reference):
    """Against a scalar minimiser of the same dual: eigenvalues cross there, because the world's axes decouple."""
    moments = reference(0.6)
    for operator, beyond in ((autoencoding_operator(moments), ()), (spectral_operator(moments), spectral_operator(moments).beyond)):
        target = operator.target(moments.cov_xy)
        rank = 3
        extra = np.sort(beyond)[::-1][:rank]
        best = np.sort(np.concatenate([np.linalg.eigvalsh(operator.S), extra]))[-rank:].sum()

        def dual(logarithm, sign, excess, operator=operator, target=target, extra=extra, best=best, rank=rank):
            multiplier = np.exp(logarithm)
            linear = np.linalg.eigvalsh(sign * np.outer(target, target) + multiplier * operator.S)
            top = np.sort(np.concatenate([linear, multiplier * extra]))[-rank:].clip(min=0).sum()
            return top - multiplier * (best - excess)

        for excess in (1e-3, 0.02, 0.1, 0.3, 0.5):
            values = []
            for sign in (1, -1):
                start = min(np.linspace(-12, 12, 200), key=lambda at, s=sign, e=excess: dual(at, s, e))
                solved = optimize.minimize_scalar(dual, bounds=(start - 0.2, start + 0.2), args=(sign, excess), method="bounded")
                values.append(min(solved.fun, dual(-40, sign, excess)))
            found = band(operator.S, target, rank, excess, beyond=beyond, tolerance=1e-9)
            np.testing.assert_allclose(found, (target @ target - values[0], target @ target + values[1]), atol=1e-5)


def test_several_targets_and_two_dimensions_by_brute_force():
    """Every rank-1 projector of the plane, and every shrunken one, for a target with two columns."""
    S, target = np.diag([2.0, 1.0]), np.array([[1.0, 0.3], [-0.4, 0.8]])
    angle = np.linspace(0, np.pi, 4001)
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    kept, read = np.einsum("ni,ij,nj->n", basis, S, basis), np.square(basis @ target).sum(-1)
    shrinkage = np.linspace(0, 1, 1001)[:, None]
    for excess in (0.05, 0.4, 0.9):
        for compression, t in ((False, np.ones((1, 1))), (True, shrinkage)):
            ends = band(S, target, 1, excess, compression=compression)
            lost = (np.sum(target**2) - t * read)[2 - t * kept <= excess]
            np.testing.assert_allclose(ends, (lost.min(), lost.max()), atol=2e-3)
            assert ends.low <= lost.min() + 1e-9
            assert ends.high >= lost.max() - 1e-9
    projectors, spans = (band(S, target, 1, 0.4, compression=c) for c in (False, True))
    assert spans.high > projectors.high + 0.01  # a nonlinear encoder can read less of everything


@pytest.mark.parametrize(
    ("phi", "expected"),
    [
        (
            0.0,
            {
                0.01: (0.09711860198424538, 0.3344369535713161),
                0.05: (0.018974373027315528, 0.5388034047504637),
                0.1: (6.901377811452392e-06, 0.7155486541777412),
                0.5: (0.0, 1.5851736828888325),
                1.0: (0.0, 1.9777777777777776),
            },
        ),
        (
            np.pi / 4,
            {
                0.01: (0.04181537302424876, 0.18087620714934904),
                0.05: (0.003917684480911676, 0.3095695866261068),
                0.1: (0.0, 0.42488070138552847),
                0.5: (0.0, 1.0468286295926401),
                1.0: (0.0, 1.5549261851977667),
            },
        ),
    ],
)
def test_band_of_the_reference_world(reference, phi, expected):
    moments = reference(phi)
    operator = autoencoding_operator(moments)
    found = band(operator.S, operator.target(moments.cov_xy), 3, list(expected))
    np.testing.assert_allclose(np.transpose(found), list(expected.values()), atol=1e-5)


def test_zero_is_reached_where_the_mismatch_is_rotated_away(reference):
    """An encoder through the label's direction and the two largest axes: excess delta a_{r+1}^2 / |a_2|^2."""
    moments = reference(0)
    operator = autoencoding_operator(moments)
    target = operator.target(moments.cov_xy)
    excess = (2.25 - 1.25) * target[1] ** 2 / (target @ target)
    np.testing.assert_allclose(excess, 0.1011236, atol=1e-7)
    ends = band(operator.S, target, 3, [0.98 * excess, excess + 1e-9])
    assert ends.low[0] > 1e-6
    assert ends.low[1] < 1e-9


def test_at_the_floor_the_band_is_the_mismatch_and_opens_at_the_stated_rates():
    rng = np.random.default_rng(2)
    factor, target = rng.normal(size=(6, 6)), rng.normal(size=6)
    S = factor @ factor.T
    found = rates(S, target, 2)
    ends = band(S, target, 2, [0.0, 1e-8], tolerance=1e-9)
    np.testing.assert_allclose((ends.low[0], ends.high[0]), found.mismatch, atol=5e-6 * (target @ target))
    np.testing.assert_allclose((ends.high[1] - found.mismatch) / 1e-4, found.root, rtol=1e-2)
    np.testing.assert_allclose((found.mismatch - ends.low[1]) / 1e-4, found.root, rtol=1e-2)
    values, vectors = np.linalg.eigh(S)
    aligned = vectors[:, -2:] @ [0.6, 0.8]
    exact = rates(S, aligned, 2)
    assert exact.mismatch < 1e-12
    np.testing.assert_allclose(exact.slope, 0.6**2 / (values[-2] - values[-3]) + 0.8**2 / (values[-1] - values[-3]), rtol=1e-9)
    np.testing.assert_allclose(band(S, aligned, 2, 1e-4, tolerance=1e-9).high, exact.slope * 1e-4, rtol=1e-2)


def test_position_is_zero_and_one_on_the_edges():
    rng = np.random.default_rng(4)
    factor, target = rng.normal(size=(6, 6)), rng.normal(size=6)
    S = factor @ factor.T
    for sign, place in ((1, 0), (-1, 1)):
        basis = maximisers(S, target, 2, np.array([0.5, 2.0, 20.0]), sign)
        excess = np.linalg.eigvalsh(S)[-2:].sum() - np.einsum("nik,kl,nil->n", basis, S, basis)
        ends = band(S, target, 2, excess, at_equality=True)
        np.testing.assert_allclose(position(target @ target - np.square(basis @ target).sum(-1), ends), place, atol=1e-4)
    aligned = band(np.diag([2.0, 1.0]), [1.0, 0.0], 2, [0.0])
    assert np.isnan(position([0.0], aligned)).all()


def test_at_equality_a_useless_encoder_has_a_worst_case_only():
    """Excess of the constant encoder: every span left has to be empty."""
    S, target = np.diag([3.0, 2.0, 1.0]), [1.0, 1.0, 0.0]
    np.testing.assert_allclose(band(S, target, 2, 5.0, at_equality=True), (2, 2), atol=1e-5)
    np.testing.assert_allclose(band(S, target, 2, 5.0), (0, 2), atol=1e-5)
    np.testing.assert_allclose(band(S, target, 2, 2.0, at_equality=True, compression=False), (1, 1), atol=1e-5)  # P on the last two


def test_scale_shape_and_faults():
    rng = np.random.default_rng(5)
    factor, target = rng.normal(size=(5, 5)), rng.normal(size=5)
    S, excess = factor @ factor.T, np.array([[0.0, 0.1], [1.0, 30.0]])
    plain = band(S, target, 2, excess)
    assert plain.low.shape == (2, 2)
    scaled = band(1e6 * S, 1e-3 * target, 2, 1e6 * excess)
    np.testing.assert_allclose(np.array(scaled) * 1e6, plain, atol=3e-6 * (target @ target))
    np.testing.assert_allclose(band(S, np.zeros(5), 2, excess), np.zeros((2, 2, 2)))
    np.testing.assert_allclose(band(np.zeros((5, 5)), target, 2, 0.0), (0, target @ target), atol=1e-9)
    for bad, word in (((S, target[:4], 2, 0.1), "shape"), ((S, target, 0, 0.1), "rank"), ((S, target, 2, np.nan), "finite")):
        with pytest.raises(ValueError, match=word):
            band(*bad)
    with pytest.raises(ValueError, match="positive semi-definite"):
        band(-S, target, 2, 0.1)
