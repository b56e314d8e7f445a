import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from interface.analysis import Spread, cluster_mean, panel, sufficiency, three_numbers

cell = runpy.run_path(str(Path(__file__).parent / "curves.py"))["cell"]


def test_a_line_gives_its_own_intercept_and_slope():
    table = cell(np.random.default_rng(0), between=0.0, instances=3)
    found = three_numbers(panel(table))
    largest = table[table.n_unlabelled == 100_000]
    x0 = largest[largest.lr > 3e-4].groupby("lr").x.min().max()
    np.testing.assert_allclose(found.x0, x0, rtol=1e-12)
    np.testing.assert_allclose(found.intercept.estimate, 0.3 + 0.7 * x0, rtol=1e-10)
    np.testing.assert_allclose(found.slope.estimate, 0.7, rtol=1e-10)
    assert (found.x1, found.runs, found.left_out) == (1.0, 6, 3), "the slowest learning rate does not reach .05 and is counted"


def test_intervals_cover_the_planted_numbers():
    rng, tables, covered = np.random.default_rng(1), 150, np.zeros(4)
    for _ in range(tables):
        table = cell(rng, intercept=0.3, slope=0.7, spread=0.04, between=0.1, instances=8)
        found = three_numbers(panel(table))
        truths = (0.3 + 0.7 * found.x0, 0.7, 0.04, 0.04)
        means = (found.intercept, found.slope, found.spread_all, found.spread)
        covered += [low <= truth <= high for truth, (low, high) in zip(truths, (m.interval() for m in means), strict=True)]
    limits = stats.binom.ppf([0.0005, 0.9995], tables, 0.95)
    assert (limits[0] <= covered[:2]).all() and (covered[:2] <= limits[1]).all()
    # a variance over two runs is so skewed that even on the log scale its interval is a little short, as its docstring says
    assert stats.binom.cdf(covered[2], tables, 0.95) > 0.001
    assert stats.binom.cdf(covered[3], tables, 0.93) > 0.001


@pytest.mark.parametrize(("runs", "least"), [(2, 0.925), (9, 0.945)])
def test_the_interval_of_the_spread_covers_where_a_t_interval_does_not(runs, least):
    rng, tables, noise = np.random.default_rng(11), 2_000, 0.3
    covered = plain = 0
    for values in rng.normal(size=(tables, 8, runs)):
        raw = (1 + noise) * values.var(axis=1, ddof=1)
        spread = Spread(cluster_mean(raw - noise, range(8)), 0.0, noise, 8 * runs, "ok", raw=tuple(raw))
        (low, high), (low_t, high_t) = spread.interval(), spread.mean.interval()
        covered, plain = covered + (low <= 1.0 <= high), plain + (low_t <= 1.0 <= high_t)
    assert stats.binom.cdf(covered, tables, least) > 0.001
    assert covered > plain and (runs > 2 or plain < 0.88 * tables)


def test_the_interval_of_the_spread_moves_with_the_unit_and_needs_two_instances():
    raw = (0.2, 0.5, 0.1)
    one = Spread(cluster_mean(raw, range(3)), 0.0, 0.0, 6, "ok", raw=raw).interval()
    four = Spread(cluster_mean([4 * r for r in raw], range(3)), 0.0, 0.0, 6, "ok", raw=tuple(4 * r for r in raw)).interval()
    np.testing.assert_allclose(four, [4 * limit for limit in one])
    assert 0 < one[0] < np.mean(raw) < one[1]
    assert np.isnan(Spread(cluster_mean([0.2], "a"), 0.0, 0.0, 2, "ok", raw=(0.2,)).interval()).all()


def test_spread_is_the_variance_between_runs_at_equal_x():
    table = cell(np.random.default_rng(2), spread=0.09, between=0.0, instances=4)
    found = three_numbers(panel(table))
    deviation = (table.y - 0.3 - 0.7 * table.x).groupby([table.instance, table.lr, table.n_unlabelled]).first()
    everyone = deviation.groupby("instance").var(ddof=1)
    np.testing.assert_allclose(found.spread_all.mean.values, everyone, rtol=1e-9)
    reaching = deviation[
        (deviation.index.get_level_values("n_unlabelled") == 100_000) & (deviation.index.get_level_values("lr") > 3e-4)
    ]
    np.testing.assert_allclose(found.spread.mean.values, reaching.groupby("instance").var(ddof=1), rtol=1e-9)
    assert found.spread_all.runs == 4 * 9 and found.spread.runs == 4 * 2 and found.spread_all.x > found.spread.x


