"""Upper sides where the minimiser on the sample runs off: from heads whose losses on new rows mean something."""

import numpy as np
import torch

from interface.adaptations import LinearProbe
from interface.convex import fit_softmax
from interface.convex._steady import runs_off, standardised_softmax, steady


def nearly_separated(n, seed):
    """Two classes that a threshold tells apart but for one row in 400, in a narrow gap: solved, with logits of hundreds."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.choice([-1.0, 1.0], n) * (1 + 0.5 * rng.random(n)), rng.normal(size=n)])
    x[:, 0] *= np.where(np.arange(n) % 400 == 7, 1e-3, 1)
    y = (x[:, 0] > 0).astype(int)
    x[::400, 0] *= -1e-3 / np.abs(x[::400, 0])
    return torch.tensor(x), torch.tensor(y)


def overlapping(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return torch.tensor(x), torch.tensor((x[:, 0] + rng.logistic(size=n) > 0).astype(int))


def test_a_minimiser_of_moderate_logits_is_kept_to_the_bit():
    x, y = overlapping(800, 0)
    fit = fit_softmax(x, y)
    assert fit.status == ["ok"] and runs_off(fit, x.unsqueeze(0)) == []
    weight, intercept = steady(fit, x.unsqueeze(0), y)
    assert torch.equal(weight, fit.weight) and torch.equal(intercept, fit.intercept)


def test_what_runs_off_is_replaced_by_a_penalised_head_and_its_neighbours_are_not():
    (x, y), (other, labels) = nearly_separated(800, 1), overlapping(800, 2)
    both, answers = torch.stack([other, x]), torch.stack([labels, y])
    fit = fit_softmax(both, answers)
    assert runs_off(fit, both) == [1]
    weight, intercept = steady(fit, both, answers)
    assert torch.equal(weight[0], fit.weight[0]) and float(weight[1].norm()) < 0.2 * float(fit.weight[1].norm())
    target = (torch.nn.functional.one_hot(y, 2).double() * 800 + 0.5) / 801  # half a count of each class
    alone = standardised_softmax(x.unsqueeze(0), target.unsqueeze(0), ridge=1 / 800)
    torch.testing.assert_close(weight[1], alone.weight[0])
    torch.testing.assert_close(intercept[1], alone.intercept[0])


def test_the_upper_side_of_a_bracket_is_that_of_a_head_that_does_not_run_off():
    fit, test = nearly_separated(800, 3), nearly_separated(2000, 4)
    bracket = LinearProbe().bracket(fit, test)
    minimiser = LinearProbe().fit(*fit).loss(*test).mean()
    assert float(bracket.high) < 0.5 * float(minimiser)
    assert float(bracket.low) <= float(bracket.high)
    assert float(bracket.high) == float(LinearProbe().learn(*fit, n_classes=2).loss(*test).mean())
