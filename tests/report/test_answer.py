import pandas as pd
import pytest

from interface.report import answer, write_answer


def verdicts(estimate=0.5):
    row = {
        "name": "a",
        "role": "confirmation",
        "population": "GaussianFactor",
        "target": "",
        "n_clusters": 12,
        "outcome": "supported",
    }
    shift = {**row, "number": 2, "population": "Glyphs", "target": "inversion", "estimate": 0.25, "interval": (0.2, 0.3)}
    return pd.DataFrame([{**row, "number": 1, "estimate": estimate, "interval": (0.4, 0.6)}, shift])


def test_every_tested_claim_is_one_sentence_with_its_numbers():
    text = answer(verdicts())
    assert "0.50 [0.40, 0.60] in GaussianFactor (12 instances: supported)" in text
    assert "0.25 [0.20, 0.30] in Glyphs, inversion" in text and "the slope falls" not in text
    assert answer(verdicts(0.7)) != text


def test_a_table_without_a_test_says_so():
    assert answer(verdicts().assign(estimate=float("nan"))) == "No claim could be tested on this table."


def test_the_answer_is_put_between_its_marks_and_nowhere_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- answer -->\nold\n<!-- /answer -->\nafter\n")
    write_answer("new", path)
    assert path.read_text() == "before\n<!-- answer -->\nnew\n<!-- /answer -->\nafter\n"
    path.write_text("nothing here")
    with pytest.raises(ValueError, match="answer"):
        write_answer("new", path)
