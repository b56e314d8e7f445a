"""Laws over every exported adaptation: intervals are ordered, no loss is above a constant's, more features never hurt."""

import inspect
from dataclasses import FrozenInstanceError, is_dataclass, replace

import numpy as np
import pytest
import torch

from interface import adaptations
from interface.adaptations import Probe
from interface.core import fingerprint

FAST = {"MLPProbe": {"steps": 30}}
PROBES = [
    kind(**FAST.get(kind.__name__, {}))
    for _, kind in inspect.getmembers(adaptations, inspect.isclass)
    if issubclass(kind, Probe) and not inspect.isabstract(kind)
]
CASES = [pytest.param(probe, unit, id=f"{probe!r}-{unit}") for probe in PROBES for unit in probe.units]


def samples(unit, *, problems=4, n=300, d=5, seed=0):
    """Two independent samples of one target seen by several random representations."""
    rng = np.random.default_rng(seed)
    maps, direction = rng.normal(size=(problems, 6, d)), rng.normal(size=(6, 3))

    def draw():
        x = rng.normal(size=(n, 6))
        score = x @ direction
        y = (score + rng.gumbel(size=score.shape)).argmax(1) if unit == "nats" else score[:, 0] + rng.normal(size=n)
        return np.maximum(x @ maps, 0).astype(np.float32), y

    return draw(), draw()


def constant_loss(unit, y):
    if unit == "squared":
        return y.var()
    p = np.bincount(y) / len(y)
    return -np.sum(p * np.log(p))


@pytest.mark.parametrize(("probe", "unit"), CASES)
def test_brackets(probe, unit):
    fit, test = samples(unit)
    for bracket in probe.brackets(fit, test):
        lower, upper = bracket.interval()
        assert lower < upper and bracket.high.how == "held_out" and bracket.low.n == 300 and bracket.high.stderr > 0
        assert bracket.gap >= 0 and bracket.low <= constant_loss(unit, fit[1]) + 1e-9
        if bracket.status == "no_lower_side":  # a floor of all predictors, and nothing is called solved or certified
            assert bracket.low == bracket.low.stderr == 0 and not bracket.solved and not bracket.certified
        else:
            assert bracket.solved and bracket.low.stderr > 0 and bracket.status in ("ok", "crossed")


@pytest.mark.parametrize(("probe", "unit"), CASES)
def test_nested_features_are_ordered(probe, unit):
    (x, y), test = samples(unit)
    lows = [[b.low for b in probe.brackets((x[..., :k], y), (test[0][..., :k], test[1]))] for k in range(1, 6)]
    assert (np.diff(np.array(lows), axis=0) <= 1e-6).all()


@pytest.mark.parametrize(("probe", "unit"), CASES)
def test_a_bracket_does_not_depend_on_its_neighbours(probe, unit):
    (x, y), (x_test, y_test) = samples(unit)
    together = probe.brackets((x, y), (x_test, y_test))
    backwards = probe.brackets((x[::-1].copy(), y), (x_test[::-1].copy(), y_test))[::-1]
    alone = [probe.bracket((a, y), (b, y_test)) for a, b in zip(x, x_test, strict=True)]
    for other in (backwards, alone):
        for one, two in zip(together, other, strict=True):
            np.testing.assert_allclose([one.low, one.high], [two.low, two.high], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("probe", "unit"), CASES)
def test_a_fitted_head_has_the_losses_of_the_bracket(probe, unit):
    (x, y), (x_test, y_test) = samples(unit)
    bracket = probe.bracket((x[0], y), (x_test[0], y_test))
    head = probe.fit(x[0], y)
    own = float(head.loss(x[0], y).mean())
    assert own == pytest.approx(bracket.low + (bracket.gap if bracket.status == "no_lower_side" else 0.0), abs=1e-6)
    assert float(head.loss(x_test[0], y_test).mean()) == pytest.approx(bracket.high, rel=1e-5)
    assert head.loss(x[0], y).shape == head.predict(x[0]).shape == (300,)
    assert probe.fit(x, y).loss(x_test, y_test).shape == probe.fit(x, y).predict(x_test).shape == (4, 300)


@pytest.mark.parametrize("probe", [probe for probe in PROBES if "nats" in probe.units], ids=repr)
def test_known_probabilities_lift_the_floor_and_leave_the_order(probe):
    (x, y), (x_test, y_test) = samples("nats")
    p, p_test = (0.85 * np.eye(3)[part] + 0.05 for part in (y, y_test))
    soft = probe.brackets((x, y), (x_test, y_test), soft=(p, p_test))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.05))
    for bracket in soft:
        assert entropy - 1e-9 <= bracket.low and bracket.interval()[0] < bracket.interval()[1]
    assert probe.fit(x[0], p).loss(x_test[0], p_test).shape == (300,)


