import numpy as np
import pytest
from scipy import stats

from interface.analysis import (
    cluster_mean,
    exponential_link,
    interval_of_one_new,
    leave_family_out,
    leave_largest_out,
    straight_line,
)


def test_a_family_is_predicted_by_a_fit_that_did_not_see_it():
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(5), 4)
    x, y = rng.normal(size=20) + family, rng.normal(size=20)
    found = leave_family_out(x, y, family)
    for k in range(5):
        seen = family != k
        error = np.polyval(np.polyfit(x[seen], y[seen], 1), x[~seen]) - y[~seen]
        np.testing.assert_allclose(found.errors[k], np.sqrt(np.mean(error**2)), rtol=1e-10)
        outside = max(x[~seen].max() - x[seen].max(), x[seen].min() - x[~seen].min(), 0)
        np.testing.assert_allclose(found.distances[k], outside / np.ptp(x[seen]))
    np.testing.assert_allclose(found.error.estimate, found.errors.mean())
    assert found.error.n_clusters == 5 and found.failed == ()


def test_the_right_form_predicts_the_largest_and_a_line_does_not():
    rng = np.random.default_rng(1)
    size = np.tile(np.arange(1.0, 11), 4)
    family = np.repeat(np.arange(4), 10)
    x = 4 - 0.25 * size
    y = 0.9 - 2 * np.exp(-x) + 0.002 * rng.normal(size=40)
    line = leave_largest_out(x, y, size, family)
    curve = leave_largest_out(x, y, size, family, fit=lambda x, y: exponential_link(x, y, rng=rng, resamples=0).predict)
    assert curve.error.estimate < 0.01 < 0.04 < line.error.estimate < line.baseline.estimate
    assert line.bias.interval()[0] > 0, "a line sees too little of the fall"
    np.testing.assert_allclose(line.distances, 1 / 8)


def test_one_new_family_is_less_certain_than_the_mean():
    rng, tables, covered = np.random.default_rng(2), 2_000, 0
    for values in rng.normal(size=(tables, 8)):
        low, high = interval_of_one_new(cluster_mean(values[:7], range(7)))
        covered += low <= values[7] <= high
    assert stats.binom.ppf(0.001, tables, 0.95) <= covered <= stats.binom.ppf(0.999, tables, 0.95)


def test_a_fit_that_refuses_is_counted_and_two_families_are_too_few():
    def fussy(x, y):
        if len(x) < 9:
            raise ValueError("too few")
        return straight_line(x, y)

    x = np.arange(12.0)
    found = leave_family_out(x, x, [0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3], fit=fussy)
    assert found.failed == (("1", "too few"),) and found.groups == ("0", "2", "3")
    with pytest.raises(ValueError, match="2 families"):
        leave_family_out(x, x, np.arange(12) % 2)
    with pytest.raises(ValueError, match="not all the same"):
        leave_largest_out(x, x, np.ones(12))
