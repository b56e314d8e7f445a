from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from interface.convex import fit_squared, fit_squared_ball
from interface.convex import squared as module
from interface.convex._whitening import principal_axes


def regression(n=60, d=4, outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3 * rng.normal(size=d)
    return x, x @ rng.normal(size=(d, outputs)) + rng.normal(size=(n, outputs)) + 5


def about_mean(x):
    x = x - x.mean(0)
    return x - x.mean(0)  # the first mean of large values has round-off of its own


def penalised(x, y, ridge):
    """Least mean squared errors plus penalty (k,), by LAPACK's SVD of the centred rows with those of the penalty below."""
    a = np.vstack([about_mean(x) / len(x) ** 0.5, (ridge / 2) ** 0.5 * np.eye(x.shape[1])])
    b = np.vstack([about_mean(y) / len(y) ** 0.5, np.zeros((x.shape[1], y.shape[1]))])
    return ((b - a @ np.linalg.lstsq(a, b)[0]) ** 2).sum(0)


def least_squares(x, y):
    """Minimal mean squared errors (k,) with an intercept, by LAPACK's SVD on centred, scaled columns."""
    centred, target = about_mean(x), about_mean(y)
    scale = np.sqrt((centred**2).sum(0))
    centred = centred[:, scale > 0] / scale[scale > 0]
    return np.mean((target - centred @ np.linalg.lstsq(centred, target, rcond=1e-9)[0]) ** 2, 0)


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e5])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_value_is_the_minimum_and_the_proof_holds(condition, offset):
    x, y = regression(outputs=3)
    x = x * np.geomspace(1, condition, 4) + offset
    fit, best = fit_squared(x, y), least_squares(x, y)
    assert fit.status == ["ok"]
    np.testing.assert_allclose(fit.value[0], best, rtol=1e-8)
    assert (fit.lower[0].numpy() <= best + 1e-10).all() and (fit.gap >= 0).all()
    direct = np.mean((x @ fit.weight[0].numpy().T + fit.intercept[0].numpy() - y) ** 2, 0)
    np.testing.assert_allclose(direct, best, rtol=1e-5)  # with the offset, cancellation in x w


@pytest.mark.parametrize("condition", [1e2, 3e4])
def test_without_noise_the_coefficients_come_back(condition):
    rng = np.random.default_rng(0)
    left, right = np.linalg.qr(rng.normal(size=(60, 5)))[0], np.linalg.qr(rng.normal(size=(5, 5)))[0]
    x = left * np.geomspace(1, 1 / condition, 5) @ right
    weight = right.T @ np.geomspace(1, condition, 5)  # every direction matters to y, however little features vary along it
    y = x @ weight - 2
    fit = fit_squared(x, y)
    assert float(fit.value) < 1e-17 * y.var()
    np.testing.assert_allclose(fit.weight[0, 0], weight, rtol=1e-7)


def test_the_proof_holds_where_the_solution_is_poor(monkeypatch):
    x, y = regression()

    def crude(*arguments, **options):
        axes = principal_axes(*arguments, **options)
        noise = torch.randn(axes.map.shape[:2], generator=torch.Generator().manual_seed(0)).double()
        return replace(axes, map=axes.map * (1.1 + 0.05 * noise[..., None]))

    monkeypatch.setattr(module, "principal_axes", crude)
    monkeypatch.setattr(module, "REFINEMENTS", 1)
    fit, best = fit_squared(x, y), float(least_squares(x, y)[0])
    assert float(fit.lower) <= best < float(fit.value) - 1e-6
    assert fit.status == ["not_converged"]


def test_collinear_dead_and_constant_features_are_safe():
    x, y = regression()
    extended = np.column_stack([x, x[:, 0], x @ [1, 2, -1, 0.5], np.zeros(len(x)), np.full(len(x), 0.1)])
    fit = fit_squared(extended, y)
    np.testing.assert_allclose(fit.value, fit_squared(x, y).value, rtol=1e-9)
    assert fit.status == ["ok"] and torch.isfinite(fit.weight).all()
    alone = fit_squared(np.ones((len(x), 2)), y)
    np.testing.assert_allclose(alone.value, [[y.var()]], rtol=1e-12)


def test_a_batch_is_its_problems_one_by_one():
    problems = [regression(seed=seed, outputs=2) for seed in range(5)]
    x, y = np.stack([x for x, _ in problems]), np.stack([y for _, y in problems])
    together = fit_squared(x, y)
    for e in range(5):
        np.testing.assert_allclose(together.value[e], least_squares(x[e], y[e]), rtol=1e-9)
        np.testing.assert_allclose(fit_squared(x[e], y[e]).weight[0], together.weight[e], rtol=1e-7, atol=1e-10)
    shared = fit_squared(x, y[0])
    np.testing.assert_allclose(shared.value[3], least_squares(x[3], y[0]), rtol=1e-9)


