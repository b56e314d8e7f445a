import numpy as np
import pytest
import torch

from interface.adaptations import LinearBall, LinearProbe, minimal_adaptation_loss, replications
from interface.core import Bracket, Estimate
from interface.seeds import stream


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
        ({"features": np.ones((0, 3)), "labels": []}, "features has shape"),
        ({"labels": []}, "labels has shape"),
        ({"labels": np.full(600, -1)}, "labels lie in"),
        ({"labels": np.full(600, 2**62)}, "labels go up to"),
        ({"labels": ["a"] * 600}, "labels is list"),
        ({"labels": np.full(600, np.nan)}, "not a finite real number"),
        ({"features": np.where(np.arange(600)[:, None] == 7, np.inf, np.ones((600, 3)))}, "features .* row 7"),
        ({"soft": np.full((600, 2), 0.7)}, "no probabilities"),
        ({"folds": 1}, "folds is 1"),
        ({"folds": 301}, "folds is 301"),
        ({"folds": 2.0}, "folds is 2.0"),
        ({"folds": True}, "folds is True"),
        ({"folds": 2, "test": sample(seed=1)}, "test sample is given"),
    ],
)
def test_bad_input_is_named(change, message):
    x, y = sample()
    with pytest.raises(ValueError, match=message):
        minimal_adaptation_loss(**{"features": x, "labels": y, **change})


def test_half_precision_and_gradients_are_welcome():
    x, y = sample()
    coarse = torch.tensor(x).bfloat16().requires_grad_()
    found = minimal_adaptation_loss(coarse, torch.tensor(y))
    assert found == minimal_adaptation_loss(coarse.detach().double(), y) and found.status in ("ok", "crossed")


def test_folds_are_tested_on_what_they_did_not_fit():
    x, y = sample(90)
    found = minimal_adaptation_loss(x, y, folds=3, seed=1)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(stream("halves", 1))).numpy()
    parts = [order[k::3] for k in range(3)]
    brackets = []
    for k in range(3):
        rest = np.concatenate([part for j, part in enumerate(parts) if j != k])
        brackets.append(LinearProbe().bracket((x[rest], y[rest]), (x[parts[k]], y[parts[k]])))
    assert found.low == pytest.approx(np.mean([b.low for b in brackets]), abs=1e-6)
    assert found.high == pytest.approx(np.mean([b.high for b in brackets]), abs=1e-5)
    student = 4.302653  # t at .975 of two degrees of freedom
    lower, upper = found.interval()
    jackknife = np.sqrt(2 / 3 * np.sum((np.array([b.low for b in brackets]) - found.low) ** 2))
    assert found.low - lower == pytest.approx(student * jackknife, rel=1e-3)
    assert upper - found.high == pytest.approx(student * np.std([b.high for b in brackets], ddof=1) / 3**0.5, rel=1e-3)
    assert found.low.n == found.high.n == 90


def test_the_jackknife_error_of_folds_is_of_the_size_of_the_losses_spread():
    # the mean of n losses has error sd / n^.5, however much the folds share
    errors = []
    for seed in range(20):
        x, y = sample(400, seed=seed)
        errors.append(minimal_adaptation_loss(x, y, folds=10).low.stderr)
    head = LinearProbe().fit(x, y)
    expected = float(head.loss(x, y).std()) / 20
    assert 0.8 * expected < np.mean(errors) < 1.8 * expected  # Student's widening is 1.15


def test_folds_are_never_certified_and_accept_soft_labels():
    x, y = sample()
    assert minimal_adaptation_loss(x, y, LinearBall()).certified
    assert not minimal_adaptation_loss(x, y, LinearBall(), folds=5).certified
    p = 1 / (1 + np.exp(-x[:, 0]))
    soft = minimal_adaptation_loss(x, y, soft=np.stack([1 - p, p], 1), folds=5)
    assert soft.interval()[1] - soft.interval()[0] < 0.06


def side(value, error=0.1, status="ok"):
    return Estimate(value, stderr=error, how="held_out", n=10, status=status)


def test_replications_average_and_keep_the_worst_gap_and_status():
    brackets = [Bracket(side(0.2), side(0.5), gap=1e-8), Bracket(side(0.4, status="vacuous_lower"), side(0.7, 0.3), gap=1e-3)]
    joined = replications(brackets)
    assert (joined.low, joined.high, joined.gap) == (pytest.approx(0.3), pytest.approx(0.6), 1e-3)
    assert joined.status == "vacuous_lower" and joined.high.stderr == pytest.approx(0.2) and joined.low.n == 20
    assert joined.low - joined.interval()[0] == pytest.approx(12.7062 * 0.1 + 1e-3, rel=1e-4)  # t of one degree of freedom
    infinite = replications([brackets[0], Bracket(side(0.2), side(np.inf, None, "absent_class"), gap=0.0)])
    assert infinite.high == np.inf and infinite.high.stderr is None and infinite.status == "absent_class"
    with pytest.raises(ValueError, match="at least 2"):
        replications(brackets[:1])
