import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from interface.convex import _newton_dual, fit_softmax
from interface.convex import softmax as module
from interface.convex._dual import _repaired, newton_round
from interface.convex._logistic import Softmax, preconditioner
from interface.convex._rows import Rows
from tests.convex.reference import softmax_minimum, softmax_objective


def labelled(n=200, d=4, classes=3, *, signal=1.0, condition=1.0, seed=0):
    """Features of a given condition number and classes drawn from a linear softmax on them."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(n, d))
    logits = signal * u @ rng.normal(size=(d, classes))
    y = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    y[:classes] = np.arange(classes)
    mix = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.geomspace(1, condition, d)
    return u @ mix + rng.normal(size=d), y


def relu_problems(problems, n, d, classes, seed=0):
    """Random ReLU representations (problems, n, d) of one sample, with dead units among them, and labels they half explain."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 12))
    y = (x @ rng.normal(size=(12, classes)) + rng.gumbel(size=(n, classes))).argmax(1)
    hidden = np.maximum(x @ rng.normal(size=(problems, 12, d)) + rng.normal(size=(problems, 1, d)) * 2, 0)
    return hidden * np.exp(rng.normal(size=(problems, 1, d))), y


def one_hot(y, classes):
    return np.eye(classes)[y]


CASES = {
    "plain": {},
    "two classes": {"classes": 2},
    "one feature": {"d": 1},
    "ill conditioned": {"condition": 1e3},
    "strong signal": {"signal": 3.0},
    "no signal": {"signal": 0.0},
    "many classes": {"classes": 9, "n": 400},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ridge", [0.0, 1e-3, 1.0])
def test_value_is_the_minimum_and_the_proof_holds(name, ridge):
    x, y = labelled(**CASES[name])
    classes = y.max() + 1
    fit = fit_softmax(x, y, ridge=ridge)
    best = softmax_minimum(x, one_hot(y, classes), ridge)
    assert fit.status == ["ok"]
    assert float(fit.value) == pytest.approx(best, abs=1e-7)
    assert float(fit.lower) <= best + 1e-12
    direct = softmax_objective(x, one_hot(y, classes), fit.weight[0].numpy(), fit.intercept[0].numpy(), ridge)
    assert float(fit.value) == pytest.approx(direct, abs=1e-10)


def test_value_agrees_with_scikit_learn():
    x, y = labelled(condition=30.0)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=200).fit(x, y)
    assert float(fit_softmax(x, y).value) == pytest.approx(-np.mean(model.predict_log_proba(x)[np.arange(len(y)), y]), abs=1e-7)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_soft_targets_reach_their_own_minimum(ridge):
    x, y = labelled(classes=4)
    p = 0.7 * one_hot(y, 4) + 0.3 * np.random.default_rng(1).dirichlet(np.ones(4), size=len(y))
    fit = fit_softmax(x, p, ridge=ridge)
    best = softmax_minimum(x, p, ridge)
    assert fit.status == ["ok"] and float(fit.value) == pytest.approx(best, abs=1e-7) and float(fit.lower) <= best + 1e-12
    hard = fit_softmax(x, one_hot(y, 4), ridge=ridge)
    torch.testing.assert_close(hard.value, fit_softmax(x, y, ridge=ridge).value, rtol=0, atol=1e-9)


def test_the_round_off_of_half_precision_probabilities_is_not_their_mass():
    x, y = labelled()
    half = torch.tensor(np.random.default_rng(1).dirichlet(np.ones(3), size=len(y))).half()
    p = half.double().numpy()
    p /= p.sum(1, keepdims=True)
    assert float(fit_softmax(x, half).value) == pytest.approx(softmax_minimum(x, p), abs=1e-7)


def test_lower_bounds_hold_on_many_random_problems():
    rng = np.random.default_rng(0)
    for seed in range(40):
        x, y = labelled(n=60, d=3, classes=3, signal=rng.uniform(0, 3), condition=10 ** rng.uniform(0, 3), seed=seed)
        fit = fit_softmax(x, y)
        assert float(fit.lower) <= softmax_minimum(x, one_hot(y, 3)) + 1e-12


