"""Every input either works, with the answer of the float64 problem, or is refused by a message that names it."""

import numpy as np
import pytest
import torch

from interface.convex import fit_softmax, fit_softmax_ball, fit_squared, fit_squared_ball
from tests.convex.test_softmax import labelled

X, Y = labelled(n=60)
TARGETS = X @ np.arange(4.0) + np.random.default_rng(0).normal(size=60)
FITS = {
    "softmax": lambda x: fit_softmax(x, Y),
    "ridge": lambda x: fit_softmax(x, Y, ridge=0.01),
    "ball": lambda x: fit_softmax_ball(x, Y, radius=2.0),
    "squared": lambda x: fit_squared(x, TARGETS),
    "squared ridge": lambda x: fit_squared(x, TARGETS, ridge=0.01),
    "squared ball": lambda x: fit_squared_ball(x, TARGETS, radius=2.0),
}
DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
@pytest.mark.parametrize("device", DEVICES)
def test_tensors_of_any_dtype(fit, dtype, device):
    x = torch.tensor(3 * X).to(dtype)
    expected = FITS[fit](x.double().numpy())
    found = FITS[fit](x.to(device).requires_grad_() if x.is_floating_point() else x.to(device))
    assert found.status == ["ok"] and found.value.dtype == torch.float64 and not found.weight.requires_grad
    assert found.value.device.type == device
    torch.testing.assert_close(found.value.cpu(), expected.value, rtol=0, atol=2e-6)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    "change",
    [
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.ascontiguousarray(x[::-1])[::-1],
        lambda x: x.astype(">f8"),
        lambda x: x.astype(np.float32).astype(np.float64),
        lambda x: torch.tensor(x.T.copy()).T,
        lambda x: torch.tensor(x)[None].expand(1, -1, -1),
        lambda x: x.tolist(),
    ],
)
def test_any_layout(fit, change):
    found = FITS[fit](change(X))
    torch.testing.assert_close(found.value, FITS[fit](X).value, rtol=0, atol=2e-6)


@pytest.mark.parametrize("fit", [fit_softmax, lambda x, y, **k: fit_softmax_ball(x, y, radius=2.0, **k)])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_labels_of_any_width(fit, dtype):
    expected = fit(X, Y).value
    torch.testing.assert_close(fit(X, Y.astype(dtype)).value, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(fit(X, torch.tensor(Y).to(getattr(torch, dtype))).value, expected, rtol=0, atol=1e-12)


def test_booleans_are_two_classes():
    torch.testing.assert_close(fit_softmax(X, Y > 0).value, fit_softmax(X, (Y > 0).astype(int)).value)


SPOILT = np.where(np.arange(60)[:, None] == 7, np.nan, X)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.empty((0, 3)), r"features has shape \(0, 3\)"),
        (np.empty((60, 0)), r"features has shape \(60, 0\)"),
        (X[:, 0], r"features has shape \(60,\)"),
        (X[:40], "features have 40 rows"),
        (SPOILT, "features .* row 7"),
        (np.where(np.isnan(SPOILT), -np.inf, SPOILT).astype(np.float32), "features .* row 7"),
        (X.astype(complex), "features has dtype torch.complex128"),
        (np.array([["a", "b"]] * 60), "features is ndarray"),
        (X.astype(object), "features is ndarray"),
        (X * 1e200, "features reach .* overflow"),
        ([[1.0], [1.0, 2.0]], "features is list"),
        (None, "features is NoneType"),
    ],
)
def test_features_that_cannot_be_used_are_named(fit, features, message):
    with pytest.raises(ValueError, match=message):
        FITS[fit](features)


@pytest.mark.parametrize("fit", [fit_softmax, lambda x, y, **k: fit_softmax_ball(x, y, radius=2.0, **k)])
@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (Y[:-1], {}, "labels has shape"),
        (np.empty(0, int), {}, "labels has shape"),
        (np.array(1), {}, "labels has shape"),
        (Y - 1, {}, r"labels lie in \[-1"),
        (Y, {"n_classes": 2}, "n_classes is 2"),
        (np.where(Y == 2, 10**12, Y), {}, "labels reach 1000000000000"),
        (np.where(Y == 2, 2**64 - 1, Y.astype(np.uint64)), {}, r"labels lie in \[0, 18446744073709551615"),
        (torch.tensor(np.where(Y == 2, 2**64 - 1, Y.astype(np.uint64))), {}, "labels lie in part beyond"),
        (Y.astype(float), {}, "labels are real numbers"),
        (Y.astype(complex), {}, "labels has dtype"),
        (np.array(["cat"] * 60), {}, "labels is ndarray"),
        (np.full((60, 3), np.nan), {}, "labels are no probabilities"),
    ],
)
def test_labels_that_cannot_be_used_are_named(fit, labels, options, message):
    with pytest.raises(ValueError, match=message):
        fit(X, labels, **options)


def test_large_and_tiny_features_are_solved():
    for factor in (1e-30, 1e30, 1e100):
        fit = fit_softmax(X * factor, Y, ridge=0.01 * factor**2)
        assert fit.status == ["ok"]
        torch.testing.assert_close(fit.value, fit_softmax(X, Y, ridge=0.01).value, rtol=0, atol=2e-6)
