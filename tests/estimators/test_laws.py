"""Laws over everything that interface.estimators exports: a new score is tested before its author writes a test."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch

from interface import estimators as es
from interface.core import Estimate

N, D, C = 60, 5, 3
SCALES = [1e-8, 1.0, 1e8]
WEIGHTS = np.random.default_rng(9).normal(size=(C, D))

FEATURES = {
    "rankme": es.rankme,
    "effective_rank": es.effective_rank,
    "participation_ratio": es.participation_ratio,
    "stable_rank": es.stable_rank,
    "nesum": es.nesum,
    "alpha_req": es.alpha_req,
    "ledoit_wolf_shrinkage": es.ledoit_wolf_shrinkage,
    "uniformity": es.uniformity,
    "two_nn": es.two_nn,
    "gride": es.gride,
}
LABELLED = {
    "logme": es.logme,
    "h_score": es.h_score,
    "regularized_h_score": es.regularized_h_score,
    "transrate": es.transrate,
    "gbc": es.gbc,
    "nc1": es.nc1,
    "nc2": es.nc2,
    "nc3": lambda x, y: es.nc3(x, y, weights=WEIGHTS),
    "nc4": lambda x, y: es.nc4(x, y, weights=WEIGHTS),
    "n_leep": lambda x, y: es.n_leep(x, y, seeds=[0], components=4),
    "pactran": es.pactran,
    "lidar": es.lidar,
}
PAIRED = {
    "cka": es.cka,
    "minibatch_cka": lambda x, y: es.minibatch_cka(x, y, batch=20),
    "mutual_knn": es.mutual_knn,
    "procrustes": es.procrustes,
    "svcca": es.svcca,
    "pwcca": es.pwcca,
    "alignment": es.alignment,
}
SAMPLES = {
    "mmd": es.mmd,
    "frechet": es.frechet,
    "frechet_infinity": lambda x, y: es.frechet_infinity(x, y, blocks=6),
    "covariance_distance": es.covariance_distance,
    "linear_discrepancy": es.linear_discrepancy,
    "sliced_wasserstein": lambda x, y: es.sliced_wasserstein(x, y, projections=16),
    "proxy_a_distance": es.proxy_a_distance,
}
# no features go in, or no estimate comes out: tested by name in the other files
APART = {
    "leep", "nce", "v_information", "pointwise_v_information", "selectivity", "control_labels", "risk_decomposition",
    "rank_agreement", "permutation_test", "power_law", "dimension_scan",
}  # fmt: skip
ALL = FEATURES | LABELLED | PAIRED | SAMPLES
SHIFT_INVARIANT = set(ALL) - {"logme", "rankme", "effective_rank", "stable_rank", "linear_discrepancy", "mutual_knn", "nc4"}
SCALE_INVARIANT = {
    "rankme", "effective_rank", "participation_ratio", "stable_rank", "nesum", "alpha_req", "ledoit_wolf_shrinkage", "two_nn",
    "gride", "logme", "h_score", "regularized_h_score", "nc1", "nc2", "nc3", "cka", "minibatch_cka", "mutual_knn",
    "procrustes", "svcca", "pwcca", "mmd", "proxy_a_distance", "n_leep",
}  # fmt: skip
SPHERICAL = {"logme", "rankme", "effective_rank", "stable_rank", "mutual_knn", "linear_discrepancy"}  # not to shifts
ROTATION_INVARIANT = (SHIFT_INVARIANT | SPHERICAL) - {
    "covariance_distance", "sliced_wasserstein", "n_leep", "nc3",
    "proxy_a_distance",  # standardises each feature
    "pwcca",  # sums over the features of x
}  # fmt: skip


def arguments(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(N) % C
    x = rng.normal(size=(N, D)) * np.arange(1, D + 1) ** -0.5 + 1.5 * rng.normal(size=(C, D))[y]
    if name in LABELLED:
        return x, y
    other = x @ rng.normal(size=(D, D)) + rng.normal(size=(N, D))
    return x, other


def call(name: str, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ALL[name](x) if name in FEATURES else ALL[name](x, y)
    assert isinstance(found, Estimate)
    assert np.isfinite(found) or found.status != "ok", f"{name}: {found!r} without a status"
    assert found.n
    assert found.stderr is None or np.isfinite(found.stderr)
    return found


def moved(name: str, x, y, change):
    """Both arguments changed, where both are features."""
    return change(x), (y if name in LABELLED else change(y))


def test_everything_exported_is_under_a_law():
    functions = {name for name in es.__all__ if inspect.isfunction(getattr(es, name))}
    assert functions == set(ALL) | APART


@pytest.mark.parametrize("name", sorted(set(ALL) | APART))
def test_docstring_says_what_it_is_with_source_and_example(name):
    doc = inspect.getdoc(getattr(es, name)) or ""
    assert ">>>" in doc
    assert "Args:" in doc
    assert "Source:" in doc or name in {"power_law"}
    assert name in {"permutation_test", "power_law", "control_labels", "dimension_scan"} or any(
        word in doc.lower() for word in ("high", "low:", "near 1 is held")
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALL)
def test_finite_at_any_scale_and_blind_to_row_order(name, scale):
    x, y = moved(name, *arguments(name), lambda a: scale * a)
    found = call(name, x, y)
    assert np.isfinite(found), repr(found)
    if scale == 1.0 and name != "minibatch_cka":
        order = np.random.default_rng(1).permutation(N)
        shuffled = call(name, x[order], y[order])
        np.testing.assert_allclose(shuffled, found, rtol=1e-9, atol=1e-12)
    if name in SCALE_INVARIANT:
        np.testing.assert_allclose(found, call(name, *arguments(name)), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(SHIFT_INVARIANT))
def test_a_shift_of_ten_thousand_changes_nothing(name):
    x, y = arguments(name)
    before, after = call(name, x, y), call(name, *moved(name, x, y, lambda a: a + 1e4))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", sorted(ROTATION_INVARIANT))
def test_a_rotation_changes_nothing(name):
    x, y = arguments(name)
    q = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0]
    np.testing.assert_allclose(call(name, *moved(name, x, y, lambda a: a @ q)), call(name, x, y), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_float32_is_within_a_thousandth(name):
    x, y = arguments(name)
    rounded = moved(name, x, y, lambda a: a.astype(np.float32))
    np.testing.assert_allclose(call(name, *rounded), call(name, x, y), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_the_callers_arrays_stay_as_they_are(name):
    x, y = arguments(name)
    copies = x.copy(), y.copy()
    x.setflags(write=False)
    y.setflags(write=False)
    call(name, x, y)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


@pytest.mark.parametrize("name", ALL)
def test_tensors_of_any_kind_give_the_value_of_their_numbers(name):
    x, y = arguments(name)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        change = lambda a, dtype=dtype: torch.tensor(a, dtype=dtype).requires_grad_()  # noqa: E731
        tensors = moved(name, x, torch.tensor(y) if name in LABELLED else y, change)
        values = [t.detach().to(torch.float64).numpy() if t.is_floating_point() else t.numpy() for t in tensors]
        np.testing.assert_allclose(call(name, *tensors), call(name, *values), rtol=1e-12, atol=1e-12)
    lists = call(name, x.tolist(), y.tolist())
    np.testing.assert_allclose(lists, call(name, x, y), rtol=1e-12, atol=1e-12)


DEGENERATE = {
    "rank_deficient": lambda x: np.hstack([x[:, :2], x[:, :2] @ np.ones((2, D - 2))]),
    "constant_feature": lambda x: np.hstack([x[:, :-1], np.ones((len(x), 1))]),
    "constant": lambda x: np.full_like(x, 0.1),
    "zero": np.zeros_like,
    "repeated_rows": lambda x: x[np.arange(len(x)) // 6 * 6],
    "one_direction": lambda x: x[:, :1] * np.ones(D),
    "huge_offset": lambda x: x * 1e-6 + 1e6,
}


@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("name", ALL)
def test_degenerate_features_have_a_value_or_a_status(name, kind):
    call(name, *moved(name, *arguments(name), DEGENERATE[kind]))


@pytest.mark.parametrize("name", ALL)
def test_fewer_rows_than_features(name):
    rng = np.random.default_rng(2)
    x, other = rng.normal(size=(24, 40)), rng.normal(size=(24, 40))
    wide = {"nc3": es.nc3, "nc4": es.nc4}.get(name)
    if wide:
        assert np.isfinite(wide(x, np.arange(24) % C, weights=rng.normal(size=(C, 40))))
    else:
        call(name, x, np.arange(24) % C if name in LABELLED else other)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_may_be_anything_hashable_by_order(name):
    x, y = arguments(name)
    expected = call(name, x, y)
    for labels in (y.astype(float), y.astype(np.uint8), y * 1000 - 7, np.array(["a", "b", "c"])[y]):
        np.testing.assert_allclose(call(name, x, labels), expected, rtol=1e-9)


@pytest.mark.parametrize("name", LABELLED)
def test_one_class_and_a_class_of_one_row_have_a_value_or_a_status(name):
    x, _ = arguments(name)
    if name not in {"nc3", "nc4"}:  # weights need a row a class
        call(name, x, np.zeros(N, int))
    call(name, x, np.minimum(np.arange(N), C - 1))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("bad", "word"), [(np.empty((0, 3)), "shape"), (np.ones(4), "shape"), (np.full((N, D), np.nan), "finite")])
def test_bad_features_are_named(name, bad, word):
    argument = "(features|x|source)"
    with pytest.raises(ValueError, match=f"{argument}.*{word}"):
        call(name, bad, arguments(name)[1])


@pytest.mark.parametrize("name", LABELLED)
def test_bad_labels_are_named(name):
    x, y = arguments(name)
    for labels in (y[:-1], y + 0.5):
        with pytest.raises(ValueError, match=r"labels|objects"):
            call(name, x, labels)


@pytest.mark.parametrize("name", SAMPLES | PAIRED)
def test_a_second_argument_that_does_not_fit_is_named(name):
    x, y = arguments(name)
    with pytest.raises(ValueError, match=r"(y|target) has"):
        call(name, x, y[:-1] if name in PAIRED else y[:, :-1])
