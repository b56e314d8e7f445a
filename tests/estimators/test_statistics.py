"""The streaming pass: any split, any order of merging, any device's tensors give the numbers of one batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interface import estimators as es
from interface.estimators import PairedStatistics, Statistics

RNG = np.random.default_rng(0)
Y = RNG.integers(4, size=500)
X = RNG.normal(size=(500, 6)) * [1, 2, 3, 0.5, 1, 1] + 7 + RNG.normal(size=(4, 6))[Y]
T = X[:, :2] @ RNG.normal(size=(2, 2)) + RNG.normal(size=(500, 2))

FROM_SUMS = {
    "logme": lambda x, y: (es.logme, Statistics().add(x, y)),
    "h_score": lambda x, y: (es.h_score, Statistics().add(x, y)),
    "regularized_h_score": lambda x, y: (es.regularized_h_score, Statistics().add(x, y)),
    "transrate": lambda x, y: (es.transrate, Statistics(class_products=True).add(x, y)),
    "gbc": lambda x, y: (es.gbc, Statistics().add(x, y)),
    "nc1": lambda x, y: (es.nc1, Statistics().add(x, y)),
    "nc2": lambda x, y: (es.nc2, Statistics().add(x, y)),
    "lidar": lambda x, y: (es.lidar, Statistics().add(x, y)),
}
UNLABELLED = [
    es.rankme,
    es.effective_rank,
    es.participation_ratio,
    es.stable_rank,
    es.nesum,
    es.alpha_req,
    es.ledoit_wolf_shrinkage,
]


def split(x, y, parts=7, **options):
    """Statistics of uneven batches, gathered by two workers and merged."""
    workers = [Statistics(**options), Statistics(**options)]
    for i, rows in enumerate(np.split(np.arange(len(x)), np.sort(np.random.default_rng(1).integers(1, len(x), parts)))):
        if len(rows):
            workers[i % 2].add(x[rows], y[rows])
    return workers[0].merge(workers[1])


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("name", FROM_SUMS)
def test_sums_of_merged_batches_give_the_score_of_the_rows(name, offset):
    score, statistics = FROM_SUMS[name](X + offset, Y)
    merged = split(X + offset, Y, class_products=statistics.class_products)
    expected = score(X + offset, Y)
    for held in (statistics, merged):
        np.testing.assert_allclose(score(held), expected, rtol=1e-8)
    assert merged.n == score(merged).n == 500 or name == "lidar"


@pytest.mark.parametrize("score", UNLABELLED, ids=lambda s: s.__name__)
def test_unlabelled_scores_from_sums(score):
    np.testing.assert_allclose(score(split(X, Y)), score(X), rtol=1e-8)


def test_regression_from_sums():
    parts = Statistics().add(X[:99], targets=T[:99]).merge(Statistics().add(X[99:], targets=T[99:]))
    np.testing.assert_allclose(es.logme(parts), es.logme(X, targets=T), rtol=1e-10)


def test_frechet_from_sums():
    a, b = Statistics(blocks=5).add(X[:250]), Statistics(blocks=5).add(X[250:])
    found = es.frechet(a, b)
    np.testing.assert_allclose(found, es.frechet(X[:250], X[250:]), rtol=1e-8)
    assert found.stderr > 0


def test_labels_that_only_some_batches_hold():
    sorted_rows = np.argsort(Y, kind="stable")
    parts = Statistics()
    for rows in np.array_split(sorted_rows, 9):
        parts.add(X[rows], Y[rows])
    np.testing.assert_allclose(es.h_score(parts), es.h_score(X, Y), rtol=1e-9)


def test_fourth_moments_survive_a_change_of_pivot():
    parts = Statistics().add(X[:1]).merge(Statistics().add(X[1:]))
    exact = (((X - X.mean(0)) ** 2).sum(1) ** 2).sum()
    np.testing.assert_allclose(parts.moments.fourth(), exact, rtol=1e-12)


def test_delete_a_block_is_the_jackknife_of_its_definition():
    statistics = Statistics(blocks=10).add(X, Y)
    found = es.h_score(statistics)
    order = np.random.default_rng(0).permutation(len(X))  # the documented assignment of the first batch
    values = np.array([float(es.h_score(np.delete(X, order[j::10], 0), np.delete(Y, order[j::10]), blocks=0)) for j in range(10)])
    np.testing.assert_allclose(found.stderr, np.sqrt(9 / 10 * ((values - values.mean()) ** 2).sum()), rtol=1e-8)


def test_an_error_is_stated_where_cheap_and_where_asked_for():
    assert es.logme(X, Y).stderr > 0
    assert es.logme(X, Y, blocks=0).stderr is None
    assert es.logme(Statistics().add(X, Y)).stderr is None
    big = np.random.default_rng(3).normal(size=(1000, 400))
    assert es.rankme(big).stderr is None
    with pytest.raises(ValueError, match="blocks is 7"):
        es.logme(Statistics(blocks=5).add(X, Y), blocks=7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_tensors_are_summed_where_they_are(dtype):
    x = torch.tensor(X - 7, dtype=dtype, requires_grad=True)
    numbers = x.detach().double().numpy()
    statistics = Statistics(class_products=True).add(x, torch.tensor(Y))
    np.testing.assert_allclose(statistics.moments.scatter(), Statistics().add(numbers, Y).moments.scatter(), rtol=1e-12)
    np.testing.assert_allclose(es.h_score(statistics), es.h_score(numbers, Y), rtol=1e-9)
    assert x.grad is None


class NoDouble(torch.Tensor):
    """A tensor on a device that has no float64, as MPS."""

    def double(self):
        raise TypeError("this device has no float64")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_a_device_without_float64_is_finished_on_the_cpu():
    x = torch.tensor(X, dtype=torch.float32)
    numbers = x.double().numpy()
    found = es.h_score(Statistics().add(x.as_subclass(NoDouble), Y))
    np.testing.assert_allclose(found, es.h_score(numbers, Y), rtol=1e-9)
    pair = PairedStatistics().add(x.as_subclass(NoDouble), x.flip(1).as_subclass(NoDouble))
    np.testing.assert_allclose(es.cka(pair), es.cka(numbers, numbers[:, ::-1]), rtol=1e-9)
    np.testing.assert_allclose(es.uniformity(x.as_subclass(NoDouble)), es.uniformity(numbers), rtol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_products_in_the_inputs_precision_are_close(kind):
    x = kind(X.astype(np.float32))
    for y in (Y, None):
        rough, fine = (Statistics(precision=p).add(x, y) for p in ("input", "float64"))
        np.testing.assert_allclose(rough.moments.scatter(), fine.moments.scatter(), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(es.rankme(Statistics(precision="input").add(x)), es.rankme(X), rtol=1e-3)


def test_a_large_input_takes_the_route_by_products_only_where_it_loses_nothing():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(20_000, 20))  # beyond the size at which rows are used directly
    exact = np.linalg.svd(x, compute_uv=False)
    p = exact / exact.sum()
    np.testing.assert_allclose(es.effective_rank(x), np.exp(-(p * np.log(p)).sum()), rtol=1e-10)
    thin = x * np.geomspace(1, 1e-11, 20)  # below the rounding of X'X
    exact = np.linalg.svd(thin, compute_uv=False)
    p = exact / exact.sum()
    found = es.effective_rank(thin, blocks=0)
    np.testing.assert_allclose(found, np.exp(-(p * np.log(p)).sum()), rtol=1e-10)
    slope = -np.polyfit(np.log(np.arange(3, 21)), 2 * np.log(np.linalg.svd(thin - thin.mean(0), compute_uv=False)[2:]), 1)[0]
    np.testing.assert_allclose(es.alpha_req(thin, last=20, blocks=0), slope, rtol=1e-8)
    sums = Statistics().add(thin)
    assert "lost" in es.alpha_req(sums, last=20).status
    assert "lost" not in es.alpha_req(sums, first=1, last=4).status


def test_h_score_and_logme_of_ill_conditioned_large_inputs_use_the_rows():
    rng = np.random.default_rng(6)
    y = rng.integers(3, size=20_000)
    x = rng.normal(size=(20_000, 20)) + 0.5 * rng.normal(size=(3, 20))[y]
    squeezed = x * np.geomspace(1, 1e-8, 20)
    np.testing.assert_allclose(es.h_score(squeezed, y, blocks=0), es.h_score(x, y, blocks=0), rtol=1e-6)
    assert "ill-conditioned" in es.h_score(Statistics().add(squeezed, y)).status
    assert np.isfinite(es.logme(squeezed, y, blocks=0))


def test_faults_are_named():
    with pytest.raises(ValueError, match="empty Statistics"):
        es.rankme(Statistics())
    with pytest.raises(ValueError, match="features has 3 columns"):
        Statistics().add(X).add(X[:, :3])
    with pytest.raises(ValueError, match="labels"):
        Statistics().add(X, Y).add(X)
    with pytest.raises(ValueError, match="labels"):
        es.h_score(Statistics().add(X))
    with pytest.raises(ValueError, match="class_products"):
        es.transrate(Statistics().add(X, Y))
    with pytest.raises(ValueError, match="first in row 3"):
        Statistics().add(np.where(np.arange(500)[:, None] == 3, np.inf, X))
    with pytest.raises(ValueError, match="overflow"):
        Statistics().add(X * 1e200)
    with pytest.raises(ValueError, match="blocks"):
        Statistics(blocks=1)
    with pytest.raises(ValueError, match="merge like with like"):
        Statistics().merge(Statistics(blocks=2))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_paired_sums(offset):
    other = X[:, ::-1] ** 2 / 10 + RNG.normal(size=X.shape)
    a, b = X + offset, other - offset
    parts = [PairedStatistics(blocks=4).add(a[rows], b[rows]) for rows in np.split(np.arange(500), [3, 200])]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    for debiased in (False, True):
        np.testing.assert_allclose(es.cka(merged, debiased=debiased), es.cka(X, other, debiased=debiased), rtol=1e-7)
    np.testing.assert_allclose(es.procrustes(merged), es.procrustes(X, other), rtol=1e-7)
    assert es.cka(merged).stderr > 0
    tensors = PairedStatistics().add(torch.tensor(a, requires_grad=True), torch.tensor(b))
    np.testing.assert_allclose(es.cka(tensors), es.cka(merged), rtol=1e-9)


def test_feature_space_and_row_space_agree():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 5))
    wide = [np.hstack([m, np.zeros((40, 30))]) for m in (x, y)]  # 70 columns: the route by n x n products
    for debiased in (False, True):
        np.testing.assert_allclose(es.cka(x, y, debiased=debiased), es.cka(*wide, debiased=debiased), rtol=1e-10)
