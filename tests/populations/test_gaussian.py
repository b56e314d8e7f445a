import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from interface.core import Shift, fingerprint
from interface.populations.gaussian import GaussianFactor
from interface.theory import (
    autoencoding_operator,
    bayes_loss,
    linear_embedding,
    overlap_label,
    probe_loss,
    spectral_contrastive_floor,
    spectral_operator,
)

N = 40_000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shifted():
    world = GaussianFactor(index=2, dim=7, n_content=3, n_private=2)
    yield world
    for name in GaussianFactor.shifts:
        yield world.shift(name, 0.7)


@pytest.mark.parametrize("population", list(shifted()), ids=lambda p: p.applied.name)
def test_exact_moments_are_sample_moments(population):
    x, y = (part.double().numpy() for part in population.views(N, 2, generator()))
    assert x.shape == (N, 2, 7)
    assert y.shape == (N,)
    moments = population.moments()
    first, second = x[:, 0], x[:, 1]
    for products, exact in (
        (np.einsum("ni,nj->nij", first, first), moments.covariance),
        (np.einsum("ni,nj->nij", second, second), moments.covariance),
        (np.einsum("ni,nj->nij", first, second), moments.cross_covariance),
        (first * y[:, None], moments.cov_xy),
        (y**2, moments.var_y),
        (first, 0),
    ):
        error = products.std(axis=0) / N**0.5
        assert (np.abs(products.mean(axis=0) - exact) <= 4 * error).all()
    np.testing.assert_allclose(bayes_loss(moments), population.bayes_risk(), rtol=1e-9)


def test_samples_are_reproducible_float32_and_single_views():
    world = GaussianFactor()
    a, b, c = world.sample(50, generator(1)), world.sample(50, generator(1)), world.sample(50, generator(2))
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.y, b.y)
    assert not torch.equal(a.x, c.x)
    assert (a.x.shape, a.y.shape, a.x.dtype, a.y.dtype) == ((50, 16), (50,), torch.float32, torch.float32)
    with pytest.raises(ValueError, match="n, k"):
        world.views(5, 0, generator())


def test_no_linear_predictor_is_below_the_bayes_risk():
    for population in shifted():
        moments = population.moments()
        beta = np.linalg.solve(moments.covariance, moments.cov_xy)
        w = beta + np.random.default_rng(0).normal(size=(500, 7)) * np.logspace(-4, 1, 500)[:, None]
        losses = moments.var_y - 2 * w @ moments.cov_xy + np.einsum("ni,ij,nj->n", w, moments.covariance, w)
        assert (losses >= population.bayes_risk() - 1e-12).all()
        x, y = (part.double().numpy() for part in population.sample(20_000, generator(3)))
        fitted = np.linalg.lstsq(x[:10_000], y[:10_000], rcond=None)[0]
        errors = (x[10_000:] @ fitted - y[10_000:]) ** 2
        assert abs(errors.mean() - population.bayes_risk()) < 5 * errors.std() / 100  # 5: least squares itself costs d / n


def test_shifts_leave_alone_what_they_should():
    world = GaussianFactor(index=1)
    source = world.moments()
    for name in ("misalignment", "concept"):
        assert world.shift(name, 0.0) is world
        moved = world.shift(name, 1.0)
        assert moved.applied == Shift(name, 1.0, "concept")
        assert moved.instance == world.instance
        np.testing.assert_array_equal(moved.moments().covariance, source.covariance)
        np.testing.assert_allclose(moved.moments().var_y, source.var_y, rtol=1e-9)
        slopes = [np.linalg.solve(m.covariance, m.cov_xy) for m in (source, moved.moments())]
        assert abs(slopes[0] @ source.covariance @ slopes[1]) < 1e-9  # the new label is uncorrelated with the old one
    half, full = (world.shift("covariate", s) for s in (0.5, 1.0))
    assert full.applied.kind == "covariate"
    beta = np.linalg.solve(source.covariance, source.cov_xy)
    for moved in (half, full):
        np.testing.assert_allclose(np.linalg.solve(moved.moments().covariance, moved.moments().cov_xy), beta, rtol=1e-8)
        assert abs(moved.moments().var_y - source.var_y) > 1e-3
    assert abs(moved.moments().covariance - source.covariance).max() > 1e-2


