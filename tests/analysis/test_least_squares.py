import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from interface.analysis._least_squares import clustered_fit, jackknife_log_variance
from interface.analysis._within import within_slopes


@pytest.mark.parametrize("clusters", [np.repeat(np.arange(6), 5), np.arange(30), np.r_[np.zeros(10, int), np.arange(1, 21)]])
def test_it_is_the_cr1_of_statsmodels(clusters):
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    y = design @ [1.0, 2.0, -1.0] + rng.normal(size=6)[clusters % 6] + rng.normal(size=30)
    fit = clustered_fit(design, y, clusters)
    reference = sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}, use_t=True)
    np.testing.assert_allclose(fit.coefficients, reference.params, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(fit.covariance, reference.cov_params(), rtol=1e-8, atol=1e-8)
    estimate, error = fit.contrast(np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(
        [estimate - fit.quantile() * error, estimate + fit.quantile() * error], reference.conf_int()[1], rtol=1e-8
    )
    np.testing.assert_allclose(fit.residual_variance, reference.ssr / 27, rtol=1e-10)


def test_collinear_columns_are_refused():
    with pytest.raises(ValueError, match="do not identify"):
        clustered_fit(np.ones((5, 2)), np.arange(5.0), np.arange(5))


def test_the_jackknife_interval_of_a_variance_covers():
    rng, tables, covered = np.random.default_rng(1), 300, 0
    clusters = np.repeat(np.arange(8), 3)
    for _ in range(tables):
        x = rng.normal(size=24)
        value, error = jackknife_log_variance(np.column_stack([np.ones(24), x]), x + 2 * rng.normal(size=24), clusters)
        covered += abs(np.log(value / 4)) <= stats.t.ppf(0.975, 7) * error
    assert stats.binom.ppf(0.001, tables, 0.95) <= covered


def test_within_slopes_are_exact_where_the_pooled_slope_has_the_wrong_sign():
    # two encoders families of a two-view Gaussian world: pretraining loss, adaptation loss
    autoencoding = [(7.25, 2.34), (4.0, 2.34), (1.75, 0.5622222222222222)]
    contrastive = [(9.25, 0.5622222222222222), (8.0, 0.3622222222222222)]
    x, y = np.array(autoencoding + contrastive).T
    family = np.array([0, 0, 0, 1, 1])
    np.testing.assert_allclose(within_slopes(x, y, family, family, 2), [0.3003330305782621, 0.16], rtol=1e-9)
    pooled = clustered_fit(np.column_stack([np.ones(5), x]), y, family).coefficients[1]
    np.testing.assert_allclose(pooled, -0.0497998981299572, rtol=1e-9)
