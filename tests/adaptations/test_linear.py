from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from interface.adaptations import LinearProbe
from interface.convex import fit_softmax

PROBE = LinearProbe()


def mean_and_error(values):
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("n", [10, 20, 50])
def test_both_sides_of_least_squares_climb_the_gaussian_ladder(n):
    # Gaussian x, y = x'a + noise of variance L*: E v_n = L* (n - r - 1) / n with an intercept, and the minimiser's population
    # loss averages L* (n + 1) (n - 2) / (n (n - r - 2)) (moments of the inverse Wishart law)
    rng, r, floor, problems = np.random.default_rng(n), 3, 0.7, 1500
    x, x_test = rng.normal(size=(problems, n, r)), rng.normal(size=(problems, 30, r))
    y, y_test = (part.sum(2) + np.sqrt(floor) * rng.normal(size=part.shape[:2]) for part in (x, x_test))
    brackets = PROBE.brackets((x, y), (x_test, y_test))
    low, low_error = mean_and_error([b.low for b in brackets])
    high, high_error = mean_and_error([b.high for b in brackets])
    assert abs(low - floor * (n - r - 1) / n) < 4 * low_error
    assert abs(high - floor * (n + 1) * (n - 2) / (n * (n - r - 2))) < 4 * high_error
    assert low < floor < high


def two_points(rng, problems, n):
    """x = ±1, p(y = 1 | x) = .8 or .3: an affine logistic is saturated, so that L* is the conditional entropy."""
    x = rng.choice([-1.0, 1.0], size=(problems, n, 1))
    p = np.where(x[..., 0] > 0, 0.8, 0.3)
    return x, (rng.random(p.shape) < p).astype(int), np.stack([1 - p, p], 2)


def test_both_sides_of_the_log_loss_enclose_its_known_minimum_in_the_mean():
    rng, problems, n = np.random.default_rng(0), 500, 60
    (x, y, p), (x_test, y_test, p_test) = two_points(rng, problems, n), two_points(rng, problems, n)
    floor = 0.5 * sum(-q * np.log(q) - (1 - q) * np.log(1 - q) for q in (0.8, 0.3))
    hard = PROBE.brackets((x, y), (x_test, y_test))
    soft = PROBE.brackets((x, y), (x_test, y_test), soft=(p, p_test))
    low, error = mean_and_error([b.low for b in hard])
    assert abs(low - (floor - 2 / (2 * n))) < 4 * error + 2e-3  # p / (2 n) below, to first order
    high, error = mean_and_error([b.high for b in hard])
    assert abs(high - (floor + 2 / (2 * n))) < 4 * error + 5e-3
    soft_low, soft_error = mean_and_error([b.low for b in soft])
    assert low < soft_low < floor + 4 * soft_error
    assert soft_error < 0.5 * error  # known probabilities remove the noise of the labels


def test_the_interval_covers_the_minimum():
    rng = np.random.default_rng(1)
    (x, y, _), (x_test, y_test, _) = two_points(rng, 300, 400), two_points(rng, 300, 400)
    floor = 0.5 * sum(-q * np.log(q) - (1 - q) * np.log(1 - q) for q in (0.8, 0.3))
    intervals = np.array([b.interval() for b in PROBE.brackets((x, y), (x_test, y_test))])
    assert np.mean((intervals[:, 0] <= floor) & (floor <= intervals[:, 1])) >= 0.93


def test_points_may_cross_and_the_status_says_so():
    x = np.array([[-1.0], [1.0]] * 20)
    noisy, clean = np.array([0, 1, 1, 0, 0, 1, 0, 1] * 5), np.array([0, 1] * 20)
    bracket = PROBE.bracket((x, noisy), (x, clean))
    assert bracket.low > bracket.high and bracket.status == "crossed"


