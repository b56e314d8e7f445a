"""The wide frame against pandas' own pivot, and what a row without a cell of its own is repeated on."""

import runpy
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from interface import table
from interface.core import Row

synthetic = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "synthetic.py")))


def row(**changes):
    return Row(
        **(
            {
                "run": "a",
                "step": 0,
                "quantity": "l_adapt",
                "value": 0.5,
                "how": "held_out",
                "target": "t",
                "adaptation": "LinearProbe",
            }
            | changes
        )
    )


@pytest.mark.parametrize("source", ["GaussianFactor", "Glyphs"])
def test_wide_equals_a_pivot(source):
    rows = synthetic.rows(source=source, instances=2, sizes=(30, 200), steps=(0, 36), replicates=2)
    frame = table.wide(rows)
    long = pd.DataFrame([asdict(r) for r in rows])
    cells = long[long["target"].notna()].pivot(index=["run", "step", "target", "replicate"], columns="quantity", values="value")  # noqa: PD010
    pre = long[long["target"].isna()].pivot(index=["run", "step"], columns="quantity", values="value")  # noqa: PD010
    wanted = cells.join(pre, on=["run", "step"])
    got = frame.set_index(["run", "step", "target", "replicate"])
    assert len(got) == len(wanted)
    for quantity in wanted:
        np.testing.assert_array_equal(got[quantity].reindex(wanted.index), wanted[quantity], err_msg=quantity)
    facts = long[long["quantity"] == "l_adapt"].set_index(["run", "step", "target", "replicate"]).reindex(got.index)
    for column in set(table.IDENTITY) - {"run", "step", "target", "replicate", "depth", "n_labels"}:
        assert got[column].tolist() == facts[column].tolist(), column
    assert got["depth"].isna().all()
    assert list(frame.columns[: len(table.IDENTITY)]) == list(table.IDENTITY)


def test_wide_does_not_depend_on_how_the_rows_came(tmp_path):
    rows = synthetic.rows(instances=1, pretexts=("Autoencoding",), lrs=(3e-3,), steps=(0, 36, 2700))
    table.write(rows, tmp_path / "runs" / "all.parquet")
    before = table.wide(table.read(tmp_path))
    pd.testing.assert_frame_equal(table.wide(sorted(rows, key=lambda r: (r.run, r.step))), before)
    pd.testing.assert_frame_equal(table.wide(pd.DataFrame([asdict(r) for r in rows])), before)


def test_wide_carries_error_origin_and_status():
    frame = table.wide(
        [row(stderr=0.1, status="crossed"), row(quantity="l_pre", value=2.0, how="exact", target=None, adaptation=None)]
    )
    assert frame[["l_adapt_stderr", "l_adapt_how", "l_adapt_status", "l_pre_how"]].values.tolist() == [
        [0.1, "held_out", "crossed", "exact"]
    ]
    assert np.isnan(frame["l_pre_stderr"][0])


def test_the_adaptation_loss_speaks_for_its_cell():
    frame = table.wide([row(quantity="accuracy", unit="share", value=0.9), row(unit="nats", code="new")])
    assert frame[["unit", "code"]].to_numpy().tolist() == [["nats", "new"]]


def test_an_exact_adaptation_loss_is_its_own_bracket_and_a_sampled_one_is_not():
    frame = table.wide(
        [row(how="exact", value=0.3), row(target="u", value=0.4), row(target="u", quantity="l_adapt_low", value=0.35)]
    )
    assert frame["target"].tolist() == ["t", "u"]
    np.testing.assert_array_equal(frame[["l_adapt_low", "l_adapt_high"]], [[0.3, 0.3], [0.35, np.nan]])


def test_a_score_of_a_target_is_repeated_on_its_cells_only():
    cells = [row(target=t, adaptation=a, value=0.1) for t in "tu" for a in ("LinearProbe", "LinearBall")]
    scores = [
        row(target="t", adaptation=None, quantity="logme", value=7.0),
        row(target=None, adaptation=None, quantity="rankme", value=3.0),
    ]
    frame = table.wide(scores + cells)
    assert len(frame) == 4
    assert (frame["rankme"] == 3.0).all()
    assert frame.groupby("target")["logme"].apply(list).to_dict() == {
        "t": [7.0, 7.0],
        "u": pytest.approx([np.nan] * 2, nan_ok=True),
    }


def test_the_bayes_loss_of_a_run_holds_at_every_step():
    cells = [row(step=s, target=t) for s in (0, 9) for t in "tu"]
    frame = table.wide([*cells, row(quantity="l_adapt_bayes", value=0.1), row(run="b", step=9)])
    assert {(r, t, s): b for r, t, s, b in frame[["run", "target", "step", "l_adapt_bayes"]].values if b == b} == {
        ("a", "t", 0): 0.1,
        ("a", "t", 9): 0.1,
    }


def test_a_more_specific_fact_wins():
    frame = table.wide(
        [row(depth=1), row(depth=2)] + [row(adaptation=None, depth=d, quantity="s", value=v) for d, v in ((None, 0.0), (2, 5.0))]
    )
    assert dict(zip(frame["depth"], frame["s"], strict=True)) == {1: 0.0, 2: 5.0}


def test_a_checkpoint_without_a_target_keeps_its_row():
    lone = [row(run="b", target=None, adaptation=None, quantity=q, value=v) for q, v in (("l_pre", 2.0), ("wall_s", 1.0))]
    frame = table.wide([*lone, row()])
    assert frame["run"].tolist() == ["a", "b"]
    assert frame["l_pre"].tolist()[1] == 2.0
    assert frame["target"].isna().tolist() == [False, True]
    assert frame["wall_s"].tolist()[1] == 1.0
    assert np.isnan(frame["l_adapt"][1])


def test_wide_refuses_a_row_that_occurs_twice():
    with pytest.raises(ValueError, match=r"twice .*run=a"):
        table.wide([row(), row(value=0.7)])
    with pytest.raises(ValueError, match="no row"):
        table.wide([])