@pytest.mark.parametrize(("probe", "unit"), CASES)
def test_few_labels_have_a_finite_risk_which_is_an_upper_side(probe, unit):
    (x, y), test = samples(unit, n=600)
    y = np.where(np.arange(600) < 20, np.minimum(y, 1), y)  # the first 20 lack the last class
    few, many = probe.risk((x[:, :16], y[:16]), test), probe.risk((x, y), test)
    for little, much, bracket in zip(few, many, probe.brackets((x, y), test), strict=True):
        assert np.isfinite(little) and little.stderr > 0 and little.status == "ok" and little.n == 600
        assert little > much - 0.1 and much == pytest.approx(bracket.high, abs=0.03)
    alone = probe.risk((x[2, :16], y[:16]), (test[0][2], test[1]))
    assert alone[0] == pytest.approx(few[2], abs=1e-5)


@pytest.mark.parametrize(("probe", "unit"), CASES)
def test_half_precision_and_gradients_do_no_harm(probe, unit):
    (x, y), (x_test, y_test) = samples(unit, problems=1)
    coarse, coarse_test = (torch.tensor(part).bfloat16().requires_grad_() for part in (x, x_test))
    exact = probe.brackets((coarse.detach().double(), y), (coarse_test.detach().double(), y_test))[0]
    found = probe.brackets((coarse, y), (coarse_test, y_test))[0]
    np.testing.assert_allclose([found.low, found.high], [exact.low, exact.high], rtol=2e-2, atol=1e-5)
    assert not probe.fit(coarse, y).loss(coarse_test, y_test).requires_grad


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_a_probe_is_a_frozen_record_with_an_identity(probe):
    assert is_dataclass(probe) and probe == replace(probe) and fingerprint(probe) == fingerprint(replace(probe))
    assert probe.name.startswith(type(probe).__name__) and type(probe)().name == type(probe).__name__
    with pytest.raises(FrozenInstanceError):
        probe.n = 1


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_arrays_and_tensors_are_the_same(probe):
    (x, y), (x_test, y_test) = samples("nats")
    tensors = [torch.tensor(part) for part in (x, y, x_test, y_test)]
    arrays = probe.brackets((x, y), (x_test, y_test))
    assert probe.brackets(tuple(tensors[:2]), tuple(tensors[2:])) == arrays


def test_every_family_of_heads_is_exported_by_the_package_too():
    import interface

    assert {type(probe).__name__ for probe in PROBES} <= set(dir(interface))


GOOD = samples("nats", problems=2, n=20)


@pytest.mark.parametrize("probe", PROBES, ids=repr)
@pytest.mark.parametrize(
    ("fit", "test", "message"),
    [
        ((GOOD[0][0][:, :0], GOOD[0][1][:0]), GOOD[1], "fit features has shape"),
        ((GOOD[0][0][:, :1], GOOD[0][1][:1]), GOOD[1], "fit has 1 row"),
        (GOOD[0], (GOOD[1][0][:, :1], GOOD[1][1][:1]), "test has 1 row"),
        (GOOD[0], (GOOD[1][0][..., :3], GOOD[1][1]), "test has 3 features"),
        (GOOD[0], (GOOD[1][0], GOOD[1][1][:-1]), "test labels has shape"),
        ((GOOD[0][0], np.zeros(20, int)), GOOD[1], "fit labels hold one class only"),
        ((GOOD[0][0], GOOD[0][1] - 1), GOOD[1], "fit labels lie in"),
        ((np.where(np.arange(20)[:, None] == 3, np.nan, GOOD[0][0]), GOOD[0][1]), GOOD[1], "fit features .* row 3"),
        (GOOD[0], (GOOD[1][0][:1].repeat(3, 0), GOOD[1][1]), "numbers of problems differ"),
        (GOOD[0][0], GOOD[1], "fit is ndarray"),
        ((GOOD[0][0], np.full(20, 2**62)), GOOD[1], "labels go up to"),
        ((GOOD[0][0], GOOD[0][1].astype(np.uint64) + np.uint64(2**64 - 8)), GOOD[1], "fit labels lie in"),
        ((GOOD[0][0].astype(complex), GOOD[0][1]), GOOD[1], "complex"),
    ],
)
def test_bad_input_is_named(probe, fit, test, message):
    with pytest.raises(ValueError, match=message):
        probe.brackets(fit, test)
