import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from interface.analysis import benjamini_hochberg, holm, holm_divisors


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p = np.r_[rng.random(5) ** 3, 1.0, 1.0, rng.choice([0.01, 0.2], 2)]  # with ties and with untestable claims
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)


def test_divisors_are_the_steps():
    assert holm_divisors([0.5, 0.001, 0.02]).tolist() == [1, 3, 2]


def test_impossible_p_values_are_refused():
    for bad in ([0.1, np.nan], [1.2], [[0.1]]):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            holm(bad)
