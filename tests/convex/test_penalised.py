"""What the penalised path does on its own account: two classes as one row of coefficients, second moments from some of the rows."""

import numpy as np
import pytest
import torch

from interface.convex import fit_softmax
from interface.convex._newton_cg import Preconditioner
from interface.convex._rows import Rows, bending
from tests.convex.reference import softmax_minimum, softmax_objective


def binary(n=300, d=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 2
    p = 1 / (1 + np.exp(-(x @ rng.normal(size=d)) / 2))
    return x, (rng.random(n) < p).astype(int), np.stack([1 - p, p], 1)


@pytest.mark.parametrize("ridge", [1e-4, 0.3])
@pytest.mark.parametrize("soft", [False, True])
def test_two_classes_have_the_minimum_of_two_rows_of_coefficients(ridge, soft):
    x, y, p = binary()
    target = p if soft else np.eye(2)[y]
    fit = fit_softmax(x, target if soft else y, ridge=ridge)
    assert fit.status == ["ok"] and fit.weight.shape == (1, 2, 5)
    assert float(fit.value) == pytest.approx(softmax_minimum(x, target, ridge), abs=1e-7)
    value = softmax_objective(x, target, fit.weight[0].numpy(), fit.intercept[0].numpy(), ridge)
    assert float(fit.value) == pytest.approx(value, abs=1e-12)
    torch.testing.assert_close(fit.weight[:, 0], -fit.weight[:, 1])
    again = fit_softmax(x, target if soft else y, ridge=ridge, start=fit)
    torch.testing.assert_close(again.value, fit.value, rtol=0, atol=1e-9)


def test_the_proof_holds_at_any_difference_of_two_classes():
    x, y, _ = binary(n=80)
    best, rng = softmax_minimum(x, np.eye(2)[y], 0.05), np.random.default_rng(1)
    rows = Rows.of(torch.tensor(x), 0.05, sample=80).labelled(torch.tensor(y), 2)
    for distance in (0.0, 0.1, 1.0, 10.0):
        _, value, gap, _, _ = rows.certificate(torch.tensor(distance * rng.normal(size=(1, 6))), 1e3, 1e-8)
        assert value - gap <= best + 1e-12 <= value + 2e-12


def test_of_two_classes_the_preconditioner_is_the_inverse_hessian():
    x, y, _ = binary(n=400)
    rows = Rows.of(torch.tensor(x), 0.1, sample=400).labelled(torch.tensor(y), 2)
    _, p = rows.evaluate(torch.randn(1, 6, generator=torch.Generator().manual_seed(0)))
    v = torch.randn(1, 6, generator=torch.Generator().manual_seed(1))
    image = bending(p)(v @ rows.u.mT) @ rows.u / len(rows.u) + rows.penalty.float() * v
    exact = Preconditioner(rows, p, rows.weighted_gram(p))
    assert float((exact(image) - v).norm()) < 0.02 * float(v.norm())
    assert float((Preconditioner(rows, p, rows.gram)(image) - v).norm()) > 0.05 * float(v.norm())


@pytest.mark.parametrize("classes", [2, 5])
def test_rows_in_an_unlucky_order_are_solved_all_the_same(classes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 6)) * np.geomspace(1, 1e-2, 6)
    x[::2] = x[0]  # what every second, fourth, ... row shows of the second moments is nothing
    y = (30 * x @ rng.normal(size=(6, classes)) + rng.gumbel(size=(4000, classes))).argmax(1)
    y[:classes] = np.arange(classes)
    for order in (np.arange(4000), np.argsort(y, kind="stable")):
        fit = fit_softmax(x[order], y[order], ridge=1e-4)
        assert fit.status == ["ok"]
        assert float(fit.value) == pytest.approx(softmax_minimum(x, np.eye(classes)[y], 1e-4), abs=1e-6)


@pytest.mark.parametrize("size", [1e-25, 1e15])
def test_float32_features_of_any_size_keep_their_scale(size):
    x, y, _ = binary()
    fit = fit_softmax((size * x).astype(np.float32), y, ridge=1e-2 * size**2)
    assert fit.status == ["ok"]
    assert float(fit.value) == pytest.approx(softmax_minimum(x, np.eye(2)[y], 1e-2), abs=1e-6)
