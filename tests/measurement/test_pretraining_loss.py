"""Estimators of L_pre against brute force, and on the reference language, where every number is known."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from interface.checkpoints import Checkpoint
from interface.core import Estimate
from interface.measurement import (
    bernstein_interval,
    draws_for_reliability,
    excess_by_difference,
    loss_arrays,
    loss_covariance,
    paired_differences,
    pretraining_loss,
    rao_blackwell,
    read_arrays,
    reliability,
    scale_profiled,
    temperature_calibrated,
    write_arrays,
)
from interface.measurement.pretraining import PretrainingLoss
from interface.populations import HiddenMarkov
from interface.theory import truncated

MOVES = ((0.8, 0.15, 0.05), (0.1, 0.8, 0.1), (0.05, 0.15, 0.8))
EMITS = ((0.7, 0.1, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1), (0.1, 0.1, 0.4, 0.4))
WORLD = HiddenMarkov.from_matrices(MOVES, EMITS, 6)  # contexts of five tokens, and the token to come
FLOOR = 1.2684932143804428


def contexts(n, seed=0):
    """p (n, 4), log q (n, 4) of the model of the last two tokens, and the token that came."""
    x = WORLD.sample(n, torch.Generator().manual_seed(seed)).x
    p = WORLD.predictive(x)[:, -1]
    q = torch.from_numpy(truncated(WORLD.model(), x[:, :5].numpy(), 2))
    return p, q.log(), x[:, 5]


def test_three_estimators_of_one_loss_and_their_spreads():
    n = 40_000
    p, log_q, z = contexts(n)
    hard = pretraining_loss(-log_q.gather(1, z[:, None]).squeeze(1))
    summed, difference = rao_blackwell(log_q, p), excess_by_difference(log_q, p, FLOOR)
    for found, spread in ((hard, 0.47861696), (summed, 0.08340295), (difference, 0.00918121)):
        assert found.stderr * n**0.5 == pytest.approx(spread, rel=0.04)
        assert abs(found - 1.2742624916554375) < 4.5 * found.stderr
        assert (found.how, found.n, found.status) == ("monte_carlo", n, "ok")
    assert 30 < (hard.stderr / summed.stderr) ** 2 < 36
    assert 2400 < (hard.stderr / difference.stderr) ** 2 < 3100
    assert excess_by_difference(log_q, p) == pytest.approx(difference - FLOOR, abs=1e-12)


def test_all_of_a_finite_support_is_exact():
    support = WORLD.support()
    p = WORLD.predictive(support.x)[:, -1]
    log_q = torch.from_numpy(truncated(WORLD.model(), support.x[:, :5].numpy(), 2)).log()
    hard = -log_q.gather(1, support.x[:, 5:]).squeeze(1)
    for losses in (hard, -(p * log_q).sum(1)):
        found = pretraining_loss(losses, probabilities=support.p)
        assert found == pytest.approx(1.2742624916554375, rel=1e-9)
        assert (found.how, found.stderr) == ("exact", 0.0)


def test_a_reference_model_of_known_loss_takes_out_what_the_draws_share():
    """The optimal model's loss is known; a model near it has almost the same luck."""
    p, log_q, z = contexts(5000, seed=3)
    hard, known = (-log.gather(1, z[:, None]).squeeze(1) for log in (log_q, p.log()))
    plain, controlled = pretraining_loss(hard), pretraining_loss(hard, control=known, reference_mean=FLOOR)
    assert controlled.stderr < plain.stderr / 4
    assert abs(controlled - 1.2742624916554375) < 4 * controlled.stderr
    useless = pretraining_loss(hard, control=torch.ones(5000), reference_mean=1.0)
    assert useless == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("with_control", [False, True])
def test_the_error_of_a_ratio_is_that_of_repetitions(with_control):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        counts = rng.integers(1, 9, size=200).astype(float)
        shared = rng.normal(size=200) * counts**0.5
        nats = 1.5 * counts + shared + 0.3 * rng.normal(size=200)
        more = {"control": 0.7 * counts + 2 * shared, "reference_mean": 0.7} if with_control else {}
        found.append(pretraining_loss(nats, counts, **more))
    spread = np.std(found)
    assert spread == pytest.approx(np.mean([one.stderr for one in found]), rel=0.15)
    assert abs(np.mean(found) - 1.5) < 4 * spread / 20
    assert (spread < 0.01) == with_control