def test_a_separated_sample_is_vacuous_below_and_valid_above():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 200, 2)), np.repeat([0, 1], 100)
    x[:, :, 0] += 20 * y
    bracket = PROBE.bracket((x[0], y), (x[1], y))
    assert bracket.status == "vacuous_lower" and bracket.low < 1e-3 and np.isfinite(bracket.high)
    assert bracket.interval()[0] <= 0
    interpolated = PROBE.bracket((rng.normal(size=(4, 5)), rng.normal(size=4)), (rng.normal(size=(9, 5)), rng.normal(size=9)))
    assert interpolated.status == "vacuous_lower"


def test_a_class_that_only_the_test_holds_costs_infinitely_much_and_is_named():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 90, 2)), np.arange(90) % 3
    known = np.where(y == 2, 0, y)
    bracket = PROBE.bracket((x[0], known), (x[1], y))
    assert bracket.status == "absent_class" and bracket.high == np.inf and bracket.high.stderr is None
    assert PROBE.bracket((x[0], known), (x[1], known), n_classes=5).status in ("ok", "crossed")
    p = np.eye(3)[y]
    assert PROBE.bracket((x[0], known), (x[1], y), soft=(np.eye(3)[known], p)).high == np.inf
    finite = PROBE.bracket((x[0], known), (x[1], y), soft=(np.eye(3)[known], np.eye(3)[known])).high
    assert finite == pytest.approx(PROBE.bracket((x[0], known), (x[1], known)).high, abs=1e-6)


def test_an_unsolved_problem_is_not_passed_off_as_solved(monkeypatch):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 300, 3))
    y = (3 * x[0] @ rng.normal(size=(3, 3))).argmax(1) * (rng.random(300) < 0.9)

    def stopped(features, labels, *, n_classes):
        done = fit_softmax(features, labels, n_classes=n_classes)
        return replace(done, gap=done.gap + 1e-3, status=["not_converged"])

    solved = PROBE.bracket((x[0], y), (x[1], y))
    monkeypatch.setattr("interface.adaptations.linear.fit_softmax", stopped)
    bracket = PROBE.bracket((x[0], y), (x[1], y))
    assert bracket.status == "not_converged" and bracket.gap > 1e-6
    assert bracket.interval()[0] == pytest.approx(solved.interval()[0] - 1e-3, abs=1e-6)


def test_soft_targets_replace_drawn_labels():
    rng = np.random.default_rng(5)
    x, _, p = two_points(rng, 1, 100)
    x_test, y_test, p_test = two_points(rng, 1, 100)
    labels = np.zeros(100, int)  # never looked at
    both = PROBE.bracket((x, labels), (x_test, labels), soft=(p, p_test))
    only_fit = PROBE.bracket((x, labels), (x_test, y_test), soft=(p, None))
    assert both.low == only_fit.low and both.high != only_fit.high
    entropy = -np.mean(np.sum(p * np.log(p), 2))
    assert both.low == pytest.approx(entropy, abs=1e-7)  # p(y|x) lies in the family


def test_predictions_are_classes_or_values():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] > 0).astype(int) + (rng.random(200) < 0.05)
    classes = PROBE.fit(x, y).predict(x)
    assert classes.dtype == torch.long and float((classes.numpy() == y).mean()) > 0.8
    values = PROBE.fit(x, x @ [1.0, 2.0] + 3).predict(x)
    np.testing.assert_allclose(values, x @ [1.0, 2.0] + 3, rtol=1e-9)


def test_parameters_are_counted_with_the_intercept_and_without_the_reference_class():
    assert PROBE.n_parameters(16, 10) == 153 and PROBE.n_parameters(4, 2) == 5 and PROBE.n_parameters(4, None) == 5


def test_real_labels_with_a_number_of_classes_are_refused():
    x = np.ones((10, 2))
    with pytest.raises(ValueError, match="n_classes is 3"):
        PROBE.brackets((x, np.ones(10)), (x, np.ones(10)), n_classes=3)