def test_one_output_may_be_a_vector_and_chunks_do_not_matter(monkeypatch):
    x, y = regression()
    x = np.stack([x, x**2, np.abs(x)])
    whole = fit_squared(x, y[:, 0])
    assert whole.value.shape == (3, 1) and whole.weight.shape == (3, 1, 4)
    monkeypatch.setattr(module, "BUDGET", 1)
    np.testing.assert_allclose(fit_squared(x, y[:, 0]).value, whole.value, rtol=1e-12)


def test_as_many_coefficients_as_rows_say_nothing():
    rng = np.random.default_rng(0)
    fit = fit_squared(rng.normal(size=(2, 10, 9)), rng.normal(size=10))
    assert fit.status == ["vacuous_lower"] * 2 and (fit.value < 1e-12).all()
    assert fit_squared(rng.normal(size=(10, 8)), rng.normal(size=10)).status == ["ok"]


def test_the_gap_is_in_the_targets_own_units():
    x, y = regression()
    large = fit_squared(x, 1e3 * y)
    np.testing.assert_allclose(large.value, 1e6 * fit_squared(x, y).value, rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_features_are_solved_in_float64(dtype):
    x, y = regression()
    features = torch.tensor(x).to(dtype)
    np.testing.assert_allclose(fit_squared(features, y).value[0], least_squares(features.double().numpy(), y), rtol=1e-9)


@pytest.mark.parametrize(
    ("features", "targets", "options", "message"),
    [
        (np.empty((0, 2)), np.empty(0), {}, "features has shape"),
        (np.ones((4, 2)), np.ones(3), {}, "targets has shape"),
        (np.ones((4, 2)), np.array([1, 2, np.nan, 3]), {}, "targets hold"),
        (np.array([[1.0, 2], [3, np.inf]]), np.ones(2), {}, "row 1"),
        (np.ones((3, 4, 2)), np.ones((2, 4, 1)), {}, "numbers of problems differ"),
        (np.ones((4, 2)), np.ones(4), {"tolerance": 0}, "tolerance"),
        (np.ones((4, 2)), np.ones(4), {"ridge": -1.0}, "ridge"),
    ],
)
def test_bad_input_is_named(features, targets, options, message):
    with pytest.raises(ValueError, match=message):
        fit_squared(features, targets, **options)


@pytest.mark.parametrize("ridge", [1e-4, 0.1, 30.0])
def test_a_penalised_fit_solves_its_normal_equations(ridge):
    x, y = regression(outputs=3)
    fit = fit_squared(x, y, ridge=ridge)
    design = np.column_stack([x, np.ones(len(x))])
    penalty = np.diag([ridge / 2] * 4 + [0])
    w = np.linalg.solve(design.T @ design / len(x) + penalty, design.T @ y / len(x)).T
    np.testing.assert_allclose(np.column_stack([fit.weight[0], fit.intercept[0]]), w, rtol=1e-8, atol=1e-10)
    best = np.mean((design @ w.T - y) ** 2, 0) + ridge / 2 * np.sum(w[:, :-1] ** 2, 1)
    np.testing.assert_allclose(fit.value[0], best, rtol=1e-10)
    assert fit.status == ["ok"] and (fit.lower[0].numpy() <= best + 1e-12).all()
    wide = fit_squared(np.random.default_rng(0).normal(size=(10, 30)), np.random.default_rng(1).normal(size=10), ridge=ridge)
    assert wide.status == ["ok"] and float(wide.value) > 0  # a penalty leaves no fit vacuous


def designed(condition, noise, *, n=500, d=6, offset=0.0, seed=0):
    """(x (n, d), y (n, k), least mean squared errors (k,)), known by construction: y = Q a + noise[k] times a unit part across Q.

    The singular values of x about its mean fall to 1 / condition, and y varies as much along the last as along the first.
    """
    rng = np.random.default_rng(seed)
    full = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, d + len(noise)))]))[0] * np.sqrt(n)
    q, across = full[:, 1 : d + 1], full[:, d + 1 :]
    x = q * np.geomspace(1, 1 / condition, d) @ np.linalg.qr(rng.normal(size=(d, d)))[0] + offset
    return x, q @ rng.normal(size=(d, len(noise))) + across * noise + offset, np.square(noise)


@pytest.mark.parametrize("condition", [1.0, 30.0, 1e3, 2e4])
def test_outputs_of_any_residual_have_their_value_to_many_digits(condition):
    x, y, least = designed(condition, noise := np.array([1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6]))
    fit = fit_squared(x, y)
    size = np.finfo(float).eps * condition * np.sqrt((y**2).mean(0))  # of what rounding x and y alone moves residuals by
    error = np.abs(fit.value[0].numpy() - least)
    assert (error <= 1e-10 * least + 4 * noise * size + 30 * size**2).all()
    assert (fit.lower[0].numpy() <= least + error).all() and (fit.gap[0].numpy() <= 1e-9 * least).all() and fit.status == ["ok"]


