import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from interface.convex import fit_softmax, fit_softmax_ball


def labelled(n=60, d=2, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.geomspace(1, 5, d)
    y = (x @ rng.normal(size=(d, classes)) + rng.gumbel(size=(n, classes))).argmax(1)
    y[:classes] = np.arange(classes)
    return x, y


def loss(w, x, targets):
    z = np.column_stack([x, np.ones(len(x))]) @ w.T
    return np.mean(logsumexp(z, axis=1) - (targets * z).sum(1))


def least(x, targets, radius):
    """The minimum over the ball by SciPy's SLSQP."""
    shape = targets.shape[1], x.shape[1] + 1
    inside = {"type": "ineq", "fun": lambda w: radius**2 - w @ w}
    options = {"ftol": 1e-13, "maxiter": 1_000}
    found = minimize(
        lambda w: loss(w.reshape(shape), x, targets),
        np.zeros(np.prod(shape)),
        method="SLSQP",
        constraints=[inside],
        options=options,
    )
    return found.fun


def norm(fit, e=0):
    return float((fit.weight[e].square().sum() + fit.intercept[e].square().sum()).sqrt())


@pytest.mark.parametrize("radius", [0.1, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("soft", [False, True])
def test_value_is_the_minimum_over_the_ball(radius, soft):
    for seed in range(3):
        x, y = labelled(seed=seed)
        targets = np.eye(3)[y]
        if soft:
            targets = 0.6 * targets + 0.4 * np.random.default_rng(seed).dirichlet(np.ones(3), size=len(y))
        fit = fit_softmax_ball(x, targets if soft else y, radius=radius)
        best = least(x, targets, radius)
        assert fit.status == ["ok"] and float(fit.gap) <= 1e-6 and norm(fit) <= radius * (1 + 1e-12)
        assert float(fit.lower) <= best + 1e-8 and best <= float(fit.value) + 1e-7
        w = np.column_stack([fit.weight[0].numpy(), fit.intercept[0].numpy()])
        assert float(fit.value) == pytest.approx(loss(w, x, targets), abs=1e-12)


def test_a_ball_that_holds_the_free_minimiser_has_its_minimum():
    x, y = labelled(n=200)
    free = fit_softmax(x, y)
    within = fit_softmax_ball(x, y, radius=10 * float(free.weight.norm() + free.intercept.norm()))
    assert float(within.value) == pytest.approx(float(free.value), abs=1e-6) and within.status == ["ok"]


def test_the_minimum_falls_as_the_ball_grows():
    x, y = labelled()
    values = [float(fit_softmax_ball(x, y, radius=r).value) for r in np.geomspace(0.01, 20, 12)]
    assert (np.diff(values) < 1e-6).all() and values[0] < np.log(3)


@pytest.mark.parametrize("radius", [1.0, 30.0, 1e3])
def test_what_has_no_free_minimum_has_one_in_a_ball(radius):
    x, y = labelled(classes=2)
    separated = np.column_stack([x, 2.0 * y - 1])
    problems = [
        fit_softmax_ball(separated, y, radius=radius),
        fit_softmax_ball(x, y, radius=radius, n_classes=4),  # absent classes
        fit_softmax_ball(x, np.zeros(len(x), int), radius=radius, n_classes=2),  # one class only
        fit_softmax_ball(np.zeros((60, 2)), y, radius=radius),  # features that never vary
        fit_softmax_ball(x * 1e-3 + 50, y, radius=radius),  # far from the origin
        fit_softmax_ball(np.random.default_rng(0).normal(size=(20, 60)), y[:20], radius=radius),  # more features than rows
    ]
    for fit in problems:
        assert fit.status == ["ok"] and torch.isfinite(fit.value).all() and norm(fit) <= radius * (1 + 1e-12)


def test_a_single_direction_has_a_closed_form():
    x, y = np.array([[1.0], [-1.0]]), np.array([0, 1])  # by symmetry no intercept; logits differ by 2 w x, ||W||² = 2 w²
    fit = fit_softmax_ball(x, y, radius=np.sqrt(2) * 0.7)
    assert float(fit.value) == pytest.approx(np.log1p(np.exp(-1.4)), abs=1e-6)
    assert norm(fit) == pytest.approx(np.sqrt(2) * 0.7, rel=1e-5)


def test_problems_are_solved_alone():
    x = np.stack([labelled(seed=seed)[0] for seed in range(3)])
    y = np.stack([labelled(seed=seed)[1] for seed in range(3)])
    together = fit_softmax_ball(x, y, radius=2.0)
    for e in range(3):
        torch.testing.assert_close(together.value[e], fit_softmax_ball(x[e], y[e], radius=2.0).value[0], rtol=0, atol=1e-14)


def test_the_gap_is_proven_where_the_search_was_cut_short(monkeypatch):
    monkeypatch.setattr("interface.convex.softmax_ball.MULTIPLIERS", 1)
    x, y = labelled()
    fit = fit_softmax_ball(x, y, radius=3.0)
    assert fit.status == ["not_converged"]
    assert float(fit.lower) <= least(x, np.eye(3)[y], 3.0) < float(fit.value) - 1e-4


@pytest.mark.parametrize("options", [{"radius": 0.0}, {"radius": float("inf")}, {"radius": 1.0, "tolerance": 0.0}])
def test_bad_input_is_named(options):
    with pytest.raises(ValueError, match="radius, tolerance"):
        fit_softmax_ball(*labelled(), **options)