def test_a_head_is_not_applied_to_other_features():
    rng = np.random.default_rng(7)
    head = PROBE.fit(rng.normal(size=(50, 3)), np.arange(50) % 2)
    with pytest.raises(ValueError, match="4 columns"):
        head.loss(np.ones((5, 4)), np.zeros(5, int))
    with pytest.raises(ValueError, match="labels lie in"):
        head.loss(np.ones((5, 3)), np.full(5, 2))
    assert head.loss(np.ones((5, 3)), np.zeros(5, int)).shape == (5,)


def test_the_gaussian_limit_is_the_exact_quantile_of_the_residuals():
    rng, n, r, floor, problems = np.random.default_rng(8), 12, 3, 0.7, 4000
    x, x_test = rng.normal(size=(problems, n, r)), rng.normal(size=(problems, 5, r))
    y, y_test = (part.sum(2) + np.sqrt(floor) * rng.normal(size=part.shape[:2]) for part in (x, x_test))
    brackets = LinearProbe(gaussian=True).brackets((x, y), (x_test, y_test))
    assert all(b.certified for b in brackets)
    ratios = np.array([n * b.low / floor for b in brackets])  # chi-squared with n - 1 - r degrees of freedom
    assert kstest(ratios, chi2(n - 1 - r).cdf).pvalue > 1e-3
    above = np.mean([b.lower_limit > floor for b in brackets])
    assert abs(above - 0.025) < 4 * np.sqrt(0.025 * 0.975 / problems)
    plain = PROBE.brackets((x, y), (x_test, y_test))
    assert [b.low for b in plain] == [b.low for b in brackets] and not any(b.certified for b in plain)


def test_the_gaussian_limit_counts_the_rank_and_not_the_columns():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(2, 30, 2)), rng.normal(size=(2, 30))
    doubled = np.concatenate([x, x[..., :1] + x[..., 1:]], 2)
    probe = LinearProbe(gaussian=True)
    narrow, wide = (probe.bracket((z[0], y[0]), (z[1], y[1])) for z in (x, doubled))
    assert wide.lower_limit == pytest.approx(narrow.lower_limit)
    full = probe.bracket((x[0, :3], y[0, :3]), (x[1], y[1]))
    assert full.lower_limit == 0 and full.status == "vacuous_lower"


def test_classes_are_not_gaussian():
    x, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(ValueError, match="gaussian is True, but labels are classes"):
        LinearProbe(gaussian=True).bracket((x, y), (x, y))


@pytest.mark.parametrize("n", [2, 4, 8, 40])
def test_the_risk_of_least_squares_is_that_of_the_minimal_norm(n):
    rng, d = np.random.default_rng(n), 6
    x, x_test = rng.normal(size=(n, d)), rng.normal(size=(50, d))
    y, y_test = (part.sum(1) + rng.normal(size=len(part)) for part in (x, x_test))
    scale = x.std(0)  # minimal norm on features of variance 1
    weight = np.linalg.lstsq((x - x.mean(0)) / scale, y - y.mean(), rcond=None)[0] / scale
    expected = np.mean((y_test - y.mean() - (x_test - x.mean(0)) @ weight) ** 2)
    assert PROBE.risk((x, y), (x_test, y_test))[0] == pytest.approx(expected, rel=1e-6)


def test_risk_of_least_squares_climbs_the_gaussian_ladder():
    rng, r, floor, problems, n = np.random.default_rng(3), 3, 0.7, 1500, 12
    x, x_test = rng.normal(size=(problems, n, r)), rng.normal(size=(problems, 30, r))
    y, y_test = (part.sum(2) + np.sqrt(floor) * rng.normal(size=part.shape[:2]) for part in (x, x_test))
    mean, error = mean_and_error(PROBE.risk((x, y), (x_test, y_test)))
    assert abs(mean - floor * (n + 1) * (n - 2) / (n * (n - r - 2))) < 4 * error


