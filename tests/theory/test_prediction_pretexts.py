"""Denoising, cross-view prediction and linear tasks: closed forms against reference values, algebra by hand, and samples."""

import numpy as np
import pytest

from interface.theory import (
    applies,
    band,
    bayes_loss,
    clean_probe,
    compression,
    corrupted,
    cross_view_floor,
    cross_view_loss,
    cross_view_operator,
    denoising_floor,
    denoising_loss,
    denoising_operator,
    linear_embedding,
    probe_loss,
    relu_embedding,
    tasks_loss,
    tasks_operator,
)

NOISE = 0.7


def pca(moments, rank):
    return np.linalg.eigh(moments.covariance)[1][:, ::-1][:, :rank].T


def test_denoising_in_the_reference_world(reference):
    moments = reference(0)
    wide = corrupted(moments, 1.0)
    found = [float(denoising_loss(linear_embedding(pca(moments, r), wide), moments, 1.0)) for r in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, [8.059524, 5.574230, 4.016537, 3.322093], atol=1e-6)
    np.testing.assert_allclose([denoising_floor(moments.covariance, 1.0, r) for r in (1, 2, 3, 4)], found, rtol=1e-12)
    np.testing.assert_allclose(denoising_floor(moments.covariance, 1.0, 6), 3.222093, atol=1e-6)


def test_a_generic_encoder_in_the_reference_world(reference):
    moments = reference(np.pi / 4)
    weight = np.random.default_rng(0).normal(size=(3, 6))
    sigma, between = moments.covariance, moments.cross_covariance
    wide = linear_embedding(weight, corrupted(moments, 1.0))
    by_hand = np.trace(sigma) - np.trace(
        np.linalg.solve(weight @ (sigma + np.eye(6)) @ weight.T, weight @ sigma @ sigma @ weight.T)
    )
    np.testing.assert_allclose([denoising_loss(wide, moments, 1.0), by_hand], 5.724534, atol=1e-6)
    by_hand = np.trace(sigma) - np.trace(np.linalg.solve(weight @ sigma @ weight.T, weight @ between @ between @ weight.T))
    np.testing.assert_allclose([cross_view_loss(linear_embedding(weight, moments), moments), by_hand], 9.755718, atol=1e-6)


@pytest.fixture
def cases(random_moments):
    """For each pretext: (operator, loss of many linear encoders, loss of many relu encoders, floors by rank)."""
    rng = np.random.default_rng(0)
    moments = random_moments(rng)
    tasks = rng.normal(size=(5, 7))
    linear, hidden, output = rng.normal(size=(100, 3, 7)), rng.normal(size=(100, 9, 7)), rng.normal(size=(100, 3, 9))

    def both(seen):
        return linear_embedding(linear, seen), relu_embedding(hidden, output, seen)

    wide = both(corrupted(moments, NOISE))
    plain = both(moments)
    return moments, {
        "denoising": (
            denoising_operator(moments, NOISE),
            wide,
            lambda e: denoising_loss(e, moments, NOISE),
            lambda r: denoising_floor(moments.covariance, NOISE, r),
        ),
        "cross view": (
            cross_view_operator(moments),
            plain,
            lambda e: cross_view_loss(e, moments),
            lambda r: cross_view_floor(moments, r),
        ),
        "tasks": (tasks_operator(moments, tasks), plain, lambda e: tasks_loss(e, moments, tasks), None),
    }


def test_losses_are_affine_in_the_compression_and_never_below_the_floor(cases):
    _, by_name = cases
    for operator, embeddings, loss, floor in by_name.values():
        for embedding in embeddings:
            found = loss(embedding)
            q = compression(embedding, operator)
            np.testing.assert_allclose(found, operator.c - np.einsum("nij,ij->n", q, operator.S), rtol=1e-9)
            assert (found >= operator.floor(3, linear=False) - 1e-9).all()
        if floor is not None:
            for rank in range(1, 8):
                np.testing.assert_allclose(operator.floor(rank, linear=False), floor(rank), rtol=1e-9)


def test_probes_stay_in_the_band(cases):
    """Random encoders, and encoders near the floor, on a label that the pretext's optimum reads: L*_adapt is where it may be."""
    moments, by_name = cases
    rng = np.random.default_rng(4)
    for name in ("cross view", "tasks"):
        operator, embeddings, loss, _ = by_name[name]
        top = np.linalg.eigh(operator.S)[1][:, -3:].T
        slope = operator.slope(top.sum(0))
        world = moments._replace(cov_xy=moments.covariance @ slope, var_y=float(slope @ moments.covariance @ slope))
        near = linear_embedding((top + 0.05 * rng.normal(size=(50, 3, 7))) @ operator.whitener, world)
        for embedding in (*embeddings, near):
            ends = band(operator.S, operator.target(world.cov_xy), 3, loss(embedding) - operator.floor(3, linear=False))
            excess = probe_loss(embedding, world)
            assert (excess >= ends.low - 1e-6).all() and (excess <= ends.high + 1e-6).all()
        assert ends.high.max() < 0.5 * world.var_y  # the last ones are near the floor, where the band says something


