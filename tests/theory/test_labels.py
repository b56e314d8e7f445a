import numpy as np
import pytest

from interface.theory import (
    LinearLabel,
    autoencoding_operator,
    fixed_mask_operator,
    linear_embedding,
    overlap_label,
    probe_loss,
    spectral_operator,
)
from interface.theory._base import inverse_root
from interface.theory.moments import Moments

RANK = 2
PRETEXTS = {
    "autoencoding": autoencoding_operator,
    "mask": lambda m: fixed_mask_operator(m, [0, 2, 4, 6], [1, 3, 5]),
    "spectral": spectral_operator,
}


def labelled(moments, direction):
    """y = direction' Sigma^-1/2 x + noise of variance .1."""
    beta = inverse_root(moments.covariance) @ direction
    return moments._replace(cov_xy=moments.covariance @ beta, var_y=float(beta @ moments.covariance @ beta) + 0.1)


@pytest.mark.parametrize("pretext", PRETEXTS)
def test_the_linear_optimum_reads_exactly_the_overlap(random_moments, pretext):
    rng = np.random.default_rng(0)
    moments = random_moments(rng)
    operator = PRETEXTS[pretext](moments)
    label = overlap_label(moments, operator, RANK, rng=rng)
    optimum = linear_embedding(np.linalg.eigh(operator.S)[1][:, -RANK:].T @ operator.whitener, moments)
    everything = linear_embedding(operator.whitener, moments)  # all that the encoder is given
    for overlap in (0.0, 0.3, 1.0):
        task = labelled(moments, label.direction(overlap))
        np.testing.assert_allclose(task.var_y, 1.1, rtol=1e-9)
        np.testing.assert_allclose(probe_loss(optimum, task) - 0.1, 1 - overlap, atol=1e-9)
        np.testing.assert_allclose(probe_loss(everything, task), 0.1, atol=1e-9)  # a function of what it sees, at any overlap


def test_a_masked_label_uses_visible_inputs_only(random_moments):
    rng = np.random.default_rng(1)
    moments = random_moments(rng)
    label = overlap_label(moments, PRETEXTS["mask"](moments), RANK, rng=rng)
    for overlap in (0.0, 0.5, 1.0):
        beta = inverse_root(moments.covariance) @ label.direction(overlap)
        np.testing.assert_allclose(beta[[1, 3, 5]], 0, atol=1e-9)
    assert np.abs(inverse_root(moments.covariance) @ np.asarray(label.fresh))[[1, 3, 5]].min() > 1e-3  # fresh: the whole space


def test_directions_are_uniform_in_the_eigenspaces(random_moments):
    moments = random_moments(np.random.default_rng(2))
    operator = autoencoding_operator(moments)
    rng = np.random.default_rng(3)
    vectors = np.linalg.eigh(operator.S)[1][:, ::-1]
    n = 3000
    drawn = [overlap_label(moments, operator, RANK, rng=rng) for _ in range(n)]
    for name, columns in (("aligned", vectors[:, :RANK]), ("foreign", vectors[:, RANK:]), ("fresh", vectors)):
        weights = np.square(np.array([getattr(label, name) for label in drawn]) @ columns)
        k = columns.shape[1]
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)
        error = weights.std(axis=0) / n**0.5
        assert (np.abs(weights.mean(axis=0) - 1 / k) < 4 * error + 1e-12).all()


def test_a_concept_shift_turns_the_label_at_constant_length():
    label = LinearLabel((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.5, 0.5, 0.5, 0.5))
    start = label.direction()
    for strength in (0.25, 0.5, 1.0):
        moved = label.direction(concept=strength)
        np.testing.assert_allclose(np.linalg.norm(moved), 1, rtol=1e-12)
        np.testing.assert_allclose(moved @ start, np.cos(np.pi * strength / 2), atol=1e-12)
    mixed = label.direction(0.5, 1.0)
    np.testing.assert_allclose(mixed @ label.direction(0.5), 0, atol=1e-12)


def test_labels_without_meaning_are_refused():
    axes = np.eye(3).tolist()
    with pytest.raises(ValueError, match="unit vector"):
        LinearLabel((1.0, 1.0, 0.0), tuple(axes[1]), tuple(axes[2]))
    with pytest.raises(ValueError, match="orthogonal"):
        LinearLabel(tuple(axes[0]), tuple(axes[0]), tuple(axes[2]))
    with pytest.raises(ValueError, match="fresh"):
        LinearLabel(tuple(axes[0]), tuple(axes[1]), tuple(axes[1]))
    with pytest.raises(ValueError, match="scale"):
        LinearLabel(*map(tuple, axes), scale=0.0)
    with pytest.raises(ValueError, match="overlap"):
        LinearLabel(*map(tuple, axes)).direction(overlap=1.5)
    moments = Moments(np.diag([2.0, 1.0, 1.0]), None, np.zeros(3), 1.0)
    for rank, word in ((2, "equal eigenvalues"), (3, "allowed: 1 to 2"), (0, "allowed: 1 to 2")):
        with pytest.raises(ValueError, match=word):
            overlap_label(moments, autoencoding_operator(moments), rank, rng=np.random.default_rng(0))
