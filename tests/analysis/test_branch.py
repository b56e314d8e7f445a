import numpy as np

from interface.analysis.branch import at, descending_branch, ends


def brute(x, y, where):
    """Reference: walk along the run, keep new minima, interpolate with np.interp."""
    points, lowest = [], np.inf
    for a, b in zip(x, y, strict=True):
        if a < lowest:
            points.append((a, b))
            lowest = a
    xs, ys = np.array(points).T
    if not xs[-1] <= where <= xs[0]:
        return np.nan
    return np.interp(where, xs[::-1], ys[::-1])


def test_it_agrees_with_a_walk_along_each_run():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3, 9)).cumsum(-1) * -0.3, rng.normal(size=(20, 3, 9, 2))
    where = rng.uniform(-2, 1, size=(20, 3))
    found = at(x, y, where)
    for i in np.ndindex(20, 3):
        for k in range(2):
            np.testing.assert_allclose(found[i][k], brute(x[i], y[i][:, k], where[i]), rtol=1e-12)


def test_knots_are_hit_exactly_and_the_ends_belong_to_the_branch():
    x, y = [1.0, 0.6, 0.9, 0.1], [[1.0], [2.0], [7.0], [3.0]]
    assert [at(x, y, w).item() for w in (1.0, 0.6, 0.1)] == [1.0, 2.0, 3.0]
    assert np.isnan([at(x, y, w).item() for w in (1.01, 0.09, np.nan)]).all()
    assert [float(e) for e in ends(x)] == [1.0, 0.1]


def test_the_way_back_up_is_not_the_branch():
    assert descending_branch([3.0, 2.0, 2.0, 2.5, 1.0]).tolist() == [True, True, False, False, True]


def test_unmeasured_checkpoints_are_stepped_over():
    x, y = [1.0, np.nan, 0.0], [[0.0], [np.nan], [10.0]]
    assert at(x, y, 0.5).item() == 5.0
    assert np.isnan(ends([np.nan, np.nan])).all()