def test_equal_counts_give_the_mean_and_its_error():
    losses = np.random.default_rng(1).random(50)
    found = pretraining_loss(3 * losses, np.full(50, 3.0))
    assert found == pytest.approx(losses.mean())
    assert found.stderr == pytest.approx(losses.std(ddof=1) / 50**0.5)


def test_the_bernstein_interval_holds_where_a_normal_one_fails():
    """Rare large losses: most samples of 100 hold none, and their normal interval is a point at 0."""
    rng, rare, normal, certified = np.random.default_rng(2), 0.005, 0, 0
    for _ in range(500):
        losses = (rng.random(100) < rare).astype(float)
        found = pretraining_loss(losses)
        low, high = bernstein_interval(losses, largest=1.0)
        normal += abs(found - rare) <= 1.96 * found.stderr
        certified += low <= rare <= high
    assert normal < 300
    assert certified == 500


def test_the_bernstein_interval_is_its_formula():
    losses, n = np.linspace(0.2, 0.8, 2000), 2000
    half = losses.std(ddof=1) * np.sqrt(2 * np.log(4 / 0.1) / n) + 7 * 1.0 * np.log(4 / 0.1) / (3 * (n - 1))
    assert bernstein_interval(losses, largest=1.0, level=0.1) == pytest.approx((0.5 - half, 0.5 + half))
    assert bernstein_interval(np.zeros(3), largest=0.5)[0] == 0.0


def test_predictions_within_a_unit_are_averaged():
    rng = np.random.default_rng(3)
    p, q = (torch.from_numpy(rng.dirichlet(np.ones(3), (20, 5))) for _ in range(2))
    found = rao_blackwell(q.log(), p)
    units = -(p * q.log()).sum(-1).mean(-1)
    assert (found, found.stderr, found.n) == pytest.approx((float(units.mean()), float(units.std() / 20**0.5), 20))


def test_what_the_model_rules_out_costs_nothing_where_it_cannot_happen():
    p = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]])
    q = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])
    assert rao_blackwell(q.log(), p) == pytest.approx(np.log(2))
    ruled_out = rao_blackwell(torch.tensor([[1.0, 0.0, 0.0]] * 2).log(), p)
    assert (float(ruled_out), ruled_out.stderr, ruled_out.status) == (np.inf, None, "infinite")


def test_covariance_is_that_of_means_over_repetitions():
    rng = np.random.default_rng(4)
    mix = rng.normal(size=(3, 3))
    losses = rng.normal(size=(2000, 3, 40))
    losses = np.einsum("ij,mjn->min", mix, losses)
    estimated = np.mean([loss_covariance(one) for one in losses], 0)
    np.testing.assert_allclose(estimated, mix @ mix.T / 40, atol=0.05 * np.abs(mix @ mix.T).max() / 40)
    np.testing.assert_allclose(loss_covariance(losses[0]), np.cov(losses[0]) / 40)
    first = pretraining_loss(losses[0, 0], counts := rng.integers(1, 5, 40))
    assert loss_covariance(losses[0], counts)[0, 0] == pytest.approx(first.stderr**2)


def test_differences_on_common_draws_are_those_of_the_pairs():
    rng = np.random.default_rng(5)
    ease = 3 * rng.normal(size=400)
    losses = np.stack([ease + shift + 0.1 * rng.normal(size=400) for shift in (0.0, 0.05, 0.2)])
    base, near, far = paired_differences(losses)
    assert (base, base.stderr) == (0.0, 0.0)
    pair = losses[2] - losses[0]
    assert (far, far.stderr) == pytest.approx((pair.mean(), pair.std(ddof=1) / 20))
    assert far > 10 * far.stderr  # against 0.2 / (3 / 20) of two separate errors
    assert pretraining_loss(losses[2]).stderr > 10 * far.stderr
    assert paired_differences(losses, baseline=1)[0] == pytest.approx(-near)


