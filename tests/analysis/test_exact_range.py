import numpy as np
import pytest

from interface import table
from interface.analysis import panels, three_numbers
from interface.analysis.exact_range import exact_range
from interface.encoders import LinearEncoder
from interface.measurement import Transfer, measure
from interface.populations import GaussianFactor
from interface.pretexts import Autoencoding
from interface.theory import band
from interface.training import Adam, Pretraining, pretrain


@pytest.fixture(scope="module")
def frame():
    """Three small exact worlds, trained to the end on one learning rate and on half of the way on another."""
    rows = []
    for index in range(3):
        world = GaussianFactor(index=index)
        runs = [
            Pretraining(world, Autoencoding(), LinearEncoder(4), n, Adam(lr), (0, 20, 60, 200, 600, 2000))
            for lr in (3e-3, 1e-2)
            for n in (64, 20_000)
        ]
        rows += list(measure(list(pretrain(runs)), [Transfer(world)]))
    return table.wide(rows)


def test_the_measured_numbers_lie_in_the_range_that_theory_allows(frame):
    ((cell, panel),) = panels(frame).items()
    found, numbers = exact_range(panel, frame), three_numbers(panel)
    assert cell.in_domain and found.instances == numbers.intercept.clusters
    for values, low, high in (
        (numbers.intercept.values, found.intercept_low, found.intercept_high),
        (numbers.slope.values, found.slope_low, found.slope_high),
    ):
        assert (low - 1e-6 <= values).all() and (values <= high + 1e-6).all() and (low < high).all()


def test_the_range_is_the_band_at_the_excess_where_the_intercept_is_read(frame):
    ((_, panel),) = panels(frame).items()
    found = exact_range(panel, frame)
    for i, name in enumerate(panel.instances):
        world = GaussianFactor(index=int(name[-1]))
        moments = world.moments()
        operator = Autoencoding().operator(moments)
        target = operator.target(moments.cov_xy)
        mine = frame[(frame["instance"] == name) & (frame["n_unlabelled"] == 20_000)]
        lowest = mine.groupby("lr")["l_pre_excess"].min()
        reach = lowest[lowest - lowest.min() <= 0.05 * panel.drop[i]]
        ends = band(operator.S, target, 4, reach.max())
        unexplained = moments.var_y - target @ target
        exact = [(float(end) + unexplained - panel.floor[i]) / panel.span[i] for end in ends]
        np.testing.assert_allclose([found.intercept_low[i], found.intercept_high[i]], exact, atol=0.02)


def test_there_is_no_range_without_a_band(frame):
    ((_, panel),) = panels(frame).items()
    assert exact_range(panel, frame.drop(columns="l_adapt_band_low")) is None
    assert exact_range(panel, frame.assign(l_adapt_band_low=np.nan)) is None
