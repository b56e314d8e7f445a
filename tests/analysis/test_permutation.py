import itertools

import numpy as np
import pytest
from scipy import stats

from interface.analysis import permuted_slope


def design(rng, lrs=3, seeds=2, steps=3, theta=0.7, shared=0.1):
    x = np.array([0.5, 0.2, 0.0])[:, None, None] + 0.05 * rng.normal(size=(lrs, 3, seeds, steps))
    trend = rng.normal(size=(lrs, 1, seeds, steps))
    level = shared * rng.normal(size=(lrs, 3, seeds, 1))  # an error that stays with a run
    return x + trend, theta * x + trend + level + 0.02 * rng.normal(size=x.shape)


def test_p_is_the_share_of_all_rearrangements_of_trajectories():
    x, y = design(np.random.default_rng(0), lrs=2, seeds=1)
    found = permuted_slope(x, y)
    assert (found.rearrangements, found.smallest_p) == (36, 1 / 36)
    for theta in (0.0, 0.5, 2.0):
        z = y - theta * x
        slopes = []
        for first, second in itertools.product(itertools.permutations(range(3)), repeat=2):
            moved = np.stack([z[0, list(first)], z[1, list(second)]])
            dx, dz = (v - v.mean(axis=1, keepdims=True) for v in (x, moved))
            slopes.append((dx * dz).sum() / (dx * dx).sum())
        assert found.p_value(theta) == pytest.approx(np.mean(np.abs(slopes) >= abs(slopes[0]) - 1e-12))


def test_the_default_design_reaches_two_in_a_hundred_thousand():
    found = permuted_slope(*design(np.random.default_rng(1), theta=3.0))
    assert found.rearrangements == 46_656 and found.enumerated and found.p_value(0.0) == found.smallest_p < 2.2e-5
    assert found.note == "conditional on this data set" and found.blocks == 6


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_is_what_the_test_does_not_reject(level):
    found = permuted_slope(*design(np.random.default_rng(2), lrs=2))
    low, high = found.interval(level)
    assert low < found.slope < high
    for end, inward in ((low, 1e-6), (high, -1e-6)):
        assert found.p_value(end + inward) > 1 - level >= found.p_value(end - inward)


def test_a_small_design_rejects_nothing_and_its_interval_says_so():
    found = permuted_slope(*design(np.random.default_rng(3), lrs=1, seeds=1))
    assert found.smallest_p == 1 / 6 and found.interval() == (-np.inf, np.inf)


def test_level_and_coverage_hold_with_errors_that_stay_with_a_run():
    rng, tables, rejected, covered = np.random.default_rng(4), 400, 0, 0
    for _ in range(tables):
        found = permuted_slope(*design(rng, lrs=2))
        rejected += found.p_value(0.7) <= 0.05
        low, high = found.interval()
        covered += low <= 0.7 <= high
    assert rejected + covered == tables
    assert stats.binom.ppf(0.0005, tables, 0.04) <= rejected <= stats.binom.ppf(0.9995, tables, 0.05)


def test_large_designs_sample_and_bad_ones_are_named():
    x, y = design(np.random.default_rng(5), lrs=4, seeds=2)
    with pytest.raises(ValueError, match="give rng"):
        permuted_slope(x, y)
    found = permuted_slope(x, y, rng=np.random.default_rng(6), draws=2_000)
    assert not found.enumerated and found.smallest_p == 1 / 2000
    with pytest.raises(ValueError, match="not finite"):
        permuted_slope(np.where(x > 1, np.nan, x), y)
    with pytest.raises(ValueError, match="does not vary between levels"):
        permuted_slope(np.zeros_like(x), y)
