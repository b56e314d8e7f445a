import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from interface.analysis import Cell, data_slope, panels, summarize, three_numbers

cell = runpy.run_path(str(Path(__file__).parent / "curves.py"))["cell"]


def wide(rng, *, source="Glyphs", shifts=(("none", 0.0),), pretexts=("P",), **planted):
    """The planted cell as a wide frame: L_pre = 3 + 2 x, L* = 0.5 + 4 y."""
    parts = []
    for pretext in pretexts:
        for shift, strength in shifts:
            table = cell(rng, **planted)
            facts = {"source": source, "pretext": pretext, "encoder": "E", "shift": shift, "strength": strength, "unit": "nats"}
            parts.append(
                table.assign(
                    **facts,
                    run=[f"{pretext}-{i}-{lr}-{n}" for i, lr, n in zip(table.instance, table.lr, table.n_unlabelled, strict=True)],
                    instance=[f"{source}-{i}" for i in table.instance],
                    target=[f"{source}-{i}-{shift}" for i in table.instance],
                    l_pre_profiled=3 + 2 * table.x,
                    l_adapt=0.5 + 4 * table.y,
                    l_adapt_stderr=4 * table.stderr,
                    adaptation="LinearProbe",
                )
            )
    return pd.concat(parts, ignore_index=True)


def test_every_cell_has_its_row_of_numbers():
    frame = wide(np.random.default_rng(0), shifts=(("none", 0.0), ("rotation", 1.0)), pretexts=("P", "Q"), instances=4)
    table = summarize(frame)
    assert len(table) == 4 and not table.duplicated(["pretext", "shift"]).any()
    panel = panels(frame)[Cell("Glyphs", "Q", "E", "rotation", 1.0, adaptation="LinearProbe", unit="nats")]
    row = table[(table.pretext == "Q") & (table["shift"] == "rotation")].iloc[0]
    numbers, slope = three_numbers(panel), data_slope(panel)
    assert row.intercept == numbers.intercept.estimate and row.data_slope == slope.mean.estimate
    assert (row.intercept_low, row.intercept_high) == numbers.intercept.interval() and row.n_instances == 4
    assert row.x0 == numbers.x0 and row.left_out == 4
    own, home = data_slope(panel), data_slope(panel, scale="in_domain")
    np.testing.assert_allclose(home.mean.values, own.mean.values * panel.span / panel.home_span, rtol=1e-9)


def test_the_raw_intercept_is_the_intercept_in_nats():
    frame = wide(np.random.default_rng(1), instances=4, between=0.0, intercept=0.3, slope=0.7).assign(l_adapt_bayes=0.5)
    row = summarize(frame).iloc[0]
    # R = U - M = 4 (0.3 + 0.7); the intercept is y at x0, so 4 (0.3 + 0.7 x0) nats above the floor
    largest_end = np.exp(-0.004 * 2700)
    np.testing.assert_allclose(row.range, 4.0, rtol=1e-9)
    np.testing.assert_allclose(row.intercept_raw, 4 * (0.3 + 0.7 * largest_end), rtol=1e-6)


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ({"slope": 1.0, "intercept": 0.0, "spread": 1e-6, "between": 0.01}, "sufficient"),
        ({"slope": 0.6, "intercept": 0.4, "spread": 1e-6, "between": 0.01}, "sufficient up to an intercept"),
        ({"slope": 0.8, "intercept": 0.2, "spread": 1e-6, "between": 0.01, "contrast": 0.4}, "insufficient"),
        ({"slope": 0.8, "intercept": 0.2, "spread": 0.2, "between": 0.01, "instances": 60}, "insufficient"),
        ({"slope": 0.0, "intercept": 1.0, "spread": 1e-6, "between": 0.01}, "no link"),
        ({"slope": -0.5, "intercept": 1.5, "spread": 1e-6, "between": 0.01}, "inverse"),
        ({"slope": 0.0, "intercept": 1.0, "spread": 1e-6, "between": 0.01, "stderr": 1.0}, "no range"),
        ({"slope": 1.0, "intercept": 0.2, "spread": 0.02, "between": 2.0}, "undecided"),
    ],
)
def test_every_word_is_reached_from_a_wide_frame(planted, word):
    row = summarize(wide(np.random.default_rng(2), **planted).assign(l_adapt_bayes=0.5)).iloc[0]
    assert row.word == word
    if word == "no range":
        assert np.isnan([row.intercept, row.slope, row.spread, row.data_slope]).all() and row.intercept_status == "no range"


def test_one_instance_gives_numbers_without_intervals():
    row = summarize(wide(np.random.default_rng(3), instances=1)).iloc[0]
    assert row.range_status == "own_range" and np.isfinite(row.intercept) and np.isnan(row.intercept_low)
    assert row.word == "undecided" and row.intercept_status == "1 cluster, needs 2"


def test_seeds_are_averaged_and_other_doubles_refused():
    frame = wide(np.random.default_rng(4), instances=3)
    other = frame.assign(run=frame.run + "b", l_adapt=frame.l_adapt + 1.0)
    both = pd.concat([frame.assign(seed=0), other.assign(seed=1)], ignore_index=True)
    (one,), (two,) = panels(frame).values(), panels(both).values()
    np.testing.assert_allclose(two.loss, one.loss + 0.5)
    with pytest.raises(ValueError, match="seed"):
        panels(pd.concat([frame, other], ignore_index=True))
    with pytest.raises(ValueError, match="optimizer"):
        panels(pd.concat([frame.assign(optimizer="Adam"), other.assign(optimizer="SGD")], ignore_index=True))


def test_unlimited_draws_are_the_largest_level():
    frame = wide(np.random.default_rng(5), instances=3)
    unlimited = frame.assign(n_unlabelled=frame.n_unlabelled.where(frame.n_unlabelled < 1e5).astype("Int64"))
    assert next(iter(panels(unlimited).values())).sizes == (32, 128, np.inf)
    assert summarize(unlimited).iloc[0].intercept == summarize(frame).iloc[0].intercept


def test_half_a_million_rows_go_through():
    small = wide(np.random.default_rng(6), pretexts=("P", "Q", "R"), shifts=(("none", 0.0), ("a", 0.5), ("a", 1.0), ("b", 1.0)))
    copies = 560_000 // len(small)
    frame = pd.concat([small.assign(replicate=k, target=small.target + f"-{k}") for k in range(copies)], ignore_index=True)
    assert len(frame) > 500_000
    table, reference = summarize(frame), summarize(small)
    np.testing.assert_allclose(table.intercept, reference.intercept, rtol=1e-9)
    np.testing.assert_allclose(table.data_slope, reference.data_slope, rtol=1e-9)