def test_reliability_is_the_share_of_true_variance():
    """True losses of known spread; the draws' common ease counts for nothing."""
    rng, r, n = np.random.default_rng(6), 400, 50
    truth, noise = rng.normal(size=(r, 1)), 5 * rng.normal(size=(r, n))
    losses = truth + noise + 100 * rng.normal(size=n)
    wanted = 1 / (1 + 25 / n)
    assert reliability(losses) == pytest.approx(wanted, abs=0.05)
    assert reliability(truth + np.zeros((r, n))) == pytest.approx(1.0)
    needed = draws_for_reliability(losses, wanted=0.99)
    assert needed == pytest.approx(25 * 99, rel=0.25)
    more = truth + 5 * rng.normal(size=(r, needed))
    assert reliability(more) == pytest.approx(0.99, abs=0.005)


def test_a_pilot_without_spread_is_refused():
    losses = np.random.default_rng(9).normal(size=(3, 30))
    losses -= losses.mean(1, keepdims=True) * [[1.0], [1.0], [1.001]]
    with pytest.raises(ValueError, match="no spread"):
        draws_for_reliability(losses)


def test_arrays_of_a_run_survive_the_file(tmp_path):
    rng = np.random.default_rng(7)
    checkpoints = [Checkpoint(run, step, torch.nn.Identity) for run, step in (("a", 10), ("b", 0), ("a", 0))]
    exact = Estimate(1.0, how="exact")
    losses = [PretrainingLoss(exact, exact, None, units) for units in rng.random((3, 30))]
    found = loss_arrays(checkpoints, losses)
    assert found["a"]["step"].tolist() == [0, 10]
    np.testing.assert_allclose(found["a"]["l_pre_covariance"], np.cov([losses[2].units, losses[0].units]) / 30)
    assert loss_arrays(checkpoints[:1], [PretrainingLoss(exact, exact, None)]) == {}
    file = tmp_path / "arrays" / "a.npz"
    write_arrays(file, found["a"])
    stored = read_arrays(file)
    assert set(stored) == {"step", "l_pre_covariance"}
    np.testing.assert_array_equal(stored["l_pre_covariance"], found["a"]["l_pre_covariance"])
    assert [path.name for path in file.parent.iterdir()] == ["a.npz"]


def test_arrays_that_would_need_pickle_are_refused(tmp_path):
    with pytest.raises(ValueError, match="names has dtype"):
        write_arrays(tmp_path / "a.npz", {"names": ["x", "y"]})
    np.savez(tmp_path / "b.npz", thing=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_arrays(tmp_path / "b.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["b.npz"]


@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
def test_calibrated_loss_is_the_minimum_over_scales_whatever_the_scale(temperature):
    rng = np.random.default_rng(8)
    labels = torch.from_numpy(rng.integers(4, size=(60, 5)))
    logits = torch.from_numpy(rng.normal(size=(60, 5, 4))) + torch.nn.functional.one_hot(labels, 4)

    def loss(log_scale):
        return float(torch.nn.functional.cross_entropy(np.exp(log_scale) * logits.flatten(0, 1), labels.flatten()))

    found = temperature_calibrated(logits / temperature, labels)
    assert found == pytest.approx(minimize_scalar(loss, bracket=(-1, 1), tol=1e-12).fun, abs=1e-8)
    assert found < loss(0.0)
    assert found.n == 60
    assert found.status == "ok"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e25])
@pytest.mark.parametrize("right", [0.0, 3.0])
def test_single_precision_and_scales_of_any_size_change_the_calibrated_loss_by_rounding(scale, right):
    """Scores of a batch against itself, as of InfoNCE: nearly or hardly right, in units from tiny to saturated."""
    labels = torch.arange(32).expand(8, 32)
    logits = torch.randn(8, 32, 32, generator=torch.Generator().manual_seed(1)) + torch.eye(32) * (0.5 + right)
    exact = temperature_calibrated(logits.double(), labels)
    found = temperature_calibrated(scale * logits, labels)
    assert (found.status, exact.status) == ("ok", "ok")
    assert found == pytest.approx(float(exact), abs=1e-6)
    assert found.stderr == pytest.approx(exact.stderr, rel=1e-3)