@pytest.mark.parametrize("distance", [0.0, 0.3, 3.0, 30.0])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_the_dual_point_is_a_bound_wherever_it_is_taken(distance, ridge):
    rng = np.random.default_rng(2)
    x, y = labelled(n=80, d=3, classes=3)
    targets = one_hot(y, 3)
    u = torch.tensor(np.vstack([x.T, np.ones(len(x))]))
    penalty = torch.tensor([[[ridge] * 3 + [0.0]]], dtype=torch.float64)
    problem = Softmax(
        u.expand(20, -1, -1),
        (torch.tensor(targets.T) @ u.T / len(x)).expand(20, -1, -1),
        penalty.expand(20, -1, -1),
        torch.ones(20, 4, dtype=torch.bool),
    )
    w = torch.tensor(distance * rng.normal(size=(20, 3, 4)))
    w -= w.mean(1, keepdim=True)
    best = softmax_minimum(x, targets, ridge)
    for _ in range(4):
        done = newton_round(problem, w, radius=1e3, tolerance=1e-6)
        assert (done.lower <= best + 1e-12).all() and (done.value >= best - 1e-12).all()
        w = done.w


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_a_repaired_dual_point_is_a_bound_wherever_it_starts(ridge):
    x, y = labelled(n=80, d=3, classes=3)
    best, rng = softmax_minimum(x, one_hot(y, 3), ridge), np.random.default_rng(0)
    u = torch.tensor(np.vstack([x.T, np.ones(len(x))]))
    moment, kept = torch.tensor(one_hot(y, 3).T) @ u.T / len(x), torch.ones(4, dtype=torch.bool)
    penalty = torch.tensor([[ridge] * 3 + [0.0]], dtype=torch.float64)
    problem = Softmax(*(part.expand(20, *part.shape) for part in (u, moment, penalty, kept)))
    for sharpness in (0.1, 1.0, 10.0):
        q = torch.tensor(rng.dirichlet(np.full(3, 1 / sharpness), size=(20, 80))).mT
        near = torch.tensor(0.3 * rng.normal(size=(20, 3, 4)))
        lower = _repaired(
            problem, q, near - near.mean(1, keepdim=True), preconditioner(problem, q), torch.full((20,), -torch.inf), 1e3, 1e-10
        )
        assert (lower <= best + 1e-12).all()


def test_many_repairs_prove_the_minimum_of_classes_that_rarely_active_units_separate():
    rng = np.random.default_rng(986)  # of 4,000 such problems the one that needs more than three
    scale = rng.choice([3.0, 6.0, 10.0])
    x = np.maximum(rng.normal(size=(300, 6)) - rng.choice([0.0, 0.5, 1.0, 1.5]), 0)
    y = (scale * x @ rng.normal(size=(6, 5)) + rng.gumbel(size=(300, 5))).argmax(1)
    y[:5] = np.arange(5)
    fit = fit_softmax(x, y)
    assert fit.status == ["ok"] and float(fit.gap) < 1e-6


def test_tiny_features_under_a_tinier_penalty_are_no_null_directions():
    x, y = labelled(n=100, d=2, classes=2)
    tiny, ridge = np.column_stack([1e-9 * (y + 0.1 * x[:, 0]), x[:, 1]]), 1e-21
    by_hand = softmax_objective(tiny, one_hot(y, 2), np.array([[-3e9, 0], [3e9, 0]]), np.array([1.5, -1.5]), ridge)
    fit = fit_softmax(tiny, y, ridge=ridge)
    assert float(fit.value) < by_hand and fit.status == ["ok"]
    direct = softmax_objective(tiny, one_hot(y, 2), fit.weight[0].numpy(), fit.intercept[0].numpy(), ridge)
    assert float(fit.value) == pytest.approx(direct, abs=1e-10)


def test_a_penalty_too_weak_to_prove_anything_says_so():
    x, y = labelled()
    fit = fit_softmax(x, y, ridge=1e-40)
    assert float(fit.gap) > 1e-6 and fit.status == ["not_converged"]
    torch.testing.assert_close(fit.value, fit_softmax(x, y).value, rtol=0, atol=1e-9)


def test_the_proof_of_a_penalised_fit_holds_wherever_it_is_made():
    x, y = labelled(n=80)
    best, rng = softmax_minimum(x, one_hot(y, 3), 0.05), np.random.default_rng(0)
    rows = Rows.of(torch.tensor(x), 0.05, sample=80).labelled(torch.tensor(y), 3)
    for distance in (0.0, 0.1, 1.0, 10.0):
        w = torch.tensor(distance * rng.normal(size=(3, 5)))
        _, value, gap, _, _ = rows.certificate(w - w.mean(0), 1e3, 1e-8)
        assert value - gap <= best + 1e-12 <= value + 2e-12


