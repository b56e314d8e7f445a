import numpy as np
import pytest
import torch

from interface.convex import minimize


def bowls(problems=6, d=8, condition=1e4, seed=0):
    """Quadratics 0.5 (x - c)'A(x - c) of growing condition numbers, and their value_and_gradient."""
    rng = np.random.default_rng(seed)
    matrices = []
    for e in range(problems):
        q = np.linalg.qr(rng.normal(size=(d, d)))[0]
        matrices.append(q @ np.diag(np.geomspace(1, condition ** (e / (problems - 1)), d)) @ q.T)
    a, c = torch.tensor(np.array(matrices)), torch.tensor(rng.normal(size=(problems, d)))

    def value_and_gradient(x, index):
        gradient = (a[index] @ (x - c[index]).unsqueeze(2)).squeeze(2)
        return 0.5 * ((x - c[index]) * gradient).sum(1), gradient

    return a, c, value_and_gradient


def test_it_reaches_the_minimum_of_ill_conditioned_quadratics():
    _, c, function = bowls()
    found = minimize(function, torch.zeros_like(c), tolerance=1e-13, max_iter=300)
    assert found.converged.all()
    torch.testing.assert_close(found.x, c, rtol=0, atol=1e-4)
    assert (found.value < 1e-11).all()


def test_rosenbrock_from_several_starts():
    def function(x, index):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0], [2.0, -1.0]], dtype=torch.float64)
    found = minimize(function, start, tolerance=1e-14, max_iter=200)
    torch.testing.assert_close(found.x, torch.ones_like(start), rtol=0, atol=1e-5)


def test_a_problem_stops_alone_and_its_result_ignores_its_neighbours():
    _, c, function = bowls()
    together = minimize(function, torch.zeros_like(c), tolerance=1e-10, max_iter=300)
    assert together.iterations.unique().numel() > 1  # they do stop at different times
    for e in range(len(c)):
        alone = minimize(lambda x, index, e=e: function(x, index + e), torch.zeros_like(c[:1]), tolerance=1e-10, max_iter=300)
        torch.testing.assert_close(alone.x[0], together.x[e], rtol=1e-9, atol=1e-9)
        assert alone.iterations[0] == together.iterations[e]


def test_finished_problems_are_not_evaluated_again():
    _, c, function = bowls()
    calls = torch.zeros(len(c), dtype=torch.long)

    def counted(x, index):
        calls[index] += 1
        return function(x, index)

    found = minimize(counted, torch.zeros_like(c), tolerance=1e-10, max_iter=300)
    assert calls[0] < calls[-1] and (calls >= found.iterations).all()


def test_the_exact_preconditioner_is_newtons_method():
    a, c, function = bowls()
    inverse = torch.linalg.inv(a)
    found = minimize(
        function,
        torch.zeros_like(c),
        tolerance=1e-12,
        max_iter=50,
        preconditioner=lambda v, index: (inverse[index] @ v.unsqueeze(2)).squeeze(2),
    )
    assert (found.iterations == 1).all() and found.converged.all()


def test_points_of_any_shape_keep_it():
    centre = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)

    def function(x, index):
        return (x - centre[index]).square().sum((1, 2)), 2 * (x - centre[index])

    torch.testing.assert_close(minimize(function, torch.zeros_like(centre), tolerance=1e-14, max_iter=50).x, centre)


def test_what_has_no_minimum_is_not_called_converged():
    def slope(x, index):
        return x.sum(1), torch.ones_like(x)

    found = minimize(slope, torch.zeros(2, 3), tolerance=1e-6, max_iter=15)
    assert not found.converged.any() and (found.value < 0).all() and (found.iterations == 15).all()


def test_no_steps_leave_the_start_where_it_is():
    _, c, function = bowls()
    start = torch.ones_like(c)
    found = minimize(function, start, tolerance=1e-10, max_iter=0)
    torch.testing.assert_close(found.x, start)
    assert not found.converged.any()


def test_the_start_is_left_alone_and_a_minimum_is_recognised():
    _, c, function = bowls()
    start = c.clone()
    found = minimize(function, start, tolerance=1e-10, max_iter=10)
    torch.testing.assert_close(start, c)
    assert found.converged.all() and (found.iterations == 0).all()


@pytest.mark.parametrize(
    ("start", "options", "word"),
    [
        (torch.zeros(3), {}, "start"),
        (torch.zeros(0, 3), {}, "start"),
        (torch.zeros(1, 3), {"tolerance": -1.0}, "tolerance"),
        (torch.zeros(1, 3), {"memory": 0}, "memory"),
    ],
)
def test_bad_input_is_named(start, options, word):
    with pytest.raises(ValueError, match=word):
        minimize(lambda x, index: (x.sum(1), x), start, **{"tolerance": 1e-6, "max_iter": 3, **options})
