"""The curve of loss against labels: its points are what they say, its errors are of the right size, bad input is named."""

import numpy as np
import pytest
import torch

from interface.adaptations import LinearBall, LinearProbe, NearestNeighbours, Ridge
from interface.measurement import adaptation_curve
from interface.seeds import stream


def sample(n=1200, seed=0, unit="nats"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, (x[:, 0] + rng.logistic(size=n) > 0).astype(int) if unit == "nats" else x[:, 0] + rng.normal(size=n)


@pytest.mark.parametrize("unit", ["nats", "squared"])
def test_a_point_is_the_mean_loss_of_heads_on_the_first_labels_of_random_orders(unit):
    (x, y), (new, label) = sample(50, unit=unit), sample(80, seed=1, unit=unit)
    curve = adaptation_curve(x, y, n_labels=(8, 20), replicates=3, test=(new, label), seed=4)
    classes = 2 if unit == "nats" else None
    each = np.zeros((3, 2, 80))
    for replicate in range(3):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(stream("curve", "labels", 4, replicate))).numpy()
        for k, n in enumerate((8, 20)):
            head = LinearProbe().learn(x[order[:n]], y[order[:n]], n_classes=classes)
            each[replicate, k] = head.loss(new, label)
    np.testing.assert_allclose(curve.losses, each.mean(2), rtol=1e-5)
    np.testing.assert_allclose(curve.noise, np.cov(each.mean(0)) / 80, rtol=1e-4, atol=1e-8)
    spread = np.cov(each.mean(2).T) / 3
    np.testing.assert_allclose([value.stderr**2 for value in curve.estimates()], np.diag(spread + curve.noise), rtol=1e-4)
    assert curve.n_test == 80 and curve.n_classes == classes and curve.adaptation == "LinearProbe"
    lower, upper = curve.intervals()[0]
    assert (lower + upper) / 2 == pytest.approx(curve.estimates()[0])
    assert upper - lower == pytest.approx(2 * 4.302653 * curve.estimates()[0].stderr, rel=1e-4)  # t of two degrees of freedom


def test_it_falls_towards_the_minimal_adaptation_loss():
    x, y = sample(6000)
    curve = adaptation_curve(x, y, n_labels=(8, 64, 512, 3000), replicates=4)
    few, some, many, all_of_them = curve.estimates()
    head = LinearProbe().bracket((x[:3000], y[:3000]), (x[3000:], y[3000:]))
    assert few > some + few.stderr > many and many > all_of_them - 0.01
    assert abs(all_of_them - head.midpoint()) < 4 * (all_of_them.stderr + head.midpoint().stderr)


def test_errors_are_of_the_size_of_the_spread_over_new_samples():
    curves = [
        adaptation_curve(*sample(600, seed=seed), n_labels=(10, 40), replicates=6, test=sample(300, seed=1000 + seed), seed=seed)
        for seed in range(40)
    ]
    spread = np.std([curve.mean for curve in curves], axis=0, ddof=1)
    stated = np.sqrt(np.mean([np.diag(curve.covariance) for curve in curves], axis=0))
    assert (spread / stated > 0.7).all() and (spread / stated < 1.4).all()  # 40 curves know a spread to a ninth


def test_without_a_test_sample_a_half_is_set_aside():
    x, y = sample(100)
    curve = adaptation_curve(x, y, n_labels=(50,), replicates=2)
    assert curve.n_test == 50
    np.testing.assert_allclose(curve.losses[0], curve.losses[1], rtol=1e-4)  # the whole pool in two orders
    with pytest.raises(ValueError, match="n_labels goes up to 51"):
        adaptation_curve(x, y, n_labels=(51,))


def test_the_seed_alone_decides():
    x, y = sample(200)
    torch.manual_seed(0)
    first = adaptation_curve(x, y, n_labels=(8,), replicates=2, seed=1)
    torch.manual_seed(1)
    assert (first.losses == adaptation_curve(x, y, n_labels=(8,), replicates=2, seed=1).losses).all()
    assert (first.losses != adaptation_curve(x, y, n_labels=(8,), replicates=2, seed=2).losses).all()


@pytest.mark.parametrize("adaptation", [LinearBall(), Ridge(0.1), NearestNeighbours(4)])
def test_absent_and_single_classes_have_finite_losses_in_every_family(adaptation):
    x, y = sample(300)
    y = np.where(np.arange(300) % 50 == 0, 2, y)  # a rare class: few of 8 labels show it
    curve = adaptation_curve(x, y, n_labels=(4, 8), replicates=8, adaptation=adaptation)
    assert np.isfinite(curve.losses).all() and curve.n_classes == 3
    assert curve.adaptation == adaptation.name


def test_half_precision_and_gradients_are_welcome():
    x, y = sample(200)
    coarse = torch.tensor(x).bfloat16().requires_grad_()
    curve = adaptation_curve(coarse, torch.tensor(y), n_labels=(8, 16), replicates=2)
    np.testing.assert_allclose(curve.losses, adaptation_curve(coarse.detach().double(), y, n_labels=(8, 16), replicates=2).losses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones((2, 200, 3))}, "one representation"),
        ({"features": np.full((200, 3), np.nan)}, "row 0"),
        ({"features": np.ones((0, 3)), "labels": []}, "features has shape"),
        ({"labels": np.zeros(199, int)}, "labels has shape"),
        ({"labels": np.zeros(200, int)}, "one class only"),
        ({"labels": np.full(200, -1)}, "labels lie in"),
        ({"labels": np.full(200, 2**62)}, "labels go up to"),
        ({"n_classes": 1}, "labels lie in"),
        ({"n_labels": ()}, "n_labels is"),
        ({"n_labels": (8, 8)}, "n_labels is"),
        ({"n_labels": (16, 8)}, "n_labels is"),
        ({"n_labels": (1, 8)}, "n_labels is"),
        ({"n_labels": (8.5,)}, "n_labels is"),
        ({"n_labels": (8, 400)}, "goes up to 400"),
        ({"replicates": 1}, "replicates is 1"),
        ({"test": (np.ones((9, 2)), np.zeros(9, int))}, "test has 2 features"),
        ({"test": (np.ones((9, 3)), np.zeros(8, int))}, "test labels has shape"),
        ({"test": np.ones((9, 3))}, "test is ndarray"),
        ({"adaptation": NearestNeighbours(9)}, "increasing integers from 9 up"),
    ],
)
def test_bad_input_is_named(change, message):
    x, y = sample(200)
    with pytest.raises(ValueError, match=message):
        adaptation_curve(**{"features": x, "labels": y, "n_labels": (8, 16), "replicates": 2, **change})
