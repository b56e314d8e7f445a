from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from interface.analysis import same_loss

NAMES = {"pre": "loss", "low": "low", "high": "high", "within": ["target"], "treatments": ["lr", "n"]}


def table(seed=0, runs=7, steps=5, targets=2):
    rng = np.random.default_rng(seed)
    rows = []
    for target in range(targets):
        for run in range(runs):
            for _ in range(steps):
                middle, half = rng.normal(), 0.3 * rng.random()
                rows.append((f"r{run}", target, rng.random(), middle - half, middle + half, 0.1 * (run % 2), run % 3))
    return pd.DataFrame(rows, columns=["run", "target", "loss", "low", "high", "lr", "n"])


def brute_force(frame, tolerance, margin=0.0):
    """Pair by pair: the checkpoints whose losses are nearest, and whether their brackets are apart."""
    found, compared = set(), 0
    for _, here in frame.groupby("target"):
        for one, two in combinations(sorted(here["run"].unique()), 2):
            a, b = here[here["run"] == one], here[here["run"] == two]
            distance = np.abs(a["loss"].to_numpy()[:, None] - b["loss"].to_numpy())
            i, j = np.unravel_index(distance.argmin(), distance.shape)
            if distance[i, j] > tolerance:
                continue
            compared += 1
            p, q = a.iloc[i], b.iloc[j]
            if q["low"] - p["high"] > margin:
                found.add((one, two, p["loss"], q["loss"]))
            elif p["low"] - q["high"] > margin:
                found.add((two, one, q["loss"], p["loss"]))
    return found, compared


@pytest.mark.parametrize(("tolerance", "margin"), [(0.0, 0.0), (0.01, 0.0), (0.05, 0.5), (2.0, 0.0)])
def test_the_pairs_are_those_of_a_search_pair_by_pair(tolerance, margin):
    listed = 0
    for seed in range(5):
        frame = table(seed)
        result = same_loss(frame.sample(frac=1.0, random_state=seed), tolerance=tolerance, margin=margin, **NAMES)
        expected, compared = brute_force(frame, tolerance, margin)
        assert set(result.pairs[["run_a", "run_b", "pre_a", "pre_b"]].itertuples(index=False, name=None)) == expected
        assert (len(result.pairs), result.compared) == (len(expected), compared)
        assert (result.pairs["gap"] > margin).all() and result.pairs["gap"].is_monotonic_decreasing
        listed += len(expected)
    assert listed > 0 or tolerance == 0.0


def test_what_differs_is_said_and_what_does_not_is_not():
    frame = pd.DataFrame({
        "run": ["a", "b", "c"], "loss": [1.0, 1.0, 1.0], "low": [0.0, 1.0, 2.0], "high": [0.1, 1.1, 2.1],
        "lr": [0.1, 0.1, 0.1], "n": [32, 128, 32], "optimizer": [None, None, None],
    })  # fmt: skip
    result = same_loss(frame, tolerance=0.0, pre="loss", low="low", high="high", treatments=["lr", "n", "optimizer"], within=[])
    assert dict(zip(result.pairs["run_a"] + result.pairs["run_b"], result.pairs["differs"], strict=True)) == {
        "ac": "nothing that the table names",
        "ab": "n 32 / 128",
        "bc": "n 128 / 32",
    }
    assert {"n_a", "n_b"} <= set(result.pairs.columns) and "lr_a" not in result.pairs.columns
    assert "3 of 3 pairs" in str(result) and "a better than c; nothing that the table names" in str(result)


def test_limits_are_used_where_they_are_known_and_exact_losses_need_a_margin():
    common = {"source": "w", "instance": "w-0", "pretext": "P", "target": "t", "lr": 0.1}
    rows = [
        {"run": "a", "l_pre_profiled": 1.0, "l_adapt_low": 0.0, "l_adapt_high": 0.1, "l_adapt_lcb": -0.5, "l_adapt_ucb": 0.6},
        {"run": "b", "l_pre_profiled": 1.0, "l_adapt_low": 0.5, "l_adapt_high": 0.6, "l_adapt_lcb": 0.3, "l_adapt_ucb": 0.9},
    ]
    frame = pd.DataFrame([row | common for row in rows])
    assert len(same_loss(frame, tolerance=0.1).pairs) == 0
    exact = frame.assign(l_adapt_lcb=np.nan, l_adapt_ucb=np.nan)
    assert same_loss(exact, tolerance=0.1).pairs["gap"].tolist() == [0.4]
    assert len(same_loss(exact, tolerance=0.1, margin=0.4).pairs) == 0
    elsewhere = frame.assign(l_adapt_lcb=np.nan, l_adapt_ucb=np.nan, instance=["w-0", "w-1"])
    assert same_loss(elsewhere, tolerance=0.1).compared == 0


def test_checkpoints_of_one_run_and_missing_values_are_never_pairs():
    frame = table(runs=1)
    assert same_loss(frame, tolerance=9.0, **NAMES).compared == 0
    frame = table(runs=2, targets=1).assign(high=np.nan)
    assert same_loss(frame, tolerance=9.0, **NAMES).compared == 0
    assert len(same_loss(frame.iloc[:0], tolerance=9.0, **NAMES).pairs) == 0


@pytest.mark.parametrize(
    ("change", "extra", "message"),
    [
        ({}, {"tolerance": -1.0}, "tolerance is -1.0"),
        ({}, {"tolerance": float("nan")}, "tolerance is nan"),
        ({}, {"tolerance": 0.1, "margin": float("inf")}, "margin is inf"),
        ({}, {"tolerance": 0.1, "low": "lower"}, "lacks lower"),
        ({}, {"tolerance": 0.1, "low": None}, "second side"),
        ({"low": 9.0}, {"tolerance": 0.1}, "upside down"),
    ],
)
def test_bad_arguments_are_named(change, extra, message):
    with pytest.raises(ValueError, match=message):
        same_loss(table().assign(**change), **(NAMES | extra))