def test_the_best_span_reaches_the_floor(cases):
    moments, by_name = cases
    for name, (operator, _, loss, _) in by_name.items():
        top = np.linalg.eigh(operator.S)[1][:, -3:].T @ operator.whitener
        seen = corrupted(moments, NOISE) if name == "denoising" else moments
        np.testing.assert_allclose(loss(linear_embedding(top, seen)), operator.floor(3, linear=True), rtol=1e-9)


def test_losses_equal_their_sample_means(random_moments, sampled):
    rng = np.random.default_rng(1)
    moments = random_moments(rng)
    hidden, output, tasks = rng.normal(size=(9, 7)), rng.normal(size=(3, 9)), rng.normal(size=(4, 7))
    x, other = sampled(moments, 200_000, rng)
    noisy = x + NOISE * rng.normal(size=x.shape)
    wide, plain = (relu_embedding(hidden, output, m) for m in (corrupted(moments, NOISE), moments))
    for seen, target, share, exact in (
        (noisy, x, 1, denoising_loss(wide, moments, NOISE)),
        (x, other, 1, cross_view_loss(plain, moments)),
        (x, x @ tasks.T, 4, tasks_loss(plain, moments, tasks)),
    ):
        z = np.column_stack([np.maximum(seen @ hidden.T, 0) @ output.T, np.ones(len(x))])
        losses = np.square(z @ np.linalg.lstsq(z, target, rcond=None)[0] - target).sum(1) / share
        assert abs(losses.mean() - exact) < 4 * losses.std() / len(x) ** 0.5


def test_a_given_head_is_never_below_the_profile_and_equal_at_the_best_head(random_moments):
    rng = np.random.default_rng(2)
    moments = random_moments(rng)
    wide = corrupted(moments, NOISE)
    embedding = relu_embedding(rng.normal(size=(9, 7)), rng.normal(size=(3, 9)), wide)
    profiled = denoising_loss(embedding, moments, NOISE)
    assert denoising_loss(embedding, moments, NOISE, head=(rng.normal(size=(7, 3)), rng.normal(size=7))) > profiled
    clean = embedding.with_input @ np.linalg.solve(wide.covariance, moments.covariance)
    best = np.linalg.solve(embedding.covariance, clean).T
    np.testing.assert_allclose(denoising_loss(embedding, moments, NOISE, head=(best, -best @ embedding.mean)), profiled, rtol=1e-9)


def test_a_probe_of_clean_inputs_stays_below_its_limit_and_not_in_the_band_of_the_noisy_one(random_moments):
    """Linear denoising encoders near the floor: the one-sided limit holds for all, the band of the noisy label does not."""
    rng = np.random.default_rng(3)
    outside = 0
    for _ in range(20):
        moments = random_moments(rng)
        operator, limit = denoising_operator(moments, 1.5), clean_probe(moments, 1.5)
        assert 0 < limit.factor < 1
        top = np.linalg.eigh(operator.S)[1][:, -3:].T @ operator.whitener
        weight = top + 0.2 * rng.normal(size=(30, 3, 7)) @ operator.whitener
        excess = denoising_loss(linear_embedding(weight, corrupted(moments, 1.5)), moments, 1.5) - operator.floor(3, linear=True)
        clean = probe_loss(linear_embedding(weight, moments), moments) - bayes_loss(moments)
        assert (clean <= limit.factor * band(operator.S, limit.target, 3, excess).high + 1e-6).all()
        naive = band(operator.S, operator.target(moments.cov_xy), 3, excess)
        outside += int(((clean > naive.high + 1e-6) | (clean < naive.low - 1e-6)).sum())
    assert outside > 0


def test_what_applies():
    for name in ("CrossView", "MultiTask"):
        assert applies(name, linear_encoder=False).holds
    assert applies("Denoising", linear_encoder=False, noisy_probe=True).holds
    refused = applies("Denoising", linear_encoder=True)
    assert not refused.holds and "clean" in refused.reason and "clean_probe" in refused.reason


def test_faults_are_named(reference):
    moments = reference(0)._replace(cross_covariance=None)
    with pytest.raises(ValueError, match="cross_covariance"):
        cross_view_floor(moments, 2)
    with pytest.raises(ValueError, match="cross_covariance"):
        cross_view_operator(moments)
    for noise in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="noise"):
            corrupted(moments, noise)
