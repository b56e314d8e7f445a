import numpy as np
import pytest
import statsmodels.api as sm

from interface.analysis import cr2, two_way, within_between


def test_within_is_fixed_effects_and_between_is_the_regression_of_means_where_groups_are_equal():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 6)
    x = rng.normal(size=8)[group] + rng.normal(size=48)
    y = 0.7 * x - 2 * rng.normal(size=8)[group] + rng.normal(size=48)
    found = within_between(x, y, group)
    dummies = (group[:, None] == np.arange(8)).astype(float)
    np.testing.assert_allclose(found.within.estimate, sm.OLS(y, np.column_stack([x, dummies])).fit().params[0], rtol=1e-8)
    means = [v.reshape(8, 6).mean(1) for v in (x, y)]
    np.testing.assert_allclose(found.between.estimate, np.polyfit(*means, 1)[0], rtol=1e-8)
    np.testing.assert_allclose(found.contextual.estimate, found.between.estimate - found.within.estimate, rtol=1e-8)
    np.testing.assert_allclose(found.pooled, np.polyfit(x, y, 1)[0], rtol=1e-8)


def test_the_exact_example_where_the_pooled_slope_has_the_wrong_sign():
    # pretraining and adaptation loss of exact encoders of a two-view Gaussian world: autoencoding r = 1, 2, 3; contrastive r = 1, 2
    x = np.array([7.25, 4.0, 1.75, 9.25, 8.0])
    y = np.array([2.34, 2.34, 0.5622222222222222, 0.5622222222222222, 0.3622222222222222])
    family = np.array([0, 0, 0, 1, 1])
    first, second = (np.polyfit(x[family == f], y[family == f], 1)[0] for f in (0, 1))
    np.testing.assert_allclose([first, second], [0.3003330305782621, 0.16], rtol=1e-9)
    found = within_between(x, y, family)
    np.testing.assert_allclose(found.pooled, -0.0497998981299572, rtol=1e-9)
    assert 0.16 < found.within.estimate < 0.3003330305782621, "the within slope is a weighted mean of both"
    assert "needs 3" in found.between.status and found.between.p_value() == 1.0


def test_a_regressor_without_variation_inside_groups_is_refused():
    with pytest.raises(ValueError, match="does not vary inside"):
        within_between([1.0, 1, 2, 2], [0.0, 1, 2, 3], [0, 0, 1, 1])


def test_two_way_is_the_sum_of_three_and_refused_below_six():
    rng = np.random.default_rng(1)
    model, task = np.repeat(np.arange(9), 7), np.tile(np.arange(7), 9)
    x = rng.normal(size=63)
    y = x + rng.normal(size=9)[model] * x + rng.normal(size=7)[task] + rng.normal(size=63)
    design = np.column_stack([np.ones(63), x])
    variances = [
        sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": g, "df_correction": True}).cov_params()[1, 1]
        for g in (model, task, np.arange(63))
    ]
    found = two_way(design, y, model, task, [0, 1])
    expected = max(variances[0] + variances[1] - variances[2], *variances[:2])
    np.testing.assert_allclose([found.stderr**2, found.df], [expected, 6], rtol=1e-8)
    with pytest.raises(ValueError, match=r"9 and 3 groups; at least 6"):
        two_way(design, y, model, task % 3, [0, 1])


def test_its_error_is_cr2_over_the_clusters_given():
    rng = np.random.default_rng(2)
    run, instance = np.repeat(np.arange(12), 4), np.repeat(np.arange(6), 8)
    x, y = rng.normal(size=(2, 48))
    mean = np.array([x[run == r].mean() for r in range(12)])[run]
    over = within_between(x, y, run, instance).within
    assert over.n_clusters == 6
    np.testing.assert_allclose(over.stderr, cr2(np.column_stack([np.ones(48), x - mean, mean]), y, instance, [0, 1, 0]).stderr)
