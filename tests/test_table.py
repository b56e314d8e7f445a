import os
import runpy
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interface import table
from interface.core import ROW_KEY, Estimate, Row

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


@pytest.fixture
def rows():
    return synthetic.rows(instances=1, pretexts=("Autoencoding",), lrs=(3e-3,), steps=(0, 36, 2700))


@pytest.fixture
def folder(tmp_path, rows):
    for run, mine in by_run(rows).items():
        table.write(mine, tmp_path / "runs" / f"{run}.parquet", metadata={"code": "c0ffee", "run": run})
    return tmp_path


def by_run(rows):
    return {run: [row for row in rows if row.run == run] for run in {row.run: None for row in rows}}


def keys(frame):
    return list(frame[list(ROW_KEY)].astype(object).where(frame[list(ROW_KEY)].notna(), None).itertuples(index=False, name=None))


# columns and types ------------------------------------------------------------------------------------------------------


def test_columns_are_the_fields_of_a_row():
    assert set(table.COLUMNS) == set(Row.__dataclass_fields__)


def test_round_trip_gives_back_every_value(tmp_path, rows):
    frame = table.read(table.write(rows, tmp_path / "a.parquet"))
    for column in table.COLUMNS:
        wanted = [getattr(row, column) for row in rows]
        assert frame[column].astype(object).where(frame[column].notna(), None).tolist() == wanted, column
    pd.testing.assert_frame_equal(frame, table.to_frame(rows))
    pd.testing.assert_frame_equal(table.read(table.write(frame, tmp_path / "b.parquet")), frame)


def test_types_do_not_depend_on_what_a_file_happens_to_hold(tmp_path):
    empty = table.read(table.write([row()], tmp_path / "a.parquet"))
    full = table.read(table.write([row(n_labels=5, lr=1, pretext="p", seed=2**60 + 1)], tmp_path / "b.parquet"))
    kinds = [{name: str(kind) for name, kind in frame.dtypes.items()} for frame in (empty, full)]
    assert kinds[0] == kinds[1]
    assert [kinds[0][name] for name in ("run", "step", "n_labels", "lr")] == ["category", "int64", "Int64", "float64"]
    assert full["seed"][0] == 2**60 + 1  # a float would have lost the last digit


def test_an_estimate_is_stored_as_its_value():
    frame = table.to_frame([row(value=Estimate(0.25, stderr=0.1, how="held_out"))])
    assert frame["value"].tolist() == [0.25]