def test_calibration_at_the_ends():
    labels = torch.tensor([0, 1, 0, 1])
    right = torch.nn.functional.one_hot(labels, 2).double()
    assert (temperature_calibrated(right, labels).status, float(temperature_calibrated(right, labels))) == ("vacuous_lower", 0.0)
    wrong = temperature_calibrated(-right, labels)
    assert (wrong.status, float(wrong)) == ("uninformative", pytest.approx(np.log(2)))
    tied = temperature_calibrated(torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0]]), torch.tensor([0, 1]))
    assert (tied.status, float(tied)) == ("vacuous_lower", pytest.approx(np.log(2) / 2))


def test_scale_profiled_loss_is_the_minimum_over_scales_and_its_error_that_of_repetitions():
    rng = np.random.default_rng(9)
    found = []
    for _ in range(400):
        near, far = rng.normal(1.0, 0.5, size=300), rng.chisquare(2, size=300)
        found.append(scale_profiled(near, far))
    best = minimize_scalar(lambda c: -2 * c**2 * near.mean() + c**4 * far.mean(), bounds=(0, 5), method="bounded")
    assert found[-1] == pytest.approx(best.fun, abs=1e-8)
    assert np.std(found) == pytest.approx(np.mean([one.stderr for one in found]), rel=0.15)
    apart = scale_profiled(-near.clip(min=0), far)
    assert (float(apart), apart.stderr, apart.status) == (0.0, None, "uninformative")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pretraining_loss([1.0]), "1 independent units"),
        (lambda: pretraining_loss([1.0, 2.0], control=[1.0, 2.0], reference_mean=1.0), "at least 3"),
        (lambda: pretraining_loss([1.0, np.nan]), "first in unit 1"),
        (lambda: pretraining_loss([[1.0], [2.0]]), "nats has shape"),
        (lambda: pretraining_loss([1.0, 2.0], [1.0, 0.0]), "counts holds 0"),
        (lambda: pretraining_loss([1.0, 2.0], [1.0]), "counts has shape"),
        (lambda: pretraining_loss([1.0, 2.0], control=[1.0, 2.0]), "give both"),
        (lambda: pretraining_loss([1.0, 2.0], probabilities=[0.4, 0.4]), "probabilities"),
        (lambda: bernstein_interval([0.5, 1.5], largest=1.0), "range from 0.5 to 1.5"),
        (lambda: bernstein_interval([0.5, 0.5], largest=1.0, level=1.0), "level"),
        (lambda: rao_blackwell(torch.zeros(3, 2), torch.full((3, 2), 0.5)), "logits"),
        (lambda: rao_blackwell(torch.full((3, 2), 0.5).log(), torch.full((3, 2), 0.6)), "p holds"),
        (lambda: rao_blackwell(torch.full((3, 2), 0.5).log(), torch.full((3, 4), 0.25)), "shape"),
        (lambda: loss_covariance(np.ones((2, 1))), "n >= 2"),
        (lambda: loss_covariance(np.ones((2, 3)), [1.0, 1.0]), "counts"),
        (lambda: reliability(np.ones((1, 3))), "at least 2"),
        (lambda: reliability(np.ones((2, 3))), "one loss"),
        (lambda: draws_for_reliability(np.eye(3), wanted=1.0), "wanted"),
        (lambda: temperature_calibrated(torch.zeros(3, 2), torch.tensor([0, 1, 2])), "labels"),
        (lambda: temperature_calibrated(torch.zeros(3, 2), torch.tensor([0, 1])), "allowed"),
        (lambda: temperature_calibrated(torch.full((2, 2), torch.inf), torch.tensor([0, 1])), "finite"),
        (lambda: scale_profiled([1.0, 1.0], [0.0, 0.0]), "not all 0"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
