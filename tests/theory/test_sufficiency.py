import numpy as np
import pytest

from interface.theory import band, rates, sufficiency, sufficient_excess


def test_sufficiency_is_monotone_concave_and_inverted():
    rng = np.random.default_rng(3)
    factor, target = rng.normal(size=(6, 6)), rng.normal(size=6)
    S = factor @ factor.T / 6
    excess = np.linspace(0, 4, 60)
    psi = sufficiency(S, target, 2, excess)
    assert (np.diff(psi) >= -1e-6).all()
    assert (np.diff(psi, 2) <= 5e-6).all()
    for tolerated in (0.5 * (psi[0] + psi[10]), psi[10]):
        allowed = sufficient_excess(S, target, 2, tolerated)
        assert sufficiency(S, target, 2, allowed) <= tolerated
        assert sufficiency(S, target, 2, allowed * 1.001 + 1e-5) > tolerated
    assert sufficient_excess(S, target, 2, 0.5 * psi[0]) == -np.inf
    assert sufficient_excess(S, target, 2, target @ target) == np.inf


def test_a_closed_gap_matters_only_if_the_target_lies_in_it():
    S = np.diag([2.0, 1.0, 1.0])
    harmless, harmful = band(S, [1.0, 0.0, 0.0], 2, 0.0), band(S, [0.0, 0.6, 0.8], 2, 0.0)
    np.testing.assert_allclose(harmless, (0, 0), atol=1e-6)
    np.testing.assert_allclose(harmful, (0, 1), atol=1e-6)
    assert rates(S, [1.0, 0.0, 0.0], 2).slope == pytest.approx(1.0)
    assert rates(S, [0.0, 0.6, 0.8], 2)[1:] == (np.inf, np.inf)
