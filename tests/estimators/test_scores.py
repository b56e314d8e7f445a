"""Scores against brute force and closed forms, written here without the package's own parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from interface import estimators as es
from interface.core import Estimate

RNG = np.random.default_rng(0)
Y = RNG.integers(3, size=120)
X = RNG.normal(size=(120, 5)) + RNG.normal(size=(3, 5))[Y]
OTHER = X @ RNG.normal(size=(5, 4)) + RNG.normal(size=(120, 4))


def test_logme_is_the_largest_evidence_of_a_dense_gaussian():
    total = 0.0
    for c in range(3):
        target = (c == Y).astype(float)

        def negative(theta, target=target):
            covariance = X @ X.T * np.exp(-theta[0]) + np.eye(120) * np.exp(-theta[1])
            return -stats.multivariate_normal(np.zeros(120), covariance).logpdf(target) / 120

        total -= optimize.minimize(negative, [1.0, 2.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).fun
    np.testing.assert_allclose(es.logme(X, Y), total / 3, rtol=1e-9)


def test_logme_statuses():
    noise = np.random.default_rng(1).normal(size=(400, 3))
    assert es.logme(np.eye(4)[Y % 4], Y).status.startswith("unbounded: 3 of 3")
    lower = es.logme(np.eye(4)[Y % 4], Y, floor=1e-6)
    assert lower < es.logme(np.eye(4)[Y % 4], Y)
    centred = np.column_stack([np.arange(400) % 2 * 2.0 - 1, noise[:, 0] * 0])
    assert es.logme(centred, np.arange(400) // 2 % 2).status.startswith("boundary_high: ")
    assert es.logme(np.zeros((9, 2)), np.arange(9) % 3).status == "no signal"
    nothing = es.logme(noise, targets=np.zeros(400))
    assert np.isnan(nothing)
    assert nothing.status.startswith("no signal")
    with pytest.raises(ValueError, match="exactly one"):
        es.logme(X, Y, targets=X)


def test_logme_skips_classes_without_rows_and_doubles_with_the_data():
    np.testing.assert_allclose(es.logme(X, Y * 5), es.logme(X, Y), rtol=1e-12)
    # y scaled by s: the evidence of every column falls by n ln s
    t = X[:, 0] + RNG.normal(size=120)
    np.testing.assert_allclose(es.logme(X, targets=10 * t) - es.logme(X, targets=t), -np.log(10), rtol=1e-9)


@pytest.fixture
def predictions():
    theta = np.random.default_rng(2).dirichlet(np.ones(4) * 0.3, size=120)
    theta[:, 3] = 0.0  # a source class of no mass
    return theta / theta.sum(1, keepdims=True)


def test_leep_by_loops(predictions):
    total = 0.0
    for i in range(120):
        total += np.log(
            sum(
                predictions[i, z] * predictions[Y[i] == Y, z].sum() / predictions[:, z].sum()
                for z in range(4)
                if predictions[:, z].sum() > 0
            )
        )
    np.testing.assert_allclose(es.leep(predictions, Y), total / 120, rtol=1e-12)
    assert es.leep(predictions, Y) >= es.nce(predictions, Y) + np.log(predictions.max(1)).mean()  # the paper's bound


def test_leeps_analytic_error_is_that_of_a_delete_one_jackknife(predictions):
    left_out = np.array([float(es.leep(np.delete(predictions, i, 0), np.delete(Y, i))) for i in range(120)])
    jackknife = np.sqrt(119 / 120 * ((left_out - left_out.mean()) ** 2).sum())
    np.testing.assert_allclose(es.leep(predictions, Y).stderr, jackknife, rtol=0.06)


@pytest.mark.parametrize(
    ("bad", "word"),
    [(np.full((120, 3), 0.5), "sum 1.5"), (np.tile([1.2, -0.2], (120, 1)), "minimum -0.2"), (np.ones(120), "shape")],
)
def test_leep_refuses_what_is_no_distribution(bad, word):
    with pytest.raises(ValueError, match=f"source_probabilities.*{word}"):
        es.leep(bad, Y)


def test_nce_is_minus_the_conditional_entropy(predictions):
    z = predictions.argmax(1)
    joint = np.array([[np.mean((c == Y) & (z == k)) for k in range(4)] for c in range(3)])
    entropy = lambda p: -np.sum(p[p > 0] * np.log(p[p > 0]))  # noqa: E731
    expected = -(entropy(joint.ravel()) - entropy(joint.sum(0)))
    np.testing.assert_allclose(es.nce(z, Y), expected, rtol=1e-12)
    np.testing.assert_allclose(es.nce(predictions, Y), expected, rtol=1e-12)
    seen = (joint > 0).sum() - (joint.sum(0) > 0).sum()
    np.testing.assert_allclose(es.nce(z, Y, miller_madow=True), expected - seen / 240, rtol=1e-12)
    np.testing.assert_allclose(es.nce(np.eye(4)[z], Y, convention="pactran"), expected, atol=1e-8)
    # independent labels: the correction removes the bias (C - 1)(Z - 1) / 2n to first order
    rng = np.random.default_rng(3)
    draws = [(rng.integers(4, size=200), rng.integers(3, size=200)) for _ in range(300)]
    corrected = np.mean([es.nce(z, y, miller_madow=True) for z, y in draws])
    plain = np.mean([es.nce(z, y) for z, y in draws])
    assert abs(corrected + np.log(3)) < 0.2 * abs(plain + np.log(3))


def test_h_score_by_covariances():
    means = np.stack([X[c == Y].mean(0) for c in range(3)])[Y]
    np.testing.assert_allclose(es.h_score(X, Y), np.trace(np.linalg.solve(np.cov(X.T), np.cov(means.T))), rtol=1e-10)
    mixed = X @ RNG.normal(size=(5, 5)) + 3
    np.testing.assert_allclose(es.h_score(mixed, Y), es.h_score(X, Y), rtol=1e-8)
    assert es.h_score(RNG.normal(size=(6, 9)), [0, 0, 1, 1, 2, 2]).status.startswith("saturated")


def test_regularized_h_score_stays_below_its_bound_and_is_zero_when_fully_shrunk():
    rng = np.random.default_rng(20)
    line = np.column_stack([rng.normal(size=40) + 1000 * (np.arange(40) % 2), rng.normal(size=40)])
    bound = 1
    assert es.regularized_h_score(line, np.arange(40) % 2) <= bound
    assert es.regularized_h_score(line, np.arange(40) % 2, convention="tllib") > bound
    noise = next(x for x in rng.normal(size=(50, 12, 6)) if es.ledoit_wolf_shrinkage(x) == 1)
    found = es.regularized_h_score(noise, np.arange(12) % 3)
    assert float(found) == 0
    assert found.status == "fully shrunk"


def test_transrate_is_never_negative_when_weighted():
    rng = np.random.default_rng(4)
    y = (np.arange(80) < 5).astype(int)
    x = rng.normal(size=(80, 3)) * np.where(y[:, None], 3.0, 1.0)
    assert es.transrate(x, y, eps=1.0) >= 0 > es.transrate(x, y, eps=1.0, convention="tllib")
    z = x - x.mean(0)
    rate = lambda z: 0.5 * np.linalg.slogdet(np.eye(3) + z.T @ z / (len(z) * 0.1))[1]  # noqa: E731
    expected = rate(z) - sum(np.mean(y == c) * rate(z[y == c]) for c in (0, 1))
    np.testing.assert_allclose(es.transrate(x, y, eps=0.1), expected, rtol=1e-10)


def test_gbc_by_the_papers_formula():
    total = 0.0
    for a in range(3):
        for b in range(3):
            if a != b:
                means = [X[c == Y].mean(0) for c in (a, b)]
                s = [X[c == Y].var(0).mean() * np.eye(5) for c in (a, b)]
                middle, gap = (s[0] + s[1]) / 2, means[0] - means[1]
                d = gap @ np.linalg.solve(middle, gap) / 8 + 0.5 * np.log(
                    np.linalg.det(middle) / np.sqrt(np.linalg.det(s[0]) * np.linalg.det(s[1]))
                )
                total -= np.exp(-d)
    np.testing.assert_allclose(es.gbc(X, Y), total, rtol=1e-10)
    np.testing.assert_allclose(es.gbc(X @ np.linalg.qr(RNG.normal(size=(5, 5)))[0], Y, components=5), total, rtol=1e-9)


def test_spectral_scores_of_known_spectra():
    x = np.vstack([np.diag([3.0, 2.0, 1.0]), -np.diag([3.0, 2.0, 1.0])])  # singular values in ratio 3 : 2 : 1, mean 0
    p = np.array([3, 2, 1]) / 6
    np.testing.assert_allclose(es.effective_rank(x), np.exp(-(p * np.log(p)).sum()), rtol=1e-12)
    np.testing.assert_allclose(es.participation_ratio(x), 14**2 / (81 + 16 + 1), rtol=1e-12)
    np.testing.assert_allclose([es.stable_rank(x), es.nesum(x)], [14 / 9, 14 / 9], rtol=1e-12)
    np.testing.assert_allclose(es.rankme(x, convention="unit_interval"), es.rankme(x) / 3, rtol=1e-12)
    assert 1 < es.rankme(x + 100) < 1.2 < es.rankme(x + 100, centred=True)


def test_alpha_req_reads_a_power_law_and_never_round_off():
    values = np.arange(1, 41) ** -1.3
    x = np.vstack([np.diag(np.sqrt(values)), -np.diag(np.sqrt(values))])
    law = es.power_law(x)
    np.testing.assert_allclose([es.alpha_req(x), law.alpha, law.r_squared], [1.3, 1.3, 1.0], rtol=1e-9)
    assert (law.first, law.last) == (3, 20)
    padded = np.hstack([x[:, :10], np.ones((80, 30))])  # 10 directions above rounding
    assert es.power_law(padded, last=40).last == 10
    few = es.alpha_req(x[:, :1])
    assert np.isnan(few)
    assert "too few" in few.status


def test_lidar_by_whitening():
    groups = np.repeat(np.arange(30), 4)
    x = RNG.normal(size=(30, 5))[groups] + 0.3 * RNG.normal(size=(120, 5))
    means = np.stack([x[groups == g].mean(0) for g in range(30)])
    within = (x - means[groups]).T @ (x - means[groups]) / (30 * 3) + 1e-4 * np.eye(5)
    values, vectors = np.linalg.eigh(within)
    half = vectors / np.sqrt(values) @ vectors.T
    lam = np.linalg.eigvalsh(half @ np.cov(means.T) @ half)
    p = lam / lam.sum() + 1e-8
    np.testing.assert_allclose(es.lidar(x, groups), np.exp(-(p * np.log(p)).sum()), rtol=1e-9)
    np.testing.assert_allclose(es.lidar(x, views=4), es.lidar(x, groups), rtol=1e-12)
    np.testing.assert_allclose(es.lidar(50 * x, groups, relative=True), es.lidar(x, groups, relative=True), rtol=1e-9)
    assert es.lidar(x, np.arange(120)).status == "one view"
    assert es.lidar(x, np.zeros(120, int)).status == "one object"


def test_neural_collapse_of_a_simplex_is_complete():
    y = np.arange(60) % 4
    simplex = np.eye(4) - 0.25
    assert es.nc1(simplex[y], y) < 1e-12
    assert es.nc2(simplex[y], y) < 1e-7
    assert es.nc3(simplex[y], y, weights=3 * simplex) < 1e-7
    assert float(es.nc4(simplex[y], y, weights=simplex)) == 0
    swapped = simplex[[1, 0, 2, 3]]
    assert float(es.nc4(simplex[y], y, weights=swapped)) == 0.5
    np.testing.assert_allclose(es.nc3(simplex[y], y, weights=-simplex), 2.0, rtol=1e-9)
    means = np.stack([X[c == Y].mean(0) for c in range(3)])
    within = sum(np.cov(X[c == Y].T, ddof=0) * np.mean(c == Y) for c in range(3))
    between = (means - means.mean(0)).T @ (means - means.mean(0)) / 3
    np.testing.assert_allclose(es.nc1(X, Y), np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 3, rtol=1e-8)


def test_uniformity_by_pairs_with_its_error():
    rng = np.random.default_rng(5)
    z = rng.normal(size=(60, 4))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    pairs = [np.exp(-2 * ((z[i] - z[j]) ** 2).sum()) for i in range(60) for j in range(i)]
    np.testing.assert_allclose(es.uniformity(z), np.log(np.mean(pairs)), rtol=1e-12)
    np.testing.assert_allclose(es.uniformity(7 * z, normalise=True), es.uniformity(z), rtol=1e-9)
    assert es.uniformity(7 * z).status == "not on the unit sphere"
    assert es.uniformity(z[:1]).status == "one row"


def test_debiased_cka_is_near_zero_for_independent_features_and_biased_is_not():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(40, 60)), rng.normal(size=(40, 60))
    assert es.cka(x, y) > 0.5
    assert abs(es.cka(x, y, debiased=True)) < 0.1
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(40)

    def unbiased(k, m):
        return (np.trace(k @ m) + one @ k @ one * (one @ m @ one) / (39 * 38) - 2 / 38 * one @ k @ m @ one) / (40 * 37)

    expected = unbiased(k, m) / np.sqrt(unbiased(k, k) * unbiased(m, m))
    np.testing.assert_allclose(es.cka(x, y, debiased=True), expected, rtol=1e-9)
    np.testing.assert_allclose(es.minibatch_cka(x, y, batch=40), expected, rtol=1e-9)


def test_mutual_knn_by_sorting():
    k, shared = 7, 0
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (X, OTHER)]
    lists = [[set(np.argsort(-(m @ m[i]))[: k + 1]) - {i} for i in range(120)] for m in unit]
    shared = np.mean([len(a & b) / k for a, b in zip(*lists, strict=True)])
    np.testing.assert_allclose(es.mutual_knn(X, OTHER, k=k), shared, rtol=1e-12)
    with pytest.raises(ValueError, match="k is 119"):
        es.mutual_knn(X, OTHER, k=119)


def test_procrustes_is_what_the_best_rotation_leaves():
    a, b = (m - m.mean(0) for m in (X, np.hstack([OTHER, np.zeros((120, 1))])))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    u, _, vt = np.linalg.svd(b.T @ a)
    left = np.linalg.norm(a - b @ (u @ vt)) ** 2
    np.testing.assert_allclose(es.procrustes(X, OTHER), left, rtol=1e-10)
    np.testing.assert_allclose(es.procrustes(X, OTHER, convention="distance"), np.sqrt(left), rtol=1e-10)
    np.testing.assert_allclose(es.procrustes(X, OTHER, convention="angular"), np.arccos(1 - left / 2), rtol=1e-10)


def test_canonical_correlations_are_those_of_regression():
    # with one column on the right, the canonical correlation is the multiple correlation
    r = np.corrcoef(
        np.column_stack([np.ones(120), X]) @ np.linalg.lstsq(np.column_stack([np.ones(120), X]), OTHER[:, 0], rcond=None)[0],
        OTHER[:, 0],
    )
    np.testing.assert_allclose(es.svcca(X, OTHER[:, :1], variance=1.0), r[0, 1], rtol=1e-9)
    np.testing.assert_allclose(es.pwcca(X, X @ np.diag([1.0, 2, 3, 4, 5])), 1.0, rtol=1e-9)
    assert es.svcca(X[:5], OTHER[:5]).status.startswith("saturated")


def test_mmd_by_loops_and_its_bandwidth():
    a, b = X[:20], X[20:45] + 1
    z = np.vstack([a, b])
    distances = [((z[i] - z[j]) ** 2).sum() for i in range(45) for j in range(45) if i != j]
    kernel = lambda u, v: np.exp(-((u - v) ** 2).sum() / (2 * np.median(distances)))  # noqa: E731
    within = [np.mean([kernel(u[i], u[j]) for i in range(len(u)) for j in range(len(u)) if i != j]) for u in (a, b)]
    expected = sum(within) - 2 * np.mean([kernel(u, v) for u in a for v in b])
    np.testing.assert_allclose(es.mmd(a, b), expected, rtol=1e-9)
    np.testing.assert_allclose(es.mmd(a, b, bandwidth=np.median(distances), reference="absolute"), expected, rtol=1e-9)


def test_frechet_of_gaussians_and_its_extrapolation():
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3)) * 2 + [1, 0, 0]
    np.testing.assert_allclose(es.frechet(a, b, blocks=0), 1 + 3, rtol=0.1)
    same = [(rng.normal(size=(200, 6)), rng.normal(size=(200, 6))) for _ in range(20)]
    plain = np.mean([es.frechet(u, v, blocks=0) for u, v in same])
    extrapolated = np.mean([es.frechet_infinity(u, v, blocks=0) for u, v in same])
    assert abs(extrapolated) < 0.25 * plain


def test_sliced_wasserstein_of_unequal_samples():
    a, b = X[:17], X[17:60] + 1
    directions = np.eye(5)
    one = [stats.wasserstein_distance(a[:, j], b[:, j]) for j in range(5)]
    np.testing.assert_allclose(es.sliced_wasserstein(a, b, p=1, projections=directions), np.mean(one), rtol=1e-10)
    np.testing.assert_allclose(es.sliced_wasserstein(a, b, p=1, projections=3 * directions, reduce="max"), max(one), rtol=1e-10)
    with pytest.raises(ValueError, match="direction of 0"):
        es.sliced_wasserstein(a, b, projections=np.zeros((5, 1)))


@pytest.mark.parametrize("classifier", ["logistic", "discriminant"])
def test_proxy_a_distance_is_blind_to_unequal_sizes_and_sees_a_shift(classifier):
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(60, 3)), rng.normal(size=(400, 3))
    same, far = es.proxy_a_distance(a, b, classifier=classifier), es.proxy_a_distance(a, b + 10, classifier=classifier)
    assert same < 3 * same.stderr + 0.1
    assert float(far) == 2.0
    # two unit Gaussians one apart along one axis: the best linear error is Phi(-1/2)
    c = rng.normal(size=(4000, 1)) + 1
    expected = 2 * (1 - 2 * stats.norm.cdf(-0.5))
    found = es.proxy_a_distance(rng.normal(size=(4000, 1)), c, classifier=classifier)
    assert abs(found - expected) < 4 * found.stderr


def test_permutation_tests():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    quick = lambda a, b: es.cka(a, b, debiased=True, blocks=0)  # noqa: E731
    related = es.permutation_test(quick, x, x + 0.1 * y, null="pairing", permutations=99)
    assert related.p_value == 0.01
    assert abs(related.null_mean) < 0.05
    pairs = [rng.normal(size=(2, 20, 2)) for _ in range(150)]
    p = [es.permutation_test(quick, *pair, null="pairing", permutations=19).p_value for pair in pairs]
    assert 0.02 < np.mean(np.array(p) <= 0.1) < 0.18
    assert isinstance(related.estimate, Estimate)
    # exact: under the null the p-value is at most alpha with probability alpha
    p = [es.permutation_test(es.mmd, *rng.normal(size=(2, 12, 2)), null="domains", permutations=19).p_value for _ in range(200)]
    assert np.mean(np.array(p) <= 0.1) < 0.17
    assert es.permutation_test(es.procrustes, x, x, null="pairing", tail="less", permutations=19).p_value == 0.05


def test_v_information_refuses_impossible_probabilities():
    with pytest.raises(ValueError, match="model holds 0"):
        es.v_information([0.0, 0.5], [0.5, 0.5])
    np.testing.assert_allclose(es.v_information([0.9], [0.3], unit="nats"), np.log(3), rtol=1e-12)


def test_risk_decomposition_of_losses_adds_up_and_has_honest_errors():
    rng = np.random.default_rng(10)
    losses = {name: rng.exponential(size=200) for name in ("supervised_train_train", "train_train", "held_in", "train_test")}
    found = es.risk_decomposition(**losses, draws=400, rng=np.random.default_rng(1))
    assert list(found.paths) == ["down->right->down"]
    np.testing.assert_allclose(sum(found.shapley.values()), losses["train_test"].mean(), rtol=1e-12)
    difference = losses["train_train"] - losses["supervised_train_train"]  # paired: the same training rows
    np.testing.assert_allclose(found.shapley["usability"].stderr, difference.std() / np.sqrt(200), rtol=0.15)
    for part, (low, high) in found.intervals.items():
        assert low <= found.shapley[part] <= high
    with pytest.raises(ValueError, match="mix"):
        es.risk_decomposition(supervised_train_train=0.1, train_train=losses["train_train"], held_in=0.2, train_test=0.3)
    with pytest.raises(ValueError, match="train_train has 9"):
        es.risk_decomposition(**(losses | {"train_train": np.ones(9)}))


def test_selectivity_and_control_labels():
    rng = np.random.default_rng(11)
    types, labels = rng.integers(50, size=2000), rng.integers(2, size=2000) * 3
    control = es.control_labels(types, labels, rng=rng)
    assert set(control) <= {0, 3}
    assert all(len(set(control[types == t])) == 1 for t in range(50))
    task, memory = rng.uniform(size=300) < 0.9, rng.uniform(size=300) < 0.6
    found = es.selectivity(task, memory)
    np.testing.assert_allclose(found, task.mean() - memory.mean())
    np.testing.assert_allclose(found.stderr, (task.astype(float) - memory).std(ddof=1) / np.sqrt(300))
    assert es.selectivity(task, memory[:200]).stderr > found.stderr * 0.8


def test_two_nn_and_gride_agree_with_closed_forms():
    x = np.random.default_rng(12).uniform(size=(600, 2))
    distances = np.sort(np.linalg.norm(x[:, None] - x, axis=2), axis=1)[:, 1:]
    logs = np.log(distances[:, 1] / distances[:, 0])
    np.testing.assert_allclose(es.two_nn(x, convention="maximum_likelihood"), 599 / logs.sum(), rtol=1e-10)
    np.testing.assert_allclose(es.gride(x), 600 / logs.sum(), rtol=1e-6)
    for found in (es.two_nn(x), es.gride(x, n1=2), es.gride(x, n1=4)):
        assert abs(found - 2) < 4 * found.stderr + 0.1
    scan = es.dimension_scan(x, largest=16)
    assert [s.neighbours for s in scan] == [1, 2, 4, 8, 16]
    assert np.all(np.diff([s.distance for s in scan]) > 0)
    np.testing.assert_allclose(scan[1].dimension, es.gride(x, n1=2), rtol=1e-12)
    noisy = np.column_stack([np.linspace(0, 10, 800), np.zeros(800)]) + 0.02 * np.random.default_rng(1).normal(size=(800, 2))
    scan = es.dimension_scan(noisy, largest=64)
    assert scan[0].dimension > 1.3 > scan[-1].dimension  # noise counts at small scales only
    assert "distinct rows" in es.two_nn(np.ones((9, 2))).status
    np.testing.assert_allclose(es.gride(np.repeat(x, 2, axis=0)), es.gride(x), rtol=1e-12)


def test_pactran_prefers_what_a_probe_can_use():
    noise = np.random.default_rng(13).normal(size=(120, 5))
    assert es.pactran(X, Y) < es.pactran(noise, Y) < np.log(3) + 0.2
    # strong regularisation leaves the labels' entropy
    share = np.bincount(Y) / 120
    found = es.pactran(1e-6 * noise, Y, regularisation=0.1)
    flat = 0.5 * 5 * 3 / 12 * 0.2 * np.log((2 * 5 * 3 / 12 / 2 + 120 * (share * (1 - share)).sum()) * 12 / 15 + 0)
    assert abs(found + (share * np.log(share)).sum() - flat) < 0.1


def test_n_leep_keeps_seeds_apart():
    values = [float(es.n_leep(X, Y, seeds=[seed], halves=0)) for seed in range(3)]
    np.testing.assert_allclose(es.n_leep(X, Y, seeds=range(3), halves=0), np.mean(values), rtol=1e-12)
    assert es.n_leep(X, Y, seeds=[0]).stderr > 0
    assert es.n_leep(np.ones((9, 2)), np.arange(9) % 3).status == "no signal"


def test_rank_agreement_against_scipy():
    rng = np.random.default_rng(14)
    transfer = rng.normal(size=12)
    scores, size, l_pre = transfer + rng.normal(size=12), rng.normal(size=12), -transfer
    found = es.rank_agreement(scores, transfer, size=size, untrained=None, l_pre=l_pre, permutations=99)
    for ours, theirs in (("weighted_kendall", stats.weightedtau), ("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
        np.testing.assert_allclose(getattr(found.score, ours), theirs(scores, transfer)[0], rtol=1e-10)
        np.testing.assert_allclose(getattr(found.nulls["size"], ours), theirs(size, transfer)[0], rtol=1e-10)
        low, high = found.score.intervals[ours]
        assert low < getattr(found.score, ours) < high
    i, j = np.triu_indices(12, 1)
    gaps = [np.abs(v[i] - v[j]) for v in (scores, transfer)]
    np.testing.assert_allclose(found.score.fidelity, np.corrcoef(*gaps)[0, 1], rtol=1e-10)
    np.testing.assert_allclose(found.score.top1_regret, transfer.max() - transfer[scores.argmax()])
    assert found.nulls["l_pre"].top1_regret == 0
    assert found.nulls["l_pre"].best_in_top_k
    assert found.missing == ("untrained",)
    assert found.table().count("\n") == 5
    assert "untrained | not given" in found.table()


def test_rank_agreement_of_ties_and_constants():
    transfer = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = es.rank_agreement(np.ones(5), transfer, size=[1, 1, 2, 2, 3], untrained=None, l_pre=None, k=2, permutations=19)
    assert found.score.status == "constant"
    assert np.isnan(found.score.spearman)
    assert found.score.top1_regret == 4
    assert not found.score.best_in_top_k  # ties count against the score
    np.testing.assert_allclose(found.nulls["size"].spearman, stats.spearmanr([1, 1, 2, 2, 3], transfer)[0], rtol=1e-12)
    np.testing.assert_allclose(found.nulls["size"].weighted_kendall, stats.weightedtau([1, 1, 2, 2, 3], transfer)[0], rtol=1e-12)
    with pytest.raises(ValueError, match="scores has shape"):
        es.rank_agreement([1, 2], transfer, size=None, untrained=None, l_pre=None)
    with pytest.raises(TypeError, match="size"):
        es.rank_agreement(transfer, transfer)


@pytest.mark.parametrize("draws", [120])
def test_default_errors_cover_on_a_known_population(draws):
    """95% of intervals hold the estimator's mean; 0.88 is three binomial standard errors below."""
    values = []
    for i in range(draws):
        rng = np.random.default_rng([15, i])
        y = rng.integers(2, size=150)
        x = rng.normal(size=(150, 3)) + y[:, None] * [1, 0.5, 0]
        values.append([es.logme(x, y), es.h_score(x, y), es.rankme(x), es.cka(x, x**2), es.mmd(x[:75], x[75:] + 0.5)])
    for column in zip(*values, strict=True):
        mean = np.mean([float(v) for v in column])
        assert 0.88 <= np.mean([abs(v - mean) <= 1.96 * v.stderr for v in column]) <= 1.0