def test_a_value_that_is_not_a_number_is_kept(tmp_path):
    frame = table.read(table.write([row(value=float("nan"), status="no signal")], tmp_path / "a.parquet"))
    again = table.read(table.write(frame, tmp_path / "b.parquet"))
    assert table.wide(again)[["l_adapt", "l_adapt_status"]].isna().values.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (lambda: [row(step=1.5)], "step"),
        (lambda: [row(step=True)], "step"),
        (lambda: [row(value="0.5")], "value"),
        (lambda: [row(pretext=3)], "pretext"),
        (lambda: [row(), row(lr="fast")], "lr"),
        (lambda: [row(run=None)], "run"),
        (lambda: [asdict(row())], "dict"),
        (lambda: pd.DataFrame([asdict(row())]).assign(rankme=3.0), "rankme"),
        (lambda: pd.DataFrame([asdict(row())]).drop(columns="value"), "value"),
        (lambda: pd.DataFrame([asdict(row())]).assign(n=["many"]), "'n'"),
    ],
)
def test_a_wrong_column_is_named(tmp_path, bad, word):
    with pytest.raises(ValueError, match=word):
        table.write(bad(), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        table.write([], tmp_path / "a.parquet")


# files ------------------------------------------------------------------------------------------------------------------


def test_metadata_carries_the_schema_and_what_was_given(tmp_path, rows):
    path = table.write(rows, tmp_path / "a.parquet", metadata={"code": "c0ffee"})
    assert table.metadata(path) == {"schema": "1", "code": "c0ffee"}
    for bad in ({"schema": "2"}, {"seconds": 3.0}):
        with pytest.raises(ValueError, match="metadata"):
            table.write(rows, path, metadata=bad)


def test_a_newer_schema_is_refused_and_an_older_file_is_filled(tmp_path, rows):
    arrow = pq.read_table(table.write(rows, tmp_path / "a.parquet"))
    pq.write_table(arrow.replace_schema_metadata({"schema": "2"}), tmp_path / "new.parquet")
    with pytest.raises(ValueError, match="schema 2"):
        table.read(tmp_path / "new.parquet")
    pq.write_table(arrow.drop_columns(["views", "device"]), tmp_path / "old.parquet")
    both = table.read(tmp_path / "old.parquet", tmp_path / "a.parquet")
    assert both["views"].isna().sum() == len(rows)
    assert str(both["views"].dtype) == "Int64"
    assert len(both) == 2 * len(rows)


def test_a_file_with_a_foreign_column_is_refused(tmp_path):
    pq.write_table(pa.table({"run": ["a"], "accuracy": [0.5]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="accuracy"):
        table.read(tmp_path / "a.parquet")
    with pytest.raises(FileNotFoundError, match="neither"):
        table.read(tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_the_rename_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch, when):
    path, real = table.write([row(value=1.0)], tmp_path / "a.parquet"), os.replace

    def crash(source, target):
        if when == "after":
            real(source, target)
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        table.write([row(value=2.0)], path)
    assert table.read(path)["value"].tolist() == [1.0 if when == "before" else 2.0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_what_a_killed_writer_leaves_is_ignored_and_swept(folder):
    before = table.read(folder)
    script = (
        "import os; from interface import table; from interface.core import Row\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "table.write([Row(run='z', step=0, quantity='q', value=1.0, how='exact')], 'runs/z.parquet')"
    )
    root = Path(table.__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", script], cwd=folder, env=os.environ | {"PYTHONPATH": str(root)}, check=False)
    assert killed.returncode == 9
    leftovers = list((folder / "runs").glob(".*"))
    assert len(leftovers) == 1
    assert not (folder / "runs" / "z.parquet").exists()
    pd.testing.assert_frame_equal(table.read(folder), before)
    assert table.sweep_temporaries(folder) == leftovers
    assert not leftovers[0].exists()
    assert table.sweep_temporaries(folder / "absent") == []


def test_the_file_of_a_writer_at_work_is_not_swept(folder, monkeypatch):
    seen = []
    real = os.replace

    def look(source, target):
        seen.append((table.sweep_temporaries(folder), Path(source).exists()))
        real(source, target)

    monkeypatch.setattr(os, "replace", look)
    table.write([row(run="z")], folder / "runs" / "z.parquet")
    assert seen == [([], True)]


def test_a_half_written_file_is_not_readable(tmp_path, rows):
    path = table.write(rows, tmp_path / "a.parquet")
    whole = path.read_bytes()
    assert table.readable(path)
    for bad in (whole[: len(whole) // 2], b"", whole[:200] + bytes(200) + whole[400:]):
        path.write_bytes(bad)
        assert not table.readable(path)
    with pytest.raises(ValueError, match=r"a.parquet is not a readable"):
        table.read(path)
    assert not table.readable(tmp_path / "absent.parquet")


# folders ----------------------------------------------------------------------------------------------------------------


def test_a_folder_is_read_in_the_same_order_before_and_after_compaction(folder, rows):
    before = table.read(folder)
    assert sorted(keys(before), key=str) == sorted(keys(table.to_frame(rows)), key=str)
    assert before["run"].astype(str).is_monotonic_increasing
    assert (before.groupby("run")["step"].diff().dropna() >= 0).all()
    path = table.compact(folder)
    pd.testing.assert_frame_equal(table.read(folder), before)
    pd.testing.assert_frame_equal(table.read(path), before)
    assert {key: table.metadata(folder)[key] for key in ("schema", "code")} == {"schema": "1", "code": "c0ffee"}
    assert "run" not in table.metadata(folder)  # the run files disagree on it


def test_rows_of_a_run_are_ordered_by_step_and_keep_their_order_within_it(tmp_path):
    rows = [row(step=step, quantity=quantity) for step in (9, 0) for quantity in ("z", "a")]
    table.write(rows, tmp_path / "runs" / "a.parquet")
    for frame in (table.read(tmp_path), table.read(table.compact(tmp_path))):
        assert list(zip(frame["step"], frame["quantity"], strict=True)) == [(0, "z"), (0, "a"), (9, "z"), (9, "a")]


def test_a_table_in_many_groups_of_rows_is_read_and_renewed_like_one_in_one(folder, rows, monkeypatch):
    whole = table.read(table.compact(folder))
    (folder / "table.parquet").unlink()
    monkeypatch.setattr("interface.table.store.GROUP", 10)
    path = table.compact(folder)
    groups = pq.ParquetFile(path).metadata
    assert groups.num_row_groups == len(set(whole["run"])) > 1  # a run is never cut
    pd.testing.assert_frame_equal(table.read(path), whole)
    first, last = whole["run"].iloc[0], whole["run"].iloc[-1]
    table.write([row(run=first)], folder / "runs" / f"{first}.parquet")
    (folder / "runs" / f"{last}.parquet").unlink()  # the table alone holds it
    for frame in (table.read(folder), table.read(table.compact(folder))):
        assert frame["run"].tolist() == [first, *whole["run"][whole["run"] != first]]
        assert frame["value"].tolist() == [0.5, *whole["value"][whole["run"] != first]]


@pytest.mark.parametrize("name", ["table.parquet", "runs/all.parquet"])
def test_a_file_in_any_order_is_read_in_order(tmp_path, name):
    rows = [row(run=run, step=step, target=target) for target in "vu" for step in (9, 0) for run in "ba"]
    table.write(rows, tmp_path / name)
    for frame in (table.read(tmp_path), table.read(table.compact(tmp_path))):
        found = list(zip(frame["run"], frame["step"], frame["target"], strict=True))
        assert found == [(run, step, target) for run in "ab" for step in (0, 9) for target in "vu"]


@pytest.mark.parametrize("column", ["run", "step"])
def test_a_run_file_without_what_orders_it_is_named(tmp_path, column):
    path = table.write([row()], tmp_path / "runs" / "a.parquet")
    pq.write_table(pq.read_table(path).drop([column]), path)
    with pytest.raises(ValueError, match=rf"a\.parquet lacks the column\(s\) {column}"):
        table.read(tmp_path)


def test_compaction_is_idempotent(folder):
    first = table.compact(folder).read_bytes()
    assert table.compact(folder).read_bytes() == first


def test_a_recomputed_run_replaces_its_old_rows(folder, rows):
    table.compact(folder)
    run = rows[0].run
    fresh = [replace(r, value=99.0) for r in rows if r.run == run][:4]
    table.write(fresh, folder / "runs" / f"{run}.parquet")
    for frame in (table.read(folder), table.read(table.compact(folder))):
        mine = frame[frame["run"] == run]
        assert mine["value"].tolist() == [99.0] * 4
        assert len(frame) == 4 + sum(r.run != run for r in rows)


def test_new_runs_join_a_compacted_table_that_came_alone(folder, rows):
    table.compact(folder)
    for path in (folder / "runs").iterdir():
        path.unlink()
    assert len(table.read(folder)) == len(rows)
    table.write([row(run="zz")], folder / "runs" / "zz.parquet")
    assert len(table.read(folder)) == len(rows) + 1
    assert len(table.read(table.compact(folder))) == len(rows) + 1


def test_one_run_in_two_files_is_refused(folder, rows):
    table.write([r for r in rows if r.run == rows[0].run], folder / "runs" / "copy.parquet")
    with pytest.raises(ValueError, match="twice"):
        table.compact(folder)
    assert not (folder / "table.parquet").exists()


# merge ------------------------------------------------------------------------------------------------------------------


def merged(tmp_path, *parts, **options):
    return table.merge(*(table.write(part, tmp_path / f"{index}.parquet") for index, part in enumerate(parts)), **options)


def test_merge_counts_equal_rows_once(tmp_path, rows):
    frame = merged(tmp_path, rows, rows[:50], [row(run="other")])
    pd.testing.assert_frame_equal(frame, merged(tmp_path, [*rows, row(run="other")]))


@pytest.mark.parametrize("change", [{"value": 0.6}, {"stderr": 0.1}, {"unit": "squared"}, {"status": "crossed"}])
def test_merge_refuses_two_results_for_one_measurement(tmp_path, change):
    with pytest.raises(ValueError, match=r"two results .*run=a.*quantity=l_adapt"):
        merged(tmp_path, [row()], [row(**change)])


def test_merge_lets_wall_clock_times_differ(tmp_path):
    times = [row(quantity="wall_s", value=value) for value in (1.0, 2.0)]
    assert merged(tmp_path, times[:1], times[1:])["value"].tolist() == [1.0]


def test_merge_refuses_to_mix_code_unless_told(tmp_path):
    old, new = [row(code="old", value=1.0), row(code="old", value=3.0, step=1)], [row(code="new", value=2.0)]
    with pytest.raises(ValueError, match="keep_older"):
        merged(tmp_path, old, new)
    assert sorted(merged(tmp_path, old, new, keep_older=True)["value"]) == [2.0, 3.0]


# additions and damage ---------------------------------------------------------------------------------------------------


def test_what_is_added_to_a_run_is_read_with_it_before_and_after_compaction(folder, rows):
    run, others = rows[0].run, len(rows) - sum(r.run == rows[0].run for r in rows)
    table.compact(folder)
    table.write([row(run=run, target="new")], folder / "runs" / f"{run}+cell.parquet")
    for _ in "before and after":
        frame = table.read(folder)
        assert len(frame) == len(rows) + 1 and (frame["target"] == "new").sum() == 1
        table.compact(folder)
    (folder / "runs" / f"{run}+cell.parquet").unlink()
    table.write([row(run=run, value=99.0)], folder / "runs" / f"{run}.parquet")  # the run is computed again
    table.compact(folder)
    assert len(table.read(folder)) == others + 1
    table.write([row(run=run, target="new")], folder / "runs" / f"{run}+cell.parquet")  # the same content as before
    for _ in "before and after":
        assert len(table.read(folder)) == others + 2
        table.compact(folder)


def test_a_table_that_cannot_be_read_is_made_anew_with_a_warning(folder, caplog):
    whole = table.compact(folder).read_bytes()
    (folder / "table.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"table\.parquet is not a readable"):
        table.read(folder)
    assert table.compact(folder).read_bytes() == whole
    assert "made anew" in caplog.text


def test_a_flipped_bit_in_a_page_is_found(tmp_path):
    rows = [row(step=step, value=step / 7) for step in range(500)]
    path = table.write(rows, tmp_path / "a.parquet")
    whole, values = path.read_bytes(), table.read(path)["value"].tolist()
    for place in range(100, len(whole) - 100, 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        assert not table.readable(path) or table.read(path)["value"].tolist() == values
