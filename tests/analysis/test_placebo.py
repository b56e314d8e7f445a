import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from interface.analysis import panels, placebos, random_label

nulls = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "nulls.py")))


def first_panel(frame):
    return next(panel for cell, panel in panels(frame).items() if cell.in_domain)


def noisy_x(panel, rng, sd):
    import dataclasses

    return dataclasses.replace(panel, x=panel.x + sd * rng.normal(size=panel.x.shape))


def test_borrowed_losses_show_the_common_effect_and_two_way_effects_remove_it():
    """y follows the level of n_unlabelled, never the run's own x."""
    rng = np.random.default_rng(0)
    panel = first_panel(nulls.common_time_trends(0.8, rng, tables=1))
    found = placebos(noisy_x(panel, rng, 0.05))
    assert found.own.interval()[0] > 0.4 and found.borrowed.interval()[0] > 0.4
    low, high = found.beyond.interval()
    assert low < 0.25 and high < 0.5, "what is a run's own in x buys nothing"


def test_two_way_effects_are_the_dummies():
    rng = np.random.default_rng(1)
    panel = noisy_x(first_panel(nulls.isotropic_label_directions(0.5, rng, tables=1, instances=5)), rng, 0.1)
    x, y = panel.x[..., 1:], panel.y()[..., 1:, 0]  # steps 300, 900, 2700
    i, a, n, t = np.indices(x.shape).reshape(4, -1)
    block, cell = (i * 2 + a) * 3 + t, (a * 2 + n) * 3 + t
    dummies = np.column_stack([block[:, None] == np.unique(block), cell[:, None] == np.unique(cell)[1:]]).astype(float)
    slope = np.linalg.lstsq(np.column_stack([x.ravel(), dummies]), y.ravel(), rcond=None)[0][0]
    np.testing.assert_allclose(placebos(panel).beyond.estimate, slope, rtol=1e-7)


def test_borrowing_averages_over_all_other_instances():
    rng = np.random.default_rng(2)
    panel = noisy_x(first_panel(nulls.isotropic_label_directions(0.5, rng, tables=1, instances=4)), rng, 0.1)
    x, y = panel.x[..., 1:], panel.y()[..., 1:, 0]
    x, y = (v - v.mean(axis=2, keepdims=True) for v in (x, y))
    expected = [np.mean([(x[j] * y[i]).sum() / (x[j] ** 2).sum() for j in range(4) if j != i]) for i in range(4)]
    np.testing.assert_allclose(placebos(panel).borrowed.values, expected, rtol=1e-10)


def test_identical_instances_leave_nothing_beyond():
    panel = first_panel(nulls.isotropic_label_directions(0.5, np.random.default_rng(3), tables=1, instances=4))
    assert "beyond what all instances share" in placebos(panel).beyond.status and placebos(panel).beyond.p_value() == 1.0


def test_a_random_label_is_shown_to_have_no_slope_on_the_in_domain_scale():
    frame = nulls.autoregressive_runs(0.6, np.random.default_rng(4), tables=1)
    rng = np.random.default_rng(5)
    drawn = frame[frame["shift"] == "misalignment"].assign(shift="random_label", target="random_label")
    drawn["l_adapt"] = 2.3 + 1e-3 * rng.normal(size=len(drawn))
    import pandas as pd

    found = panels(pd.concat([frame, drawn], ignore_index=True))
    panel = next(panel for cell, panel in found.items() if cell.shift == "random_label")
    mean, result = random_label(panel)
    assert result.equivalent and abs(mean.estimate) < 0.02
    real, not_null = random_label(first_panel(frame))
    assert not not_null.equivalent and real.estimate > 0.3


def test_two_instances_are_too_few():
    frame = nulls.isotropic_label_directions(0.5, np.random.default_rng(6), tables=1, instances=2)
    with pytest.raises(ValueError, match="2 instance"):
        placebos(first_panel(frame))
