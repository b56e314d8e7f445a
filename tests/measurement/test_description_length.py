"""Readings of a curve: code lengths against an exact sequential code, surplus and labels needed against hand-made curves."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from interface.measurement import (
    AdaptationCurve,
    adaptation_curve,
    minimum_description_length,
    sample_complexity,
    surplus_description_length,
)


def made(n_labels, means, *, error=0.0, replicates=4, classes=2, seed=0):
    """A curve of given means whose replicates differ by normal noise of this standard error of the mean."""
    noise = np.random.default_rng(seed).normal(size=(replicates, len(means)))
    noise = (noise - noise.mean(0)) / np.maximum(noise.std(0, ddof=1), 1e-12) * error * replicates**0.5
    return AdaptationCurve(tuple(n_labels), np.array(means) + noise, np.zeros((len(means),) * 2), 100, classes, "LinearProbe")


def coin_risk(n, share):
    """E of -ln of the sequential estimator's probability of the next toss after n of them."""
    heads = np.arange(n + 1)
    chance = binom.pmf(heads, n, share)
    estimate = (heads + 0.5) / (n + 1)
    return float(chance @ -(share * np.log(estimate) + (1 - share) * np.log(1 - estimate)))


def test_the_sides_enclose_the_exact_sequential_code_and_tighten_as_the_curve_knows_more():
    # a constant feature: the head's probabilities are the sequential estimator's, its risk a sum over binomials
    share, last = 0.3, 64
    rng = np.random.default_rng(0)
    exact = math.log(2) + sum(coin_risk(n, share) for n in range(1, last))
    widths = []
    for n_labels in ((4, 16, 64), (2, 4, 8, 16, 32, 64), (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64)):
        curve = made(n_labels, [coin_risk(n, share) for n in n_labels])
        length = minimum_description_length(curve)
        assert length.low < exact < length.high
        widths.append(length.high - length.low)
    assert widths[0] > 2 * widths[1] > 2 * widths[2]
    y = (rng.random(4_000) < share).astype(int)
    curve = adaptation_curve(np.ones((4_000, 1)), y, n_labels=(2, 4, 8, 16, 32, 64), replicates=20)
    for value, n in zip(curve.estimates(), curve.n_labels, strict=True):
        assert abs(value - coin_risk(n, share)) < 4 * value.stderr + 0.005
    lower, upper = minimum_description_length(curve).interval()
    assert lower < exact < upper


def test_code_lengths_are_the_sums_of_blocks_with_the_error_of_the_sum():
    curve = made((10, 30, 100), [0.6, 0.5, 0.4], error=0.01, classes=4)
    length = minimum_description_length(curve)
    assert length.low == pytest.approx(10 * 0.6 + 20 * 0.5 + 70 * 0.4)
    assert length.high == pytest.approx(10 * math.log(4) + 20 * 0.6 + 70 * 0.5)
    sums = curve.losses @ [20, 70, 0]
    assert length.high.stderr == pytest.approx(np.std(sums, ddof=1) / 2)
    assert length.status == "ok" and length.gap == 0


def test_squared_loss_is_no_code():
    with pytest.raises(ValueError, match="squared loss"):
        minimum_description_length(made((8, 16), [1.0, 0.9], classes=None))


def test_surplus_counts_what_is_above_the_loss_until_it_is_reached():
    curve = made((10, 20, 40), [0.6, 0.3, 0.1])
    surplus = surplus_description_length(curve, 0.25)
    assert surplus.low == pytest.approx(10 * 0.35 + 10 * 0.05)
    assert surplus.high == pytest.approx(10 * (math.log(2) - 0.25) + 10 * 0.35 + 20 * 0.05)
    assert surplus.status == "ok" and surplus.low.stderr == pytest.approx(0, abs=1e-12)
    assert surplus_description_length(curve, 0.05).status == "right_censored"
    assert surplus_description_length(curve, 5.0).high == 0
    squared = surplus_description_length(made((10, 20), [0.6, 0.1], classes=None), 0.2)
    assert (squared.low, squared.high) == (pytest.approx(4.0), pytest.approx(8.0))


def test_surplus_at_no_loss_is_the_description_length_of_a_falling_curve():
    curve = made((10, 20, 40), [0.6, 0.3, 0.1])
    surplus, length = surplus_description_length(curve, 0.0), minimum_description_length(curve)
    assert (surplus.low, surplus.high) == (pytest.approx(length.low), pytest.approx(length.high))


def test_a_worse_than_uniform_start_raises_the_upper_side():
    surplus = surplus_description_length(made((10, 20), [0.9, 0.1]), 0.2)
    assert surplus.high == pytest.approx(10 * 0.7 + 10 * 0.7)


def test_a_chance_rise_is_ironed_out():
    curve = made((8, 16, 32), [0.5, 0.3, 0.4])
    assert surplus_description_length(curve, 0.2).low == pytest.approx(8 * 0.3 + 24 * 0.15)
    assert sample_complexity(curve, 0.36) == sample_complexity(made((8, 16, 32), [0.5, 0.35, 0.35]), 0.36)


def test_labels_needed_lie_between_two_numbers_of_the_curve():
    curve = made((8, 16, 32), [0.5, 0.3, 0.1])
    for loss, low, high in ((0.6, 0, 8), (0.5, 0, 8), (0.4, 8, 16), (0.2, 16, 32)):
        found = sample_complexity(curve, loss)
        assert (found.low, found.high, found.lower, found.upper, found.status) == (low, high, low, high, "ok")
    never = sample_complexity(curve, 0.05)
    assert (never.low, never.high, never.upper, never.status) == (32, math.inf, math.inf, "right_censored")


def test_the_interval_of_labels_needed_holds_the_truth_under_noise():
    truth, held, wide = [0.5, 0.4, 0.35, 0.32], 0, 0
    rng = np.random.default_rng(1)
    for _ in range(60):
        losses = np.array(truth) + 0.1 * rng.normal(size=(10, 4))
        found = sample_complexity(AdaptationCurve((8, 16, 32, 64), losses, np.zeros((4, 4)), 100, 2, "LinearProbe"), 0.37)
        held += found.lower <= 16 and found.upper >= 32
        wide += found.upper - found.lower > 16
    assert held >= 54 and wide > 10


def test_errors_of_the_surplus_follow_from_those_of_the_curve():
    curve = made((10, 20, 40), [0.6, 0.4, 0.3], error=0.01)
    surplus = surplus_description_length(curve, 0.1)
    expected = np.sqrt(np.array([10, 10, 20]) @ curve.covariance @ [10, 10, 20])
    assert surplus.low.stderr == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("read", [sample_complexity, surplus_description_length])
@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_loss_is_a_finite_number(read, loss):
    with pytest.raises(ValueError, match="loss is"):
        read(made((8, 16), [0.5, 0.4]), loss)
