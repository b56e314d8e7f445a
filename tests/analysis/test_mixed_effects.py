import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from interface.analysis import mixed_effects


def table(rng, groups=20, each=8, slope_sd=0.4):
    group = np.repeat(np.arange(groups), each)
    x = rng.normal(size=groups * each)
    z = np.column_stack([np.ones(len(x)), x])
    y = z @ [1.0, 0.5] + 0.8 * rng.normal(size=groups)[group] + slope_sd * rng.normal(size=groups)[group] * x
    return z, y + 0.5 * rng.normal(size=len(x)), group


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_coefficients_are_those_of_statsmodels(columns, seed):
    z, y, group = table(np.random.default_rng(seed))
    fit = mixed_effects(z, y, group, z[:, :columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.MixedLM(y, z, group, exog_re=z[:, :columns])
        reference = model.fit(reml=True, method="bfgs", gtol=1e-9)
    at_ours = model.get_fe_params(fit.random_covariance / fit.residual_variance, np.array([]))[0]
    np.testing.assert_allclose(fit.coefficients, at_ours, rtol=1e-8)
    # the optimum is flat in the variances, where two optimisers agree less far; its errors come from a numerical Hessian
    np.testing.assert_allclose(fit.coefficients, reference.fe_params, rtol=2e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), reference.bse_fe, rtol=5e-3)
    np.testing.assert_allclose(fit.random_covariance, np.asarray(reference.cov_re), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(fit.log_likelihood, reference.llf, rtol=1e-8)
    assert fit.log_likelihood >= reference.llf - 1e-6 and fit.status == "converged"


def test_given_the_variances_the_coefficients_are_generalised_least_squares():
    z, y, group = table(np.random.default_rng(2), groups=9, each=5)
    fit = mixed_effects(z, y, group, z)
    same = group[:, None] == group
    sigma = fit.residual_variance * np.eye(len(y)) + same * (z @ fit.random_covariance @ z.T)
    weight = np.linalg.inv(sigma)
    expected = np.linalg.solve(z.T @ weight @ z, z.T @ weight @ y)
    np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-8)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(z.T @ weight @ z), rtol=1e-7)


def test_a_balanced_random_intercept_has_a_closed_form():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(15, 1)) * 2 + rng.normal(size=(15, 6))
    fit = mixed_effects(np.ones((90, 1)), values.ravel(), np.repeat(np.arange(15), 6), np.ones((90, 1)))
    within = values.var(axis=1, ddof=1).mean()
    between = values.mean(axis=1).var(ddof=1) - within / 6
    np.testing.assert_allclose([fit.residual_variance, fit.random_covariance[0, 0]], [within, between], rtol=1e-5)
    np.testing.assert_allclose(fit.contrast([1.0]).stderr, values.mean(axis=1).std(ddof=1) / 15**0.5, rtol=1e-5)


def test_a_random_slope_that_is_not_there_is_reported_as_singular():
    rng = np.random.default_rng(4)
    fits = [mixed_effects(z, y, group, z) for z, y, group in (table(rng, slope_sd=0.0, groups=8) for _ in range(10))]
    singular = [fit for fit in fits if fit.singular]
    assert singular and all(fit.status == "converged, singular" and np.isfinite(fit.coefficients).all() for fit in singular)
    assert "singular" in singular[0].contrast([0, 1]).method


def test_its_interval_covers():
    rng, tables, covered = np.random.default_rng(5), 60, 0
    for _ in range(tables):
        z, y, group = table(rng, groups=12, each=6)
        low, high = mixed_effects(z, y, group, z).contrast([0, 1]).interval()
        covered += low <= 0.5 <= high
    assert covered >= stats.binom.ppf(0.001, tables, 0.95)


def test_bad_input_is_named():
    z, y, group = table(np.random.default_rng(6))
    with pytest.raises(ValueError, match="1 group"):
        mixed_effects(z, y, np.zeros(len(y)), z)
    with pytest.raises(ValueError, match="not finite"):
        mixed_effects(z, np.where(group == 0, np.nan, y), group, z)
