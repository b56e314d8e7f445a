"""Nearest neighbours against another package, and what they cannot promise."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from interface.adaptations import NearestNeighbours


def sample(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, (x + rng.gumbel(size=(n, 3))).argmax(1)


@pytest.mark.parametrize("k", [1, 7, 200])
def test_shares_and_means_are_those_of_another_package(k):
    (x, y), (new, label) = sample(), sample(60, seed=1)
    share = KNeighborsClassifier(k).fit(x, y).predict_proba(new)
    smoothed = (k * share + 0.5) / (k + 1.5)
    np.testing.assert_allclose(NearestNeighbours(k).fit(x, y).loss(new, label), -np.log(smoothed[np.arange(60), label]))
    values = KNeighborsRegressor(k).fit(x, x[:, 0] ** 2).predict(new)
    np.testing.assert_allclose(NearestNeighbours(k).fit(x, x[:, 0] ** 2).predict(new), values)


def test_a_block_of_distances_at_a_time_is_the_same(monkeypatch):
    (x, y), test = sample(), sample(60, seed=1)
    whole = NearestNeighbours(5).bracket((x, y), test)
    monkeypatch.setattr("interface.adaptations.neighbours.BLOCK", 1)
    assert NearestNeighbours(5).bracket((x, y), test) == whole


def test_invariant_to_isometries_and_a_common_scale():
    (x, y), (new, label) = sample(), sample(60, seed=1)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    first = NearestNeighbours(5).bracket((x, y), (new, label)).high
    second = NearestNeighbours(5).bracket((7 * x @ rotation + 3, y), (7 * new @ rotation + 3, label)).high
    assert second == pytest.approx(first)
    assert NearestNeighbours(5).bracket((x * [1, 1, 50], y), (new * [1, 1, 50], label)).high != first


def test_only_an_upper_side_is_claimed():
    bracket = NearestNeighbours(5).bracket(sample(), sample(60, seed=1))
    assert bracket.status == "no_lower_side" and bracket.low == 0 and not bracket.solved and not bracket.certified


def test_a_class_without_neighbours_costs_a_finite_loss():
    x = np.array([[0.0], [0.1], [0.2], [9.0]])
    head = NearestNeighbours(3).fit(x, [0, 0, 0, 1], n_classes=3)
    assert head.loss([[0.0], [0.0]], [1, 2]).tolist() == pytest.approx([np.log(9)] * 2)  # 1/2 of 3 + 3/2
    single = NearestNeighbours(2).learn(x[:2], [0, 0], n_classes=3)
    assert single.loss(x, [0, 1, 2, 0]).isfinite().all()


def test_unusable_numbers_of_neighbours_are_refused():
    for k in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="NearestNeighbours: k"):
            NearestNeighbours(k)
    with pytest.raises(ValueError, match="at least k = 16"):
        NearestNeighbours().fit(*sample(10))