def test_covariate_shift_multiplies_the_factors_variances_by_a_lognormal():
    def multipliers(world, strength):
        after = world.shift("covariate", strength).moments().cross_covariance
        values = np.linalg.eigvals(np.linalg.pinv(world.moments().cross_covariance) @ after).real
        return np.sort(values[np.abs(values) > 1e-6])

    logs = []
    for index in range(60):
        world = GaussianFactor(index=index)
        full = multipliers(world, 1.0)
        np.testing.assert_allclose(multipliers(world, 0.5) ** 2, full, rtol=1e-6)
        logs += np.log(full).tolist()
    assert len(logs) == 240
    assert abs(np.mean(logs)) < 4 * 0.8 / 240**0.5
    assert abs(np.std(logs) - 0.8) < 4 * 0.8 / 480**0.5


def test_wrong_shifts_are_refused():
    world = GaussianFactor()
    with pytest.raises(ValueError, match=r"concept, covariate, misalignment"):
        world.shift("rotation", 0.5)
    with pytest.raises(ValueError, match="strength"):
        world.shift("concept", 1.5)
    with pytest.raises(ValueError, match="already carries covariate"):
        world.shift("covariate", 0.5).shift("concept", 0.5)


def test_identities_are_stable_and_unique():
    digest = hashlib.sha256(b'{"index":3,"kind":"GaussianFactor"}').hexdigest()
    assert fingerprint(GaussianFactor(index=3)) == fingerprint(GaussianFactor(index=3, dim=16)) == "f" + digest[:11]
    worlds = [GaussianFactor(index=3), GaussianFactor(index=4), GaussianFactor(3, dim=12), GaussianFactor(3, noise=1.0)]
    worlds += [GaussianFactor(3, n_content=3), GaussianFactor(3, n_private=5)]
    assert worlds[0].instance == "GaussianFactor-3"
    assert len({world.instance for world in worlds}) == len({fingerprint(world) for world in worlds}) == 6
    assert len({fingerprint(world.shift("concept", s)) for world in worlds for s in (0.0, 0.5, 1.0)}) == 18
    covariances = {world.moments().covariance.tobytes() for world in worlds}
    assert len(covariances) == 6


def test_cached_moments_cannot_be_changed():
    world = GaussianFactor(index=5)
    assert world.moments() is GaussianFactor(index=5).moments()
    with pytest.raises(ValueError, match="read-only"):
        world.moments().covariance[0, 0] = 1.0


def test_the_default_label_is_content_at_overlap_1_and_invisible_to_contrast_at_0():
    world = GaussianFactor(index=6)
    operator = spectral_operator(world.moments())
    content = np.linalg.eigh(operator.S)[1][:, -4:].T @ operator.whitener
    for strength in (0.0, 0.5, 1.0):
        moments = world.shift("misalignment", strength).moments()
        excess = probe_loss(linear_embedding(content, moments), moments) - bayes_loss(moments)
        np.testing.assert_allclose(excess, strength, atol=1e-8)


def test_an_overlap_label_becomes_the_worlds_label():
    world = GaussianFactor(index=7)
    moments = world.moments()
    operator = autoencoding_operator(moments)
    label = overlap_label(moments, operator, 4, rng=np.random.default_rng(0))
    labelled = dataclasses.replace(world, label=label)
    assert labelled.instance == world.instance
    assert fingerprint(labelled) != fingerprint(world)
    largest = np.linalg.eigh(moments.covariance)[1][:, -4:].T
    for strength in (0.0, 0.25, 1.0):
        target = labelled.shift("misalignment", strength).moments()
        excess = probe_loss(linear_embedding(largest, target), target) - bayes_loss(target)
        np.testing.assert_allclose(excess, strength, atol=1e-8)
    with pytest.raises(ValueError, match="label has length 16"):
        GaussianFactor(dim=12, label=label)


