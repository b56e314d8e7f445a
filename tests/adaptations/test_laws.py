"""Laws over every exported adaptation: intervals are ordered, no loss is above a constant's, more features never hurt."""

import inspect
from dataclasses import FrozenInstanceError, is_dataclass

import numpy as np
import pytest
import torch

from interface import adaptations
from interface.adaptations import Probe
from interface.core import fingerprint

PROBES = [
    kind()
    for _, kind in inspect.getmembers(adaptations, inspect.isclass)
    if issubclass(kind, Probe) and not inspect.isabstract(kind)
]
UNITS = ["nats", "squared"]


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


@pytest.mark.parametrize("probe", PROBES, ids=repr)
@pytest.mark.parametrize("unit", UNITS)
def test_brackets(probe, unit):
    fit, test = samples(unit)
    for bracket in probe.brackets(fit, test):
        lower, upper = bracket.interval()
        assert bracket.solved and lower < upper
        assert bracket.low <= constant_loss(unit, fit[1]) + 1e-9
        assert bracket.low.how == bracket.high.how == "held_out" and bracket.low.n == 300
        assert bracket.low.stderr > 0 and bracket.high.stderr > 0


@pytest.mark.parametrize("probe", PROBES, ids=repr)
@pytest.mark.parametrize("unit", UNITS)
def test_nested_features_are_ordered(probe, unit):
    (x, y), test = samples(unit)
    lows = [[b.low for b in probe.brackets((x[..., :k], y), (test[0][..., :k], test[1]))] for k in range(1, 6)]
    assert (np.diff(np.array(lows), axis=0) <= 1e-6).all()


@pytest.mark.parametrize("probe", PROBES, ids=repr)
@pytest.mark.parametrize("unit", UNITS)
def test_a_bracket_does_not_depend_on_its_neighbours(probe, unit):
    (x, y), (x_test, y_test) = samples(unit)
    together = probe.brackets((x, y), (x_test, y_test))
    backwards = probe.brackets((x[::-1].copy(), y), (x_test[::-1].copy(), y_test))[::-1]
    alone = [probe.bracket((a, y), (b, y_test)) for a, b in zip(x, x_test, strict=True)]
    for other in (backwards, alone):
        for one, two in zip(together, other, strict=True):
            np.testing.assert_allclose([one.low, one.high], [two.low, two.high], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("probe", PROBES, ids=repr)
@pytest.mark.parametrize("unit", UNITS)
def test_a_fitted_head_has_the_loss_of_the_low_side(probe, unit):
    (x, y), (x_test, y_test) = samples(unit)
    bracket = probe.bracket((x[0], y), (x_test[0], y_test))
    head = probe.fit(x[0], y)
    assert float(head.loss(x[0], y).mean()) == pytest.approx(bracket.low, abs=1e-7)
    assert float(head.loss(x_test[0], y_test).mean()) == pytest.approx(bracket.high, rel=1e-5)
    assert head.loss(x[0], y).shape == head.predict(x[0]).shape == (300,)
    assert probe.fit(x, y).loss(x_test, y_test).shape == probe.fit(x, y).predict(x_test).shape == (4, 300)


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_a_probe_is_a_frozen_record_with_an_identity(probe):
    assert is_dataclass(probe) and fingerprint(probe) == fingerprint(type(probe)()) and probe == type(probe)()
    with pytest.raises(FrozenInstanceError):
        probe.n = 1


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_arrays_and_tensors_are_the_same(probe):
    (x, y), (x_test, y_test) = samples("nats")
    tensors = [torch.tensor(part) for part in (x, y, x_test, y_test)]
    arrays = probe.brackets((x, y), (x_test, y_test))
    assert probe.brackets(tuple(tensors[:2]), tuple(tensors[2:])) == arrays


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
    ],
)
def test_bad_input_is_named(probe, fit, test, message):
    with pytest.raises(ValueError, match=message):
        probe.brackets(fit, test)
