"""The hidden layer: it finds what no linear head can, is no worse than one, and says that nothing is proven."""

import numpy as np
import pytest
import torch

from interface.adaptations import LinearProbe, MLPProbe


def crossed(n=500, seed=0):
    """Classes by the sign of a product: log 2 for every linear probe."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def straight(n=500, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    return x, (x[:, 0] + rng.logistic(size=n) > 0).astype(int)


def test_it_bends_where_a_line_is_useless():
    fit, test = crossed(), crossed(seed=1)
    assert MLPProbe().bracket(fit, test).high < 0.35 < 0.6 < LinearProbe().bracket(fit, test).high
    values = (fit[0], fit[0].prod(1)), (test[0], test[0].prod(1))
    assert MLPProbe().bracket(*values).high < 0.5 * LinearProbe().bracket(*values).high


@pytest.mark.parametrize("sample", [crossed, straight])
@pytest.mark.parametrize("unit", ["nats", "squared"])
def test_it_is_no_worse_than_a_linear_probe(sample, unit):
    (x, y), (x_test, y_test) = sample(), sample(seed=1)
    if unit == "squared":
        y, y_test = x[:, 0] + y, x_test[:, 0] + y_test
    linear, bent = (probe.bracket((x, y), (x_test, y_test)) for probe in (LinearProbe(), MLPProbe()))
    assert bent.high <= linear.high + 2 * linear.high.stderr
    assert bent.status == "no_lower_side" and not bent.solved and not bent.certified


def test_without_steps_it_is_linear():
    (x, y), (new, label) = straight(), straight(100, seed=1)
    head = MLPProbe(steps=0).fit(x, y)
    losses = head.loss(new, label)
    w, b, _, _, v = head.network
    assert float(v.abs().max()) == 0
    z = (torch.tensor(new) - head.mean) / head.scale
    logits = z @ w[0].T + b[0]
    torch.testing.assert_close(losses, torch.nn.functional.cross_entropy(logits, torch.tensor(label), reduction="none"))


def test_the_generator_sets_the_hidden_layer_and_nothing_else_does():
    x, y = crossed(200)
    torch.manual_seed(0)
    one, same = (MLPProbe(steps=20).fit(x, y).loss(x, y) for _ in range(2))
    other = MLPProbe(steps=20).fit(x, y, generator=torch.Generator().manual_seed(5)).loss(x, y)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_row_set_aside_teaches_nothing_but_when_to_stop():
    x, y = straight(200)
    changed = y.copy()
    changed[4::5] = 1 - changed[4::5]
    first, second = (MLPProbe(steps=0).fit(x, labels).network[0] for labels in (y, changed))
    torch.testing.assert_close(first, second)


def test_affine_maps_of_the_features_leave_the_loss_of_the_linear_start():
    x, y = straight()
    scaled = MLPProbe(steps=0).fit(x * [1, 10, 0.1, 5, 2] + 3, y)
    torch.testing.assert_close(scaled.loss(x * [1, 10, 0.1, 5, 2] + 3, y), MLPProbe(steps=0).fit(x, y).loss(x, y))


def test_scale_of_the_label_scales_the_prediction():
    x, _ = straight(200)
    y = x[:, 0] + x[:, 1] ** 2
    one, thousand = MLPProbe(steps=50).fit(x, y).predict(x), MLPProbe(steps=50).fit(x, 1000 * y + 7e5).predict(x)
    torch.testing.assert_close(thousand, 1000 * one + 7e5, rtol=0, atol=5)  # of a spread of 1,700


def test_few_rows_and_one_class_are_no_exceptions():
    x, y = straight(6)
    assert MLPProbe(steps=5).fit(x[:2], [0, 0], n_classes=3).loss(x, [0, 1, 2, 0, 1, 2]).isfinite().all()
    with pytest.raises(ValueError, match="at least 2"):
        MLPProbe().fit(x[:1], y[:1])


@pytest.mark.parametrize("values", [{"hidden": 0}, {"steps": -1}, {"lr": 0.0}, {"lr": np.inf}])
def test_unusable_numbers_are_refused(values):
    with pytest.raises(ValueError, match="MLPProbe: hidden, steps, lr"):
        MLPProbe(**values)


def test_parameters_are_counted():
    assert MLPProbe(hidden=8).n_parameters(4, None) == 5 + 5 * 8 + 8 and MLPProbe(hidden=8).n_parameters(4, 3) == 10 + 5 * 8 + 16
