import numpy as np
import pandas as pd
import pytest

from interface.analysis import read_user_file

ROLES = {"names": ["run"], "numbers": ["loss"]}
TRICKY = ["12e4567", "007", "1e5", "NA", "nan", "None", "TRUE", "模型", "'; DROP TABLE runs; --", "a,b", 'quo"te', "two\nlines"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".CSV"])
def test_names_stay_what_they_are(tmp_path, suffix):
    table = pd.DataFrame({"run": TRICKY, "loss": np.linspace(0.1, 1, len(TRICKY)), "unused": "x"})
    path = tmp_path / f"table{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",", encoding="utf-8-sig")
    read = read_user_file(path, **ROLES)
    assert read["run"].tolist() == TRICKY and list(read.columns) == ["run", "loss"]
    np.testing.assert_array_equal(read["loss"], table["loss"])


def test_what_is_missing_or_no_number_is_left_for_the_analysis_to_name(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("run,loss\n,1\nb,\nc,high\nd,NA\n")
    read = read_user_file(path, **ROLES)
    assert read["run"].isna().tolist() == [True, False, False, False]
    assert read["loss"].isna().tolist() == [False, True, False, True] and read["loss"].iloc[2] == "high"


BAD = {
    "no file": (None, "allowed: an existing .csv, .tsv or .parquet file"),
    "nothing in it": (b"", "is empty"),
    "semicolons": (b"run;loss\na;1\n", "separated by semicolons"),
    "no such column": (b"run,los\na,1\n", r"column 'loss' is not in .*t\.csv; it has run, los"),
    "a column twice": (b"run,loss,loss\na,1,2\n", "column 'loss' occurs 2 times"),
    "another encoding": ("run,loss\nnaïve,1\n".encode("latin-1"), "not text in UTF-8"),
    "ragged": (b"run,loss\na,1\nb,2,3,4\n", "no regular table"),
    "zeros": (b"\x00\x00\x00\x00", "is not in|no regular table|is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_in_one_line(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_user_file(path, **ROLES)
    assert "\n" not in str(caught.value)


def test_no_parquet_is_said_to_be_none(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"run,loss\na,1\n")
    with pytest.raises(ValueError, match="is no Parquet file") as caught:
        read_user_file(path, **ROLES)
    assert "\n" not in str(caught.value)
    pd.DataFrame({"run": ["a"]}).to_parquet(path)
    with pytest.raises(ValueError, match="column 'loss' is not in"):
        read_user_file(path, **ROLES)


def test_names_that_all_look_like_numbers_are_no_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("run,loss\n007,1\n7,2\n12e4567,3\n1e5,4\n100000,5\n")
    assert read_user_file(path, **ROLES)["run"].tolist() == ["007", "7", "12e4567", "1e5", "100000"]
