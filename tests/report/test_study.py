import pandas as pd

from interface import table
from interface.report.study import report


def test_a_sweep_s_folder_gets_everything_and_the_text_says_where(tmp_path, synthetic_rows):
    text = report(table.to_frame(synthetic_rows), tmp_path, name="tiny")
    for file in ("verdicts.csv", "summary.csv", "numbers.tex", "report.html"):
        assert (tmp_path / file).stat().st_size > 0
        assert str(tmp_path / file) in text
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"adapt_against_pre_Glyphs.pdf", "trajectories_Glyphs.png", "numbers_Glyphs.pdf", "verdicts.pdf"} <= names
    verdicts = pd.read_csv(tmp_path / "verdicts.csv")
    assert sorted(verdicts[verdicts["role"] == "confirmation"]["number"]) == list(range(1, 9))
    page = (tmp_path / "report.html").read_text()
    assert "Sweep tiny" in page
    assert "N01 warning: 2 clusters (instances of Glyphs)" in page
    assert page.count("<svg") == 4


def test_rows_of_two_codes_are_noted(tmp_path, synthetic_rows):
    frame = table.to_frame(synthetic_rows)
    older = frame["run"] == frame["run"].iloc[0]
    report(frame.assign(code=frame["code"].astype(str).mask(older, "0lder")), tmp_path, name="mixed")
    assert "2 versions of the measuring code (0lder, c0ffee)" in (tmp_path / "report.html").read_text()
