"""The bounded probe: its losses respect the bound, its limits hold exactly, and it has the invariances that it states."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from interface.adaptations import LinearBall, LinearProbe, ball, bounded_lower_limit, bounded_upper_limit, standardised
from interface.core import Estimate


def sample(n=400, d=4, classes=3, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    x = scale * rng.normal(size=(n, d))
    return x, (1.5 * x[:, :classes] / scale + rng.gumbel(size=(n, classes))).argmax(1)


@pytest.mark.parametrize("n", [1, 12, 200])
@pytest.mark.parametrize("share", [0.003, 0.1, 0.5, 0.98])
def test_both_limits_fail_at_most_as_often_as_they_say_for_coins_of_two_losses(n, share):
    bound, counts = 7.0, np.arange(n + 1)
    chances = binom.pmf(counts, n, share)
    lower = np.array([bounded_lower_limit(bound * count / n, n, bound) for count in counts])
    assert chances[lower > bound * share * (1 + 1e-9)].sum() <= 0.025
    assert (np.diff(lower) > 0).all() or n == 1
    if n > 1:
        deviations = np.sqrt(counts / n * (1 - counts / n) * n / (n - 1)) * bound
        upper = [
            bounded_upper_limit(Estimate(bound * count / n, stderr=s / n**0.5, how="held_out", n=n), bound)
            for count, s in zip(counts, deviations, strict=True)
        ]
        assert chances[np.array(upper) < bound * share].sum() <= 0.025


def test_the_lower_limit_is_the_inverse_of_the_divergence():
    limit = bounded_lower_limit(0.3, 1_000, 2.0)
    p, q = 0.15, limit / 2
    assert 1_000 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))) == pytest.approx(np.log(40), rel=1e-6)
    assert bounded_lower_limit(0.0, 10, 2.0) == 0
    assert bounded_lower_limit(2.0, 10, 2.0) == pytest.approx(2 * 0.025**0.1)  # q^n = level
    assert 0 <= bounded_lower_limit(1e-9, 10, 40.0) < 1e-30


@pytest.mark.parametrize("arguments", [(-0.1, 10, 1.0), (1.1, 10, 1.0), (0.5, 0, 1.0), (0.5, 10, np.inf), (np.nan, 10, 1.0)])
def test_unusable_limits_are_refused(arguments):
    with pytest.raises(ValueError, match="allowed"):
        bounded_lower_limit(*arguments)


def test_an_upper_limit_needs_a_standard_error():
    with pytest.raises(ValueError, match="error"):
        bounded_upper_limit(Estimate(0.5, how="held_out", n=10), 1.0)


def test_no_loss_exceeds_the_bound_and_the_worst_one_comes_close():
    probe = LinearBall(radius=2.0, clip=3.0)
    # all examples on one ray, of one class: the head turns against the other class as far as the ball allows
    x, y = np.full((50, 1), 100.0), np.zeros(50, int)
    head = probe.fit(x, y, n_classes=2)
    worst = float(head.loss(x, 1 - y).max())
    assert 0.99 * probe.bound(2) < worst <= probe.bound(2)
    x, y = sample(scale=50)
    assert float(probe.fit(x, y).loss(x, (y + 1) % 3).max()) <= probe.bound(3)


def test_a_wider_ball_is_lower_and_all_linear_probes_are_lowest():
    fit, test = sample(1_000), sample(1_000, seed=1)
    clip = 1e3  # nothing is clipped, so that families are nested
    brackets = [LinearBall(radius=radius, clip=clip).bracket(fit, test) for radius in (0.3, 1.0, 3.0, 30.0)]
    brackets.append(LinearProbe().bracket(fit, test))
    lows = np.array([bracket.low for bracket in brackets])
    assert (np.diff(lows) <= 1e-6).all() and lows[0] > lows[2] + 0.05
    assert lows[3] == pytest.approx(lows[4], abs=2e-6)
    for wide, narrow in zip(brackets[1:], brackets[:-1], strict=True):
        assert wide.high <= narrow.high + 2 * narrow.high.stderr


def test_a_solved_bracket_is_certified_and_below_the_normal_limit():
    bracket = LinearBall().bracket(sample(2_000), sample(2_000, seed=1))
    assert bracket.certified and bracket.solved
    assert 0 < bracket.lower_limit < bracket.low - 2 * bracket.low.stderr
    assert bracket.interval()[0] <= bracket.lower_limit
    assert bounded_upper_limit(bracket.high, LinearBall().bound(3)) > bracket.interval()[1]
    tighter = LinearBall(radius=1.0).bracket(sample(2_000), sample(2_000, seed=1))
    assert tighter.low - tighter.lower_limit < bracket.low - bracket.lower_limit


def test_an_unsolved_problem_certifies_nothing(monkeypatch):
    solve = ball.fit_softmax_ball

    def stopped(*arguments, **options):
        done = solve(*arguments, **options)
        return replace(done, gap=done.gap + 1e-3, status=["not_converged"])

    monkeypatch.setattr(ball, "fit_softmax_ball", stopped)
    bracket = LinearBall().bracket(sample(), sample(seed=1))
    assert not bracket.certified and bracket.status == "not_converged"
    assert bracket.lower_limit < bounded_lower_limit(float(bracket.low), 400, LinearBall().bound(3))


def test_invariant_to_permutations_signs_rotations_and_not_to_scale():
    x, y = sample()
    probe, rng = LinearBall(radius=1.5), np.random.default_rng(5)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    signed = np.eye(4)[[2, 0, 3, 1]] * [1, -1, -1, 1]
    value = float(probe.fit(x, y).solution.value)
    for same in (rotation, signed):
        assert float(probe.fit(x @ same, y).solution.value) == pytest.approx(value, abs=2e-6)
    assert abs(float(probe.fit(0.2 * x, y).solution.value) - value) > 1e-2
    source = rng.normal(size=(500, 4)) * [1, 2, 3, 4]
    scaled = [standardised(x * factor, source * factor) for factor in (1.0, np.array([0.1, -5.0, 1.0, 30.0]))]
    values = [float(probe.fit(part[0], y).solution.value) for part in scaled]
    assert values[0] == pytest.approx(values[1], abs=2e-6)


def test_standardising_takes_its_constants_from_the_source():
    rng = np.random.default_rng(0)
    source = 3 + 2 * rng.normal(size=(2, 300, 3))
    z = standardised(source, source)
    np.testing.assert_allclose(z.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(1, correction=0), 1)
    by_hand = (source[0] - source[1].mean(0)) / source[1].std(0)
    np.testing.assert_allclose(standardised(source[0], source[1])[0], by_hand)
    with pytest.raises(ValueError, match="source has shape"):
        standardised(source, source[..., :2])


@pytest.mark.parametrize("values", [{"radius": 0}, {"radius": np.inf}, {"clip": 1.0}, {"clip": np.nan}])
def test_impossible_balls_are_refused(values):
    with pytest.raises(ValueError, match="LinearBall: radius, clip"):
        LinearBall(**values)


def test_real_labels_are_refused():
    x, _ = sample()
    with pytest.raises(ValueError, match="labels are real numbers"):
        LinearBall().bracket((x, x[:, 0]), (x, x[:, 0]))
