import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

from interface.analysis import analyze
from interface.report import analysis_figure, analysis_page, write_analysis_page

matplotlib.use("Agg")
NAMES = {"pre": "val $loss$", "adapt": "err", "run": "model", "adapt_is": "error"}


def table(runs=8, steps=4, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(runs):
        for t in range(steps):
            loss = 1 + 2 * np.exp(-rng.uniform(0.8, 1.2) * t)
            rows.append((f"m{k}", f"f{k % 3}", t, loss, 0.2 + 0.1 * loss + 0.01 * rng.normal()))
    return pd.DataFrame(rows, columns=["model", "family", "step", "val $loss$", "err"])


def lines_of(axes):
    return [line for line in axes.lines if len(line.get_xdata()) == 2]


@pytest.mark.parametrize("steps", [4, 1])
def test_the_figure_shows_the_rows_and_the_line_that_was_fitted(steps):
    frame = table(runs=12, steps=steps)
    frame["val $loss$"] += 0.01 * np.arange(len(frame))
    result = analyze(frame, **NAMES, family="family")
    left, right = analysis_figure(result).axes
    marks = np.asarray(left.collections[-2 if np.isfinite(result.intercept.low) else -1].get_offsets())
    assert sorted(marks[:, 0]) == pytest.approx(sorted(frame["val $loss$"]))
    (line,) = lines_of(left)
    (x0, x1), (y0, y1) = line.get_data()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(result.slope.estimate)
    assert (x0, y0) == pytest.approx((result.intercept_at, result.intercept.estimate))
    assert right.get_yticklabels()[0].get_text() == "slope"
    assert r"val \$loss\$" in left.get_xlabel()


def test_a_long_table_is_thinned_and_says_so():
    result = analyze(table(runs=300, steps=30), **NAMES, step="step")
    left, _ = analysis_figure(result).axes
    assert left.get_title() == "3000 of 9000 rows drawn"  # every third run, whole
    x = np.asarray(left.collections[1].get_offsets())[:, 0]
    assert sorted(x[:30]) == pytest.approx(sorted(result.table.x[result.table.run == 0]))


def test_the_page_is_self_contained_and_says_what_the_printout_says(tmp_path):
    frame = table().assign(model=lambda t: "<script>" + t["model"])
    result = analyze(frame, **NAMES, step="step")
    path = write_analysis_page(tmp_path / "new" / "page.html", result, title="<b>& mine")
    text = path.read_text(encoding="utf-8")
    assert text == analysis_page(result, title="<b>& mine")
    assert "<script" not in text and "&lt;b&gt;&amp; mine" in text and text.count("<svg") == 1
    assert set(re.findall(r"https?://[^\"' <]*", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    for part in (result.verdict.word, result.claim_1, "untestable", *(f"N{note.code:02d}" for note in result.notes)):
        assert part in text
    for number in (result.slope, result.intercept, result.spread):
        assert f"{number.estimate:.4g}" in text


def test_numbers_that_are_not_there_have_their_reason_on_the_page():
    frame = pd.concat([table(runs=3), table(runs=3).assign(model=lambda t: "h" + t["model"])])
    frame["val $loss$"] += 9.0 * frame["model"].str.startswith("h")
    text = analysis_page(analyze(frame, **NAMES, step="step"), title="t")
    assert "no common loss" in text and ">nan<" not in text


def test_names_that_the_font_lacks_are_boxes_in_the_figure_and_themselves_in_the_text(recwarn):
    frame = table().rename(columns={"val $loss$": "模型\\frac$"})
    result = analyze(frame, **(NAMES | {"pre": "模型\\frac$"}), step="step")
    text = analysis_page(result, title="模型")
    left, _ = analysis_figure(result).axes
    assert left.get_xlabel() == "\u25a1\u25a1\\frac\\$" and "per unit of 模型" in text
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