@pytest.mark.parametrize("ridge", [1e-1, 1e-4, 1e-8])
@pytest.mark.parametrize("shape", [{"n": 300, "d": 20, "classes": 4}, {"n": 60, "d": 80}, {"condition": 1e6, "d": 12}])
def test_wide_and_ill_conditioned_penalised_fits_reach_the_minimum(ridge, shape):
    x, y = labelled(**shape)
    x = x / shape.get("condition", 1.0)
    fit, best = fit_softmax(x, y, ridge=ridge), softmax_minimum(x, one_hot(y, y.max() + 1), ridge)
    assert fit.status == ["ok"] and float(fit.gap) <= 1e-6
    assert float(fit.lower) <= best + 1e-9 and best <= float(fit.value) + 1e-9


def test_a_regularisation_path_is_walked_in_fewer_rounds(monkeypatch):
    x, y = labelled(n=400, d=10, classes=4)
    path, calls, products = np.geomspace(1, 1e-4, 12), [0], Rows.evaluate

    def counted(self, w):
        calls[0] += 1
        return products(self, w)

    monkeypatch.setattr(Rows, "evaluate", counted)
    cold = [fit_softmax(x, y, ridge=ridge) for ridge in path]
    alone, calls[0], fit = calls[0], 0, None
    for ridge, other in zip(path, cold, strict=True):
        fit = fit_softmax(x, y, ridge=ridge, start=fit)
        assert fit.status == ["ok"] and abs(float(fit.value - other.value)) <= float(fit.gap + other.gap)
    assert calls[0] < 0.9 * alone


def test_along_a_trajectory_of_features_warm_starts_save_rounds(monkeypatch):
    x, y = labelled(n=400, d=10, classes=4)
    drift, calls, evaluate = np.random.default_rng(5).normal(size=x.shape), [0], Rows.evaluate

    def counted(self, w):
        calls[0] += 1
        return evaluate(self, w)

    monkeypatch.setattr(Rows, "evaluate", counted)
    steps = [x + 0.01 * k * drift for k in range(8)]
    cold = [fit_softmax(step, y, ridge=1e-3) for step in steps]
    alone, calls[0], fit = calls[0], 0, cold[0]
    for step, other in zip(steps[1:], cold[1:], strict=True):
        fit = fit_softmax(step, y, ridge=1e-3, start=fit)
        assert fit.status == ["ok"] and abs(float(fit.value - other.value)) <= float(fit.gap + other.gap)
    assert calls[0] < 0.7 * alone


def test_nearly_all_random_relu_problems_are_solved():
    x, y = relu_problems(100, 400, 8, 5)
    fit = fit_softmax(x, y)
    assert np.mean(np.array(fit.status) == "ok") >= 0.99 and float((fit.gap <= 1e-6).double().mean()) >= 0.99


