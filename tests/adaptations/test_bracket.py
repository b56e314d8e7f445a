import numpy as np
import pytest
import torch

from interface.adaptations import LinearProbe, minimal_adaptation_loss


def sample(n=600, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, (x[:, 0] + rng.logistic(size=n) > 0).astype(int)


def test_random_halves_follow_from_the_seed_alone():
    x, y = sample()
    torch.manual_seed(0)
    first = minimal_adaptation_loss(x, y, seed=3)
    torch.manual_seed(1)
    assert minimal_adaptation_loss(x, y, seed=3) == first != minimal_adaptation_loss(x, y, seed=4)
    assert first.low.n == first.high.n == 300 and first.status in ("ok", "crossed")


def test_a_test_sample_is_used_as_it_is():
    (x, y), other = sample(), sample(seed=1)
    assert minimal_adaptation_loss(x, y, test=other) == LinearProbe().bracket((x, y), other)


def test_it_beats_the_constant_predictor_on_a_signal():
    x, y = sample(2000)
    assert minimal_adaptation_loss(x, y).interval()[1] < np.log(2)


def test_the_scores_of_log_and_squared_loss_are_told_apart_by_the_labels():
    x, y = sample(2000)
    assert minimal_adaptation_loss(x, y.astype(float)).midpoint() < 0.25 < minimal_adaptation_loss(x, y).midpoint()


def test_known_probabilities_are_split_with_their_rows():
    x, y = sample()
    p = 1 / (1 + np.exp(-x[:, 0]))
    soft = minimal_adaptation_loss(x, y, soft=np.stack([1 - p, p], 1))
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert abs(float(soft.midpoint()) - entropy.mean()) < 4 * entropy.std() / np.sqrt(len(x))
    assert soft.low.stderr < 0.5 * minimal_adaptation_loss(x, y).low.stderr


def test_a_half_may_lack_the_last_class():
    x, y = sample(200)
    y = y.copy()
    y[0] = 2  # one row only: it falls into one half
    statuses = {minimal_adaptation_loss(x, y, seed=seed).status for seed in range(8)}
    assert "absent_class" in statuses and statuses & {"ok", "crossed"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones((3, 2)), "labels": [0, 1, 0]}, "at least 4"),
        ({"labels": np.zeros(5, int)}, "labels has shape"),
        ({"labels": 3}, "labels has shape"),
        ({"features": np.ones((2, 600, 3))}, "brackets"),
        ({"features": np.full((600, 3), np.nan)}, "features .* row 0"),
        ({"labels": np.ones(600, int)}, "one class only"),
        ({"soft": np.ones((5, 2))}, "soft has shape"),
        ({"test": (np.ones((600, 2)), np.zeros(600, int))}, "test has 2 features"),
    ],
)
def test_bad_input_is_named(change, message):
    x, y = sample()
    with pytest.raises(ValueError, match=message):
        minimal_adaptation_loss(**{"features": x, "labels": y, **change})
