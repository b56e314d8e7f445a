import numpy as np
import pytest

from interface.analysis import floor_profile, power_link


def curve(rng, floor=1.0, exponent=0.7, noise=0.005):
    x = np.linspace(1.1, 3, 60)
    return x, 0.2 + 0.5 * (x - floor) ** exponent + noise * rng.normal(size=60)


def test_the_best_floor_is_the_best_of_the_grid():
    x, y = curve(np.random.default_rng(0))
    found = floor_profile(x, y)
    floors = np.linspace(-2, 1.099, 400)
    rss = [power_link(x, y, rng=np.random.default_rng(0), floor=f, resamples=0).residual_variance for f in floors]
    assert abs(found.floor - floors[int(np.argmin(rss))]) < 0.15
    assert found.floor_range[0] <= found.floor <= found.floor_range[1] < x.min()
    assert found.exponent_range[0] <= found.exponent <= found.exponent_range[1]


def test_noise_widens_what_floors_and_exponents_are_allowed():
    widths = []
    for noise in (0.002, 0.05):
        found = floor_profile(*curve(np.random.default_rng(1), noise=noise))
        assert found.floor_range[0] <= 1.0 <= found.floor_range[1] and found.exponent_range[0] <= 0.72
        widths.append(np.ptp(found.exponent_range))
    assert widths[1] > 3 * widths[0]


def test_a_bound_above_the_data_is_refused():
    with pytest.raises(ValueError, match=r"lowest is 1\.5"):
        floor_profile(*curve(np.random.default_rng(2)), lowest=1.5)
