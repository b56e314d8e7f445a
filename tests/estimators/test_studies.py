"""The two scripts about the scores run, at sizes that take no time."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

from interface import estimators as es

STUDIES = Path(__file__).parents[2] / "studies"


def script(name: str):
    spec = importlib.util.spec_from_file_location(Path(name).stem, STUDIES / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_estimator_that_states_an_error_is_in_the_coverage_table():
    cases = {name.split()[0] for name in script("coverage_of_scores.py").CASES}
    apart = {"rank_agreement", "risk_decomposition", "permutation_test", "pointwise_v_information", "control_labels"}
    apart |= {"power_law", "dimension_scan"}  # fits behind alpha_req and gride
    assert {name for name in es.__all__ if inspect.isfunction(getattr(es, name))} == cases | apart


@pytest.mark.parametrize("name", ["leep", "h_score", "two_nn"])
def test_a_line_of_the_coverage_table(name):
    line = script("coverage_of_scores.py").coverage(name, resamplings=12, n=60, large=2)
    assert line.startswith(name)
    assert 0.5 < float(line.split()[5]) <= 1


def test_the_benchmark_computes_what_the_public_algorithms_do():
    module = script("benchmarks/scores.py")
    x, y = module.data(600, 12, 4, "float64")
    ours = module.seven(x, y, "float64")
    for name in ("h_score", "rankme"):
        np.testing.assert_allclose(ours[name], module.PUBLIC[name](x, y), rtol=1e-9)
    np.testing.assert_allclose(ours["logme"], module.PUBLIC["logme"](x, y), rtol=1e-3)
    np.testing.assert_allclose(ours["alpha_req"], es.alpha_req(x), rtol=1e-9)
    for run in module.ours(x, y, "float64").values():
        assert np.isfinite(run())
    name, ratio, _value, _seconds = module.measure("one", lambda: 1.0, lambda: x.T @ x, 2).split()
    assert name == "one"
    assert float(ratio) >= 0
