"""Certified linear regressions of NIST's Statistical Reference Datasets (public domain)."""

from pathlib import Path

import numpy as np
import pytest

from interface.analysis import clustered_fit

DATA = Path(__file__).parent / "data"
NORRIS = ([-0.262323073774029, 1.00211681802045], [0.232818234301152, 0.429796848199937e-03])
PONTIUS = (
    [0.673565789473684e-03, 0.732059160401003e-06, -0.316081871345029e-14],
    [0.107938612033077e-03, 0.157817399981659e-09, 0.486652849992036e-16],
)
LONGLEY = (
    [-3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683, -1.03322686717359, -0.511041056535807e-01,
     1829.15146461355],
    [890420.383607373, 84.9149257747669, 0.334910077722432e-01, 0.488399681651699, 0.214274163161675, 0.226073200069370,
     455.478499142212],
)  # fmt: skip
FILIP = (
    [-1467.48961422980, -2772.17959193342, -2316.37108160893, -1127.97394098372, -354.478233703349, -75.1242017393757,
     -10.8753180355343, -1.06221498588947, -0.670191154593408e-01, -0.246781078275479e-02, -0.402962525080404e-04],
    [298.084530995537, 559.779865474950, 466.477572127796, 227.204274477751, 71.6478660875927, 15.2897178747400, 2.23691159816033,
     0.221624321934227, 0.142363763154724e-01, 0.535617408889821e-03, 0.896632837373868e-05],
)  # fmt: skip


def power(x, degree):
    return x ** np.arange(degree + 1)


@pytest.mark.parametrize(
    ("name", "degree", "certified", "digits"),
    [("norris", 1, NORRIS, 9), ("pontius", 2, PONTIUS, 9), ("longley", 0, LONGLEY, 9), ("filip", 10, FILIP, 6)],
)
def test_certified_coefficients_and_errors(name, degree, certified, digits):
    table = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1)
    y, x = table[:, 0], table[:, 1:]
    design = power(x, degree) if degree else np.column_stack([np.ones(len(x)), x])
    fit = clustered_fit(design, y, np.arange(len(y)))
    np.testing.assert_allclose(fit.coefficients, certified[0], rtol=10.0**-digits)
    np.testing.assert_allclose(fit.naive_stderr, certified[1], rtol=10.0**-digits)
