import numpy as np
import pytest
import torch

from interface.adaptations import LinearProbe

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
    monkeypatch.setattr("interface.convex.softmax.ROUNDS", 1)
    monkeypatch.setattr("interface.convex.softmax.DESCENT", 0)
    bracket = PROBE.bracket((x[0], y), (x[1], y))
    assert bracket.status == "not_converged" and bracket.gap > 1e-6


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