def test_without_features_few_labels_give_the_sequential_estimator():
    # a constant feature says nothing: probabilities are (n_c + 1/2) / (n + C/2)
    head = PROBE.learn(np.ones((8, 1)), [0, 0, 0, 0, 0, 1, 1, 1], n_classes=3)
    expected = -np.log(np.array([5.5, 3.5, 0.5]) / 9.5)
    np.testing.assert_allclose(head.loss(np.ones((3, 1)), [0, 1, 2]), expected, atol=2e-3)
    single = PROBE.learn(np.ones((8, 1)), np.zeros(8, int), n_classes=2)
    assert float(single.loss([[1.0]], [1])) == pytest.approx(np.log(18), abs=2e-3)


@pytest.mark.parametrize("n", [8, 16, 64, 300])
def test_few_labels_are_penalised_on_standardised_features(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 12)) * 10.0 ** rng.integers(-3, 3, size=12) + 5
    y = np.where(rng.random(n) < 0.3, 1 - (x[:, 0] > 5), x[:, 0] > 5).astype(int)
    head = PROBE.learn(x, y, n_classes=3)
    x_test = rng.normal(size=(100, 12)) + 5
    losses = head.loss(x_test, rng.integers(3, size=100))
    assert torch.isfinite(losses).all()
    factors = np.where(np.arange(12) % 2, -100.0, 0.01)
    scaled = PROBE.learn(x * factors - 3, y, n_classes=3).loss(x_test * factors - 3, np.zeros(100, int))
    torch.testing.assert_close(scaled, head.loss(x_test, np.zeros(100, int)), rtol=1e-3, atol=1e-3)
    # the gradient of the mean smoothed loss plus ||W||² / (2 n), W on standardised features, is 0 at the head
    z = torch.tensor((x - x.mean(0)) / x.std(0))
    w = head.solution.weight[0] * torch.tensor(x.std(0))
    b = (head.solution.intercept[0] + head.solution.weight[0] @ torch.tensor(x.mean(0))).requires_grad_()
    w = w.detach().requires_grad_()
    target = (torch.tensor(np.eye(3)[y]) * n + 0.5) / (n + 1.5)
    loss = -(torch.log_softmax(z @ w.T + b, 1) * target).sum(1).mean() + w.square().sum() / (2 * n)
    loss.backward()
    assert float(w.grad.abs().max()) < 1e-3 and float(b.grad.abs().max()) < 1e-3


@pytest.mark.parametrize("unit", ["nats", "squared"])
def test_invertible_affine_maps_of_the_features_leave_both_sides(unit):
    rng = np.random.default_rng(11)
    x = rng.normal(size=(2, 300, 4))
    y = x[..., 0] - x[..., 1] + rng.logistic(size=(2, 300))
    y = (y > 0).astype(int) if unit == "nats" else y
    change, offset = rng.normal(size=(4, 4)) * [1e-2, 1, 1, 1e2], 100 * rng.normal(size=4)
    one, same = (PROBE.bracket((z[0], y[0]), (z[1], y[1])) for z in (x, x @ change + offset))
    np.testing.assert_allclose([same.low, same.high], [one.low, one.high], rtol=1e-4)
    lost = PROBE.bracket((x[0, :, 1:], y[0]), (x[1, :, 1:], y[1]))  # a singular map is not one of them
    assert lost.low > one.low + 0.05


def test_where_no_minimiser_is_attained_the_upper_side_is_that_of_a_head_that_is():
    """Few rows in many dimensions are separated: the minimiser runs off, and its losses on other rows mean nothing."""
    g = torch.Generator().manual_seed(3)
    x = torch.randn(2, 2000, 12, generator=g)
    y = (x[..., 0] + torch.randn(2, 2000, generator=g) > 0).long()
    few = LinearProbe().bracket((x[0, :20], y[0, :20]), (x[1], y[1]))
    many = LinearProbe().bracket((x[0], y[0]), (x[1], y[1]))
    assert few.low.status == "vacuous_lower" and many.solved
    minimiser, learnt = (head(x[0, :20], y[0, :20]).loss(x[1], y[1]).mean() for head in (LinearProbe().fit, LinearProbe().learn))
    assert float(few.high) == pytest.approx(float(learnt)) and float(learnt) < float(minimiser) - 0.5
    assert float(few.low) <= float(many.low) <= float(few.high)
