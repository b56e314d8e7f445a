import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from interface.analysis import data_slope, panel, progress_slope
from interface.analysis.data_slope import late_steps


def plant(slope, rng, *, instances=12, between=0.2, lrs=(3e-4, 3e-3), steps=(300, 900, 2700)):
    """A table in which the data slope is `slope`, while *time* alone would show a slope of 1 (the trap)."""
    rows = []
    for instance in range(instances):
        b = slope + between * rng.normal()
        for lr in lrs:
            for step in steps:
                progress = np.exp(-3 * lr * step)
                for n_unlabelled, excess in ((30, 0.5), (200, 0.2), (8000, 0.0)):
                    own = excess + 0.05 * rng.normal()
                    rows.append((instance, lr, step, n_unlabelled, progress + own, progress + b * own + 0.02 * rng.normal()))
    return pd.DataFrame(rows, columns=["instance", "lr", "step", "n_unlabelled", "x", "y"])


@pytest.mark.parametrize("planted", [0.0, 0.6])
def test_interval_covers_the_planted_slope_as_often_as_it_says(planted):
    rng, tables = np.random.default_rng(0), 200
    covered = 0
    for _ in range(tables):
        low, high = data_slope(panel(plant(planted, rng))).mean.interval()
        covered += low <= planted <= high
    assert stats.binom.ppf(0.001, tables, 0.95) <= covered <= stats.binom.ppf(0.999, tables, 0.95)


def test_it_is_least_squares_with_dummies_in_each_instance():
    table = plant(0.6, np.random.default_rng(1), instances=4)
    table = table.drop(index=[3, 17])  # unbalanced
    found = data_slope(panel(table)).mean
    expected = [smf.ols("y ~ x + C(lr):C(step)", data=part).fit().params["x"] for _, part in table.groupby("instance")]
    np.testing.assert_allclose(found.values, expected, rtol=1e-8)


def test_time_alone_does_not_show_as_a_data_slope_but_does_as_a_progress_slope():
    table = plant(0.0, np.random.default_rng(1))
    estimate = data_slope(panel(table)).mean
    assert abs(estimate.estimate) < 3 * estimate.stderr
    progress = progress_slope(panel(table))
    assert progress.across_lr.interval()[0] > 0.5 and progress.within_run.interval()[0] > 0.5


def test_progress_slopes_are_least_squares_with_dummies():
    table = plant(0.3, np.random.default_rng(2), instances=3, steps=(0, 36, 300, 2700))
    found = progress_slope(panel(table))
    for k, (_, part) in enumerate(table.groupby("instance")):
        late = part[part.step >= 36]
        across = smf.ols("y ~ x + C(n_unlabelled):C(step)", data=late).fit().params["x"]
        along = smf.ols("y ~ x + C(n_unlabelled):C(lr)", data=part).fit().params["x"]
        np.testing.assert_allclose((found.across_lr.values[k], found.within_run.values[k]), (across, along), rtol=1e-8)


def test_only_late_steps_count_and_a_step_may_be_a_fifth_off():
    assert late_steps((0, 4, 36, 100, 300, 900, 2700)) == (300, 900, 2700)
    assert late_steps((0, 36, 70, 350, 1100, 2700)) == (350, 2700), "1100 is more than 20% from 900, 350 is within 20% of 300"
    assert late_steps((0, 1000)) == (1000,)
    table = plant(0.6, np.random.default_rng(3), steps=(36, 300, 900, 2700))
    wild = table.assign(y=np.where(table.step == 36, 100 * table.x, table.y))
    assert data_slope(panel(wild)).mean == data_slope(panel(table)).mean


def test_what_is_not_identified_is_named():
    table = plant(0.5, np.random.default_rng(2))
    found = data_slope(panel(table[table.n_unlabelled == 30])).mean
    assert found.n_clusters == 0 and "n_unlabelled at equal learning rate and step" in found.status
    one_lr = progress_slope(panel(table[table.lr == 3e-3])).across_lr
    assert one_lr.n_clusters == 0 and "learning rates" in one_lr.status
    with pytest.raises(ValueError, match=r"lacks the column.*lr"):
        panel(table.drop(columns="lr"))


def test_instances_that_do_not_vary_are_named_not_counted():
    table = plant(0.5, np.random.default_rng(3), instances=5)
    table.loc[table.instance == 2, "x"] = 0.1  # not exactly representable: centring leaves round-off
    result = data_slope(panel(table)).mean
    assert result.missing == ("2",) and result.n_clusters == 4 and np.isfinite(result.estimate)


def test_pooled_cells_are_refused():
    table = plant(0.5, np.random.default_rng(4))
    with pytest.raises(ValueError, match="one pretext"):
        panel(pd.concat([table, table]))


def test_a_constant_outcome_cannot_be_tested():
    result = data_slope(panel(plant(0.5, np.random.default_rng(5)).assign(y=1.0))).mean
    assert "same value" in result.status and result.p_value(0.05) == 1.0


def test_replicates_are_averaged_before_the_slope():
    table = plant(0.5, np.random.default_rng(6))
    both = pd.concat([table.assign(replicate=0), table.assign(replicate=1, y=3 * table.y)])
    np.testing.assert_allclose(data_slope(panel(both)).mean.estimate, 2 * data_slope(panel(table)).mean.estimate)