def test_one_output_among_many_keeps_the_digits_it_has_alone():
    x, y, least = designed(100.0, np.array([1.0] * 20 + [1e-7, 0.0] + [0.1] * 20), n=200)
    together = fit_squared(x, y)
    np.testing.assert_allclose(together.value[0, :21], least[:21], rtol=1e-6)
    np.testing.assert_allclose(together.value[0, 22:], least[22:], rtol=1e-10)
    assert float(together.value[0, 21]) < 1e-24
    for column in (0, 20, 21, 41):
        alone = fit_squared(x, y[:, column])
        np.testing.assert_allclose(together.value[0, column], alone.value[0, 0], rtol=1e-6, atol=1e-24)
        np.testing.assert_allclose(together.weight[0, column], alone.weight[0, 0], rtol=1e-9, atol=1e-11)


def test_a_problem_of_a_batch_keeps_its_digits_beside_an_interpolated_one():
    noisy, exact = designed(10.0, np.array([1.0, 0.5])), designed(10.0, np.array([0.0, 1e-5]), seed=1)
    fit = fit_squared(np.stack([noisy[0], exact[0]]), np.stack([noisy[1], exact[1]]))
    np.testing.assert_allclose(fit.value, [noisy[2], exact[2]], rtol=1e-8, atol=1e-25)
    assert torch.equal(fit.value[0], fit_squared(np.stack([noisy[0]] * 2), np.stack([noisy[1]] * 2)).value[0])
    for x, y in ((exact[0], np.stack([noisy[1], exact[1]])), (np.stack([noisy[0], exact[0]]), exact[1])):  # one of them shared
        both = fit_squared(x, y)
        for e in range(2):
            alone = fit_squared(x if x.ndim == 2 else x[e], y if y.ndim == 2 else y[e])
            np.testing.assert_allclose(both.value[e], alone.value[0], rtol=1e-8, atol=1e-25)
            np.testing.assert_allclose(both.intercept[e], alone.intercept[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
@pytest.mark.parametrize("noise", [1.0, 1e-3])
def test_huge_means_and_columns_of_any_scale(ridge, noise):
    x, y, _ = designed(1.0, np.full(40, noise), offset=1e7)
    x = x * np.geomspace(1, 1e-10, 6) if ridge == 0 else x  # a condition number of 1e10; a penalty sees the scale
    fit = fit_squared(x, y, ridge=ridge)
    best = penalised(x, y, ridge) if ridge else least_squares(x, y)
    np.testing.assert_allclose(fit.value[0], best, rtol=1e-9)
    assert (fit.lower[0].numpy() <= best * (1 + 1e-9)).all() and fit.status == ["ok"]


@pytest.mark.parametrize("noise", [1.0, 1e-4])
def test_collinear_and_constant_columns_with_many_outputs(noise):
    x, y, least = designed(3.0, np.full(30, noise))
    y[:, 7] = 0.1
    extended = np.column_stack([x, x @ np.ones(6), x[:, 0], np.full(len(x), 1e6), np.zeros(len(x))])
    fit = fit_squared(extended, y)
    np.testing.assert_allclose(np.delete(fit.value[0].numpy(), 7), np.delete(least, 7), rtol=1e-9)
    assert float(fit.value[0, 7]) < 1e-30 and fit.status == ["ok"]
    shrunk = fit_squared(extended, y, ridge=0.02)
    np.testing.assert_allclose(shrunk.value[0], penalised(extended, y, 0.02), rtol=1e-9, atol=1e-30)
    assert shrunk.status == ["ok"]


@pytest.mark.parametrize("radius", [0.05, 1.0, 4.0, 1e3])
def test_a_ball_holds_its_minimum(radius):
    x, y = regression(outputs=2)
    fit, design = fit_squared_ball(x, y, radius=radius), np.column_stack([x, np.ones(len(x))])
    for k in range(2):
        w = np.append(fit.weight[0, k], fit.intercept[0, k])
        found = minimize(
            lambda w, k=k: np.mean((design @ w - y[:, k]) ** 2),
            np.zeros(5),
            method="SLSQP",
            constraints=[{"type": "ineq", "fun": lambda w: radius**2 - w @ w}],
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert np.linalg.norm(w) <= radius * (1 + 1e-12)
        assert float(fit.value[0, k]) == pytest.approx(found.fun, rel=1e-5)
        assert float(fit.lower[0, k]) <= found.fun + 1e-6
        assert float(fit.value[0, k]) == pytest.approx(np.mean((design @ w - y[:, k]) ** 2), rel=1e-10)
    assert fit.status == ["ok"]


def test_a_wide_ball_holds_the_least_squares_solution_and_bad_radii_are_named():
    x, y = regression()
    np.testing.assert_allclose(fit_squared_ball(x, y, radius=1e4).value, fit_squared(x, y).value, rtol=1e-9)
    flat = fit_squared_ball(np.zeros((60, 2)), y, radius=1.0)
    assert flat.status == ["ok"] and float(flat.intercept) == pytest.approx(1.0)  # as near to the mean as it may go
    with pytest.raises(ValueError, match="radius, tolerance"):
        fit_squared_ball(x, y, radius=-1.0)
