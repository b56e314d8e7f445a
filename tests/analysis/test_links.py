"""The links against SciPy's own fits, resample by resample, and against simulation."""

import numpy as np
import pytest
from scipy import optimize, stats

from interface.analysis import exponential_link, hinge, isotonic_link, monotonicity, plain_amplitude, power_link, sigmoid_link
from interface.analysis._resampling import cluster_weights


def exponential(x, a, b, c):
    return a + b * np.exp(-c * x)


def table(rng, clusters=30, each=6, noise=0.03, between=0.02):
    cluster = np.repeat(np.arange(clusters), each)
    x = rng.uniform(1, 4, clusters * each)
    return (
        x,
        exponential(x, 0.8, -1.6, 1.0) + between * rng.normal(size=clusters)[cluster] + noise * rng.normal(size=len(x)),
        cluster,
    )


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("noise", [0.03, 0.3])  # with much noise, resamples lie far from the estimate
def test_every_resample_is_the_least_squares_fit(own, noise):
    x, y, cluster = table(np.random.default_rng(0), noise=noise)
    codes = np.arange(len(x)) if own else cluster
    fit = exponential_link(x, y, None if own else cluster, rng=np.random.default_rng(1), resamples=60)
    weights = cluster_weights(codes.max() + 1, 60, np.random.default_rng(1))[:, codes]
    reference = optimize.least_squares(lambda p: exponential(x, *p) - y, (0.8, -1.6, 1.0), xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    if fit.status == "converged":
        np.testing.assert_allclose([fit["asymptote"], plain_amplitude(fit), fit["rate"]], reference, rtol=1e-5)
    compared = 0
    for w, (a, b, c) in zip(weights, fit.resamples, strict=True):
        mine = np.sum(w * (a + b * np.exp(-c * (x - 0.5 * sum(fit.span))) - y) ** 2)
        starts = [(0.8, -1.6, 1.0), (y.mean(), -1.0, 0.2), (y.mean(), -3.0, 3.0)]
        bounds = ([-np.inf, -np.inf, 0.01 / (0.5 * np.ptp(x))], [np.inf, np.inf, 10 / (0.5 * np.ptp(x))])
        fits = [
            optimize.least_squares(lambda p, w=w: np.sqrt(w) * (exponential(x, *p) - y), s, bounds=bounds, x_scale=(1, 1, 0.1))
            for s in starts
        ]
        best = min(2 * f.cost for f in fits)
        assert mine <= best * (1 + 1e-7)
        compared += mine >= best * (1 - 1e-6)
    assert compared >= 50, "our moments state the error that the rows have"


def test_intervals_cover():
    rng, tables, covered = np.random.default_rng(2), 150, np.zeros(3)
    for _ in range(tables):
        x, y, cluster = table(rng, clusters=16)
        fit = exponential_link(x, y, cluster, rng=rng, resamples=400)
        limits = (fit.interval("rate"), fit.band(2.0), fit.slope_interval(1.5, 3.5))
        truths = (1.0, exponential(2.0, 0.8, -1.6, 1.0), (exponential(3.5, 0, -1.6, 1.0) - exponential(1.5, 0, -1.6, 1.0)) / 2)
        covered += [low <= truth <= high for truth, (low, high) in zip(truths, limits, strict=True)]
    assert (covered >= stats.binom.ppf(0.001, tables, 0.93)).all(), covered


def test_a_line_hits_the_bound_and_says_so():
    x = np.linspace(1, 2, 80)
    fit = exponential_link(x, 3 * x, rng=np.random.default_rng(3), resamples=30)
    assert fit.status == "bound hit" and fit.unsettled == 1.0
    np.testing.assert_allclose(fit.slope(1.2, 1.9), 3.0, rtol=2e-3)


def test_the_asymptote_can_lie_on_either_side():
    x = np.linspace(1, 4, 60)
    y = 0.3 + 0.01 * np.exp(1.2 * x)
    low = exponential_link(x, y, rng=np.random.default_rng(4), flat="low", resamples=5)
    high = exponential_link(x, y, rng=np.random.default_rng(4), flat="high", resamples=5)
    np.testing.assert_allclose([low["asymptote"], low["rate"]], [0.3, -1.2], rtol=1e-6)
    assert high.status == "bound hit" and high.residual_variance > 1e3 * low.residual_variance


def test_the_power_link_is_the_least_squares_fit():
    rng = np.random.default_rng(5)
    x = rng.uniform(1.2, 4, 200)
    y = 0.2 + 0.4 * (x - 1) ** 0.7 + 0.01 * rng.normal(size=200)
    fit = power_link(x, y, rng=rng, floor=1.0, resamples=20)
    reference = optimize.curve_fit(lambda x, a, k, c: a + k * (x - 1) ** c, x, y, p0=(0.2, 0.4, 0.7), xtol=1e-14)[0]
    np.testing.assert_allclose([fit["asymptote"], fit["exponent"]], reference[[0, 2]], rtol=1e-5)
    np.testing.assert_allclose(fit.predict(x), reference[0] + reference[1] * (x - 1) ** reference[2], rtol=1e-6)
    with pytest.raises(ValueError, match=r"floor is 1\.3"):
        power_link(x, y, rng=rng, floor=1.3)


def test_the_sigmoid_link_recovers_and_says_when_a_plateau_is_missing():
    rng = np.random.default_rng(6)
    x = rng.uniform(1, 4, 150)
    y = 0.2 + 0.5 / (1 + np.exp(-4 * (x - 2.5))) + 0.02 * rng.normal(size=150)
    fit = sigmoid_link(x, y, rng=rng, resamples=60)
    reference = optimize.curve_fit(lambda x, a, h, s, m: a + h / (1 + np.exp(-s * (x - m))), x, y, p0=(0.2, 0.5, 4, 2.5))[0]
    np.testing.assert_allclose(fit.values, reference, rtol=1e-4)
    assert fit.status == "converged" and all(fit.interval(name)[0] < fit[name] < fit.interval(name)[1] for name in fit.names)
    assert sigmoid_link(x, np.exp(x), rng=rng, resamples=0).status == "bound hit"


def test_the_hinge_is_the_best_broken_line():
    rng = np.random.default_rng(7)
    x = rng.uniform(0, 4, 120)
    y = 1 + 0.8 * np.minimum(x - 1.7, 0) - 0.1 * np.maximum(x - 1.7, 0) + 0.05 * rng.normal(size=120)
    fit = hinge(x, y, rng=rng, resamples=50)

    def rss(knot):
        design = np.column_stack([np.ones(120), np.minimum(x - knot, 0), np.maximum(x - knot, 0)])
        return np.linalg.lstsq(design, y, rcond=None)[1][0]

    best = min(rss(knot) for knot in np.linspace(0.5, 3.5, 3001))
    assert fit.residual_variance * 116 <= best * (1 + 1e-9) and fit.residual_variance * 116 >= best * (1 - 1e-4)
    np.testing.assert_allclose(np.diff(fit.predict([fit["knot"] - 1e-9, fit["knot"] + 1e-9])), 0, atol=1e-8)


def test_the_interval_of_the_knot_covers():
    rng, tables, covered = np.random.default_rng(8), 120, 0
    for _ in range(tables):
        cluster = np.repeat(np.arange(15), 8)
        x = rng.uniform(0, 4, 120)
        y = np.minimum(x - 1.7, 0) + 0.1 * rng.normal(size=15)[cluster] + 0.15 * rng.normal(size=120)
        low, high = hinge(x, y, cluster, rng=rng, resamples=200).interval("knot")
        covered += low <= 1.7 <= high
    assert covered >= stats.binom.ppf(0.001, tables, 0.93), covered


def test_monotonicity_keeps_its_level_and_finds_a_dip():
    rng, tables = np.random.default_rng(9), 300
    p, cluster = [], np.repeat(np.arange(12), 8)
    for _ in range(tables):
        x = rng.uniform(size=96)
        y = 0.4 * rng.normal(size=12)[cluster] + rng.normal(size=96)
        p.append(monotonicity(x, y, cluster, rng=rng, resamples=199).p)
    assert np.mean(np.array(p) <= 0.05) <= stats.binom.ppf(0.999, tables, 0.05) / tables
    x = rng.uniform(size=96)
    dip = monotonicity(x, 4 * (x - 0.5) ** 2 + 0.2 * rng.normal(size=96), cluster, rng=rng, resamples=199)
    assert dip.p < 0.05 and (np.diff(dip.rising) >= 0).all() and dip.statistic > 0.2


def test_the_isotonic_link_is_the_best_non_decreasing_fit():
    rng = np.random.default_rng(10)
    x, y = np.arange(6.0), rng.normal(size=6)
    fit = isotonic_link(x, y).predict(x)
    values = np.unique(np.round([y[i:j].mean() for i in range(6) for j in range(i + 1, 7)], 12))
    import itertools

    best = min(np.sum((np.array(c) - y) ** 2) for c in itertools.combinations_with_replacement(values, 6))
    np.testing.assert_allclose(np.sum((fit - y) ** 2), best, rtol=1e-9)


@pytest.mark.parametrize("link", [exponential_link, power_link, sigmoid_link, hinge])
def test_bad_input_is_named(link):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="not finite"):
        link([1.0, 2, 3, 4, 5, np.nan], np.arange(6.0), rng=rng)
    with pytest.raises(ValueError, match="distinct x"):
        link([1.0, 2, 3, 1, 2, 3], np.arange(6.0), rng=rng)
    with pytest.raises(ValueError, match="no parameter 'slope'"):
        link(np.arange(1.0, 9), np.arange(8.0) ** 2, rng=rng, resamples=2).interval("slope")