def test_noise_is_subtracted_by_its_documented_share():
    table = cell(np.random.default_rng(3), spread=0.01, between=0.0, instances=3, stderr=0.1)
    bare, half, full = (three_numbers(panel(table), noise_factor=f).spread_all for f in (0.0, 0.5, 1.0))
    # linear interpolation of the variance between checkpoints of equal variance is that variance
    np.testing.assert_allclose(
        [bare.mean.estimate - half.mean.estimate, bare.mean.estimate - full.mean.estimate], [0.005, 0.01], rtol=1e-9
    )
    assert full.noise == pytest.approx(0.01)
    drowned = three_numbers(panel(table.assign(stderr=1.0)))
    assert drowned.spread_all.status == "below noise" and drowned.spread_all.mean.estimate < 0
    with pytest.raises(ValueError, match=r"noise_factor is 2.*\[0, 1\]"):
        three_numbers(panel(table), noise_factor=2)


def test_spread_is_taken_by_direction_not_of_the_average():
    table = cell(np.random.default_rng(4), spread=0.04, between=0.0, instances=3)
    opposite = table.assign(y=2 * (0.3 + 0.7 * table.x) - table.y)  # deviations of opposite sign: their average has none
    import pandas as pd

    both = panel(pd.concat([table.assign(replicate=0), opposite.assign(replicate=1)]))
    np.testing.assert_allclose(three_numbers(both).spread_all.mean.estimate, three_numbers(panel(table)).spread_all.mean.estimate)


def test_a_run_that_does_not_pass_the_common_x_makes_the_spread_missing():
    table = cell(np.random.default_rng(5), instances=3)
    late = (table.instance == 1) & (table.lr == 3e-3) & (table.n_unlabelled == 128) & (table.step < 300)
    found = three_numbers(panel(table[~late])).spread_all
    assert found.mean.missing == ("1",) and found.mean.n_clusters == 2


def test_undertrained_cells_have_no_numbers_and_say_why():
    table = cell(np.random.default_rng(6), instances=3)
    found = three_numbers(panel(table[table.step <= 36]))
    assert found.intercept.n_clusters == 0 and "reaches x <= .05" in found.intercept.status and found.left_out == 9


@pytest.mark.parametrize("planted", [0.0, 0.15, -0.2])
def test_the_contrast_is_what_was_planted(planted):
    table = cell(np.random.default_rng(7), contrast=planted, instances=5)
    found = sufficiency(panel(table))
    np.testing.assert_allclose(found.mean.estimate, planted, atol=1e-9)
    # the slowest run on little data is still above .9 D only if it has hardly trained; here it has
    assert (found.pairs, found.missing) == (15, 0)
    lowest = table[table.n_unlabelled == 32].groupby(["instance", "lr"]).x.min()
    other = table[table.n_unlabelled == 100_000].groupby(["instance", "lr"]).x.min()
    np.testing.assert_allclose(found.x, np.maximum(lowest, other).mean())


def test_the_contrast_interval_covers_and_knows_its_margin():
    rng, tables, covered = np.random.default_rng(8), 100, 0
    for _ in range(tables):
        low, high = sufficiency(panel(cell(rng, contrast=0.1, spread=0.01, instances=6))).mean.interval()
        covered += low <= 0.1 <= high
    assert stats.binom.ppf(0.0005, tables, 0.95) <= covered
    assert sufficiency(panel(cell(rng, contrast=0.2, spread=1e-4, instances=6))).beyond
    none = sufficiency(panel(cell(rng, contrast=0.0, spread=1e-4, instances=6)))
    assert none.equivalent and not none.beyond


def test_pairs_that_hardly_trained_are_missing_and_counted():
    table = cell(np.random.default_rng(9), instances=4)
    found = sufficiency(panel(table[table.step <= 100]))  # exp(-.0004 x 100) = .96
    assert found.missing == 4 and found.pairs == 8
    single = sufficiency(panel(table[table.n_unlabelled == 32]))
    assert single.mean.n_clusters == 0 and "2 levels of n_unlabelled" in single.mean.status