def test_drawn_worlds_have_unit_directions_and_variances_in_range():
    for index in range(5):
        world = GaussianFactor(index=index)
        shared = world.moments().cross_covariance
        private = world.moments().covariance - shared - 0.25 * np.eye(16)
        for part in (shared, private):
            assert np.linalg.matrix_rank(part, tol=1e-6) == 4
            assert 4 * 0.5 <= np.trace(part) <= 4 * 4.0


def reference(phi):
    """Two content factors of variance 2, 1 and two private ones of variance 4, 3 on the first four of six axes."""
    return GaussianFactor.from_matrices(
        np.eye(6)[:, :2] * np.sqrt([2.0, 1.0]),
        np.eye(6)[:, 2:4] * np.sqrt([4.0, 3.0]),
        content_weights=np.cos(phi) * np.array([1, 0.5]) * np.sqrt([2.0, 1.0]),
        private_weights=np.sin(phi) * np.array([0.5, 0.5]) * np.sqrt([4.0, 3.0]),
        noise=0.5,
        label_noise=0.3,
    )


@pytest.mark.parametrize(
    ("phi", "var_y", "bayes"),
    [(0.0, 2.34, 0.3622222222222222), (np.pi / 4, 2.09, 0.28436902966314714), (np.pi / 2, 1.84, 0.2065158371040725)],
)
def test_a_world_from_matrices_has_the_law_of_its_factors(phi, var_y, bayes):
    world = reference(phi)
    moments = world.moments()
    np.testing.assert_allclose(moments.covariance, np.diag([2.25, 1.25, 4.25, 3.25, 0.25, 0.25]), atol=1e-12)
    np.testing.assert_allclose(moments.var_y, var_y, atol=1e-9)
    np.testing.assert_allclose(world.bayes_risk(), bayes, atol=1e-9)
    by_hand = [2 * np.cos(phi), 0.5 * np.cos(phi), 2 * np.sin(phi), 1.5 * np.sin(phi), 0, 0]
    np.testing.assert_allclose(moments.cov_xy, by_hand, atol=1e-9)
    np.testing.assert_allclose(spectral_contrastive_floor(moments, 2, linear=True), -1.4301234567901233, atol=1e-9)
    moved = world.shift("misalignment", 1.0).moments()
    np.testing.assert_allclose(moved.var_y, var_y, atol=1e-9)


def test_explicit_worlds_are_named_by_their_content():
    assert reference(0).instance == reference(1).instance != GaussianFactor().instance
    other = GaussianFactor.from_matrices(
        np.eye(3)[:, :1], np.eye(3)[:, 1:2], content_weights=[1], private_weights=[0], noise=0.5, label_noise=0.3
    )
    assert other.instance != reference(0).instance
    assert fingerprint(reference(0)) == fingerprint(reference(0)) != fingerprint(reference(1))


def test_impossible_worlds_are_refused():
    for bad, word in (
        ({"dim": 4}, "n_content < dim"),
        ({"n_private": 0}, "n_private"),
        ({"noise": 0.0}, "noise"),
        ({"content": ((1.0,),)}, "both"),
        ({"content": ((1.0,),), "private": ((1.0,),)}, "content has shape"),
    ):
        with pytest.raises(ValueError, match=word):
            GaussianFactor(**bad)
    with pytest.raises(ValueError, match="every weight is 0"):
        GaussianFactor.from_matrices(
            np.eye(3)[:, :1], np.eye(3)[:, 1:2], content_weights=[0], private_weights=[0], noise=1, label_noise=0
        )
    with pytest.raises(ValueError, match="weights"):
        GaussianFactor.from_matrices(
            np.eye(3)[:, :1], np.eye(3)[:, 1:2], content_weights=[1], private_weights=[], noise=1, label_noise=0
        )