def test_neighbours_and_order_do_not_matter():
    drawn, labels = relu_problems(12, 600, 6, 4, seed=1)
    x, fresh, y, later = drawn[:, :300], drawn[:, 300:], labels[:300], labels[300:]
    together, order = fit_softmax(x, y), np.random.default_rng(0).permutation(12)
    shuffled = fit_softmax(x[order], y)

    def held_out(fit, index, e):
        return softmax_objective(fresh[e], one_hot(later, 4), fit.weight[index].numpy(), fit.intercept[index].numpy())

    for at, e in enumerate(order):
        alone = fit_softmax(x[e], y)
        for other, index in ((alone, 0), (shuffled, at)):
            assert float(other.value[index]) == pytest.approx(float(together.value[e]), abs=1e-9)
            assert held_out(other, index, e) == pytest.approx(held_out(together, e, e), rel=1e-5, abs=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_is_invariant_under_invertible_affine_maps(seed):
    x, y = labelled(d=5)
    rng = np.random.default_rng(seed)
    mapped = x @ (rng.normal(size=(5, 5)) * np.geomspace(1e-3, 1e3, 5)) + 100 * rng.normal(size=5)
    torch.testing.assert_close(fit_softmax(mapped, y).value, fit_softmax(x, y).value, rtol=0, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_dead_constant_and_duplicate_features_change_nothing_that_they_should_not(ridge):
    x, y = labelled()
    useless = np.column_stack([x, np.zeros(len(x)), np.full(len(x), 0.1)])
    fit = fit_softmax(useless, y, ridge=ridge)
    assert fit.status == ["ok"] and float(fit.value) == pytest.approx(softmax_minimum(x, one_hot(y, 3), ridge), abs=1e-7)
    doubled = fit_softmax(np.column_stack([x, x[:, 0], x @ [1, -1, 2, 0.5]]), y)
    assert doubled.status == ["ok"] and float(doubled.value) == pytest.approx(softmax_minimum(x, one_hot(y, 3)), abs=1e-7)


def test_features_that_never_vary_leave_the_entropy_of_the_labels():
    y = np.array([0] * 30 + [1] * 50 + [2] * 20)
    fit = fit_softmax(np.ones((100, 3)), y)
    p = np.array([0.3, 0.5, 0.2])
    assert fit.status == ["ok"] and float(fit.value) == pytest.approx(-np.sum(p * np.log(p)), abs=1e-9)


def test_a_separated_sample_has_a_vacuous_lower_side():
    x, y = labelled(n=100, d=2)
    for features in (np.column_stack([x, 10 * one_hot(y, 3)]), np.random.default_rng(0).normal(size=(10, 20))):
        fit = fit_softmax(features, y[: len(features)])
        assert fit.status == ["vacuous_lower"] and float(fit.lower) == pytest.approx(0, abs=1e-15) and float(fit.value) < 1e-3
    assert fit_softmax(np.column_stack([x, 10 * one_hot(y, 3)]), y, ridge=0.01).status == ["ok"]


def test_a_minimiser_beyond_the_assumed_radius_proves_nothing():
    x, y = labelled(signal=3.0)
    fit, inside = fit_softmax(x, y, dual_radius=1.0), fit_softmax(x, y)
    assert inside.status == ["ok"] and fit.status == ["vacuous_lower"] and float(fit.lower) == pytest.approx(0, abs=1e-15)


def test_one_separated_class_leaves_the_problem_of_the_others(monkeypatch):
    monkeypatch.setattr(_newton_dual, "ROUNDS", 3)  # too few, for most of them, without repaired dual points
    problems, infima = [], []
    for seed in range(12):
        x, y = labelled(n=300, d=3, classes=4, seed=seed)
        apart = (0.1 + np.random.default_rng(seed).exponential(size=300)) * np.where(y == 0, 1, -1)
        x, rest = np.column_stack([x, apart]), y > 0
        problems.append((x, y))
        infima.append(rest.mean() * softmax_minimum(x[rest], one_hot(y[rest] - 1, 3)))  # not attained: a weight runs off
    fit = fit_softmax(np.stack([x for x, _ in problems]), np.stack([y for _, y in problems]))
    assert fit.status == ["ok"] * 12
    assert (fit.lower.numpy() <= np.array(infima) + 1e-9).all()
    np.testing.assert_allclose(fit.value, infima, rtol=0, atol=1e-6)


def test_a_class_that_never_occurs_has_probability_zero():
    x, y = labelled()
    fit, without = fit_softmax(x, np.where(y == 1, 4, y), n_classes=6), fit_softmax(x, np.where(y == 1, 3, y))
    assert torch.isneginf(fit.intercept[0, [1, 3, 5]]).all() and (fit.weight[0, [1, 3, 5]] == 0).all()
    torch.testing.assert_close(fit.value, without.value, rtol=0, atol=1e-9)
    both = fit_softmax(x, np.stack([y, np.where(y == 1, 2, y)]), n_classes=3)  # two problems that lack different classes
    assert torch.isfinite(both.intercept).sum(1).tolist() == [3, 2]
    assert float(both.value[1]) == pytest.approx(float(fit_softmax(x, (y > 0).astype(int)).value), abs=1e-8)


def test_shared_features_and_shared_labels_are_the_same_problems():
    x, y = labelled(n=150)
    labels = np.stack([y, np.roll(y, 1), np.roll(y, 7)])
    shared, spelled = fit_softmax(x, labels), fit_softmax(np.stack([x] * 3), labels)
    torch.testing.assert_close(shared.value, spelled.value, rtol=0, atol=1e-9)
    torch.testing.assert_close(shared.value[1:2], fit_softmax(x, labels[1]).value, rtol=0, atol=1e-9)


def test_chunks_do_not_matter(monkeypatch):
    x, y = relu_problems(7, 100, 5, 3)
    whole = fit_softmax(x, y)
    monkeypatch.setattr(module, "BUDGET", 1)
    monkeypatch.setattr(_newton_dual, "CACHED", 1)
    chunked = fit_softmax(x, y)
    assert chunked.status == whole.status
    torch.testing.assert_close(chunked.value, whole.value, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_real_dtype_is_solved_as_it_was_given(dtype):
    x, y = labelled()
    features = torch.tensor(x).to(dtype).requires_grad_()
    fit = fit_softmax(features, torch.tensor(y, dtype=torch.int32))
    best = softmax_minimum(features.detach().double().numpy(), one_hot(y, 3))
    assert fit.value.dtype == torch.float64 and not fit.weight.requires_grad
    assert float(fit.value) == pytest.approx(best, abs=1e-7)


def test_more_unknowns_than_a_dense_hessian_is_made_for(monkeypatch):
    x, y = labelled(n=400, d=12, classes=4)
    dense = fit_softmax(x, y)
    monkeypatch.setattr("interface.convex._logistic.DENSE", 0)
    sparse = fit_softmax(x, y)
    assert sparse.status == ["ok"]
    torch.testing.assert_close(sparse.value, dense.value, rtol=0, atol=1e-8)


def test_wide_problems_tell_separated_samples_from_others():
    wide, y = labelled(n=400, d=150, classes=2)
    rng = np.random.default_rng(1)
    noisy, far = (wide @ rng.normal(size=150) + 15 * rng.gumbel(size=400) > 5).astype(int), np.roll(y, 7)
    fit = fit_softmax(wide, np.stack([(wide[:, 0] > 0).astype(int), noisy, far]))
    assert fit.status[0] == "vacuous_lower" and float(fit.value[0]) < 1e-3 and float(fit.lower[0]) == pytest.approx(0, abs=1e-15)
    for e, labels in ((1, noisy), (2, far)):
        assert fit.status[e] == "ok"
        assert float(fit.value[e]) == pytest.approx(softmax_minimum(wide, one_hot(labels, 2)), abs=1e-6)


def test_a_start_leads_to_the_same_minimum():
    x, y = labelled(d=5)
    cold = fit_softmax(x, y)
    warm = fit_softmax(x + 0.05 * np.random.default_rng(3).normal(size=x.shape), y, start=cold)
    assert warm.status == ["ok"]
    torch.testing.assert_close(fit_softmax(x, y, start=warm).value, cold.value, rtol=0, atol=1e-8)


def test_the_input_is_left_alone():
    x, y = (torch.tensor(part) for part in labelled())
    before = x.clone(), y.clone()
    fit_softmax(x, y)
    assert torch.equal(x, before[0]) and torch.equal(y, before[1])


X, Y = labelled(n=20)


@pytest.mark.parametrize(
    ("features", "labels", "options", "message"),
    [
        (np.empty((0, 3)), Y, {}, "features has shape"),
        (X[:, 0], Y, {}, "features has shape"),
        (np.where(np.arange(20)[:, None] == 7, np.nan, X), Y, {}, "features .* row 7"),
        (np.where(np.arange(20)[:, None] == 7, np.inf, np.stack([X, X])), Y, {}, "features .* row 7 of problem 0"),
        ("text", Y, {}, "features is str"),
        (X, Y[:-1], {}, "labels has shape"),
        (X, np.zeros(20, int), {}, "one class only"),
        (X, Y - 1, {}, r"labels lie in \[-1"),
        (X, Y, {"n_classes": 2}, "n_classes is 2"),
        (X, Y.astype(float), {}, "labels are real numbers"),
        (X, np.ones((20, 3)), {}, "sum to 1"),
        (X, one_hot(Y, 3), {"n_classes": 4}, "3 columns"),
        (np.stack([X] * 2), np.stack([Y] * 3), {}, "numbers of problems differ"),
        (X, Y, {"ridge": -1.0}, "ridge"),
        (X, Y, {"tolerance": 0.0}, "tolerance"),
        (X, Y, {"start": fit_softmax(X[:, :2], Y)}, "start has weights"),
    ],
)
def test_bad_input_is_named(features, labels, options, message):
    with pytest.raises(ValueError, match=message):
        fit_softmax(features, labels, **options)


def test_a_device_without_float64_is_refused():
    class Elsewhere(torch.Tensor):
        @property
        def device(self):
            return torch.device("mps")

    with pytest.raises(ValueError, match="no float64"):
        fit_softmax(torch.ones(4, 2).as_subclass(Elsewhere), [0, 1, 0, 1])
