"""The regret of a rule: what it ends with, above the best; chosen and valued on different draws."""

import numpy as np
import pandas as pd
import pytest

from interface.analysis import stopping_regret


def trajectory(run, low, high, **rules):
    steps = [0, 10, 100, 1000][: len(low)]
    frame = pd.DataFrame({"run": run, "step": steps, "target": "t", "pretext": "InfoNCE", "l_adapt_low": low, "l_adapt_high": high})
    for rule, step in rules.items():
        frame[f"stop_{rule}"] = [np.nan] * (len(steps) - 1) + [step]
        frame[f"stop_{rule}_status"] = "ok"
    return frame


def test_the_best_is_chosen_by_one_side_and_valued_by_the_other():
    low, high = [1.0, 0.5, 0.4, 0.6], [1.1, 0.45, 0.55, 0.7]
    found = stopping_regret(trajectory("r", low, high, budget_10=10, last=1000)).set_index("rule")
    assert found["best"].tolist() == [100, 100]
    assert found["regret"].tolist() == pytest.approx([0.45 - 0.55, 0.7 - 0.55])


def test_pure_noise_shows_no_regret_on_average():
    rng = np.random.default_rng(0)
    runs = [trajectory(f"r{i}", *rng.normal(1, 0.1, size=(2, 4)), last=1000) for i in range(600)]
    regret = stopping_regret(pd.concat(runs))["regret"]
    assert abs(regret.mean()) < 4 * regret.std() / 600**0.5
    naive = [run["l_adapt_high"].iloc[-1] - run["l_adapt_high"].min() for run in runs]
    assert np.mean(naive) > 0.05  # what choosing and valuing on the same draws would report


def test_diverged_checkpoints_and_silent_rules_are_left_out():
    low = [1.0, 0.5, np.nan, np.nan]
    frame = pd.concat([trajectory("a", low, low, last=1000, early=10), trajectory("b", [np.nan] * 4, [np.nan] * 4, last=1000)])
    assert stopping_regret(frame)[["run", "rule", "regret"]].values.tolist() == [["a", "early", 0.0]]


def test_a_frame_without_rules_or_sides_is_refused():
    frame = trajectory("r", [1.0, 0.5], [1.0, 0.5])
    with pytest.raises(ValueError, match="no column stop_"):
        stopping_regret(frame)
    with pytest.raises(ValueError, match="l_adapt_high"):
        stopping_regret(trajectory("r", [1.0, 0.5], [1.0, 0.5], last=10).drop(columns="l_adapt_high"))
