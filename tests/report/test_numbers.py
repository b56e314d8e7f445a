import re

import pandas as pd
import pytest

from interface.report import numbers, write_numbers
from interface.report.numbers import escape


@pytest.fixture
def both(glyphs, gaussian):
    return pd.concat([glyphs, gaussian], ignore_index=True)


def test_names_are_letters_and_do_not_depend_on_the_data(both, glyphs, verdicts, summary):
    full = numbers(both, verdicts=verdicts, summary=summary)
    bare = numbers(glyphs)
    assert set(full) == set(bare)
    assert all(re.fullmatch("Num[A-Za-z]+", name) for name in full)
    assert bare["NumClaimOneOutcome"] == bare["NumGlyphsAutoencodingDataSlope"] == bare["NumGaussianInstances"] == "n/a"
    assert "n/a" not in {value for name, value in full.items() if "Claim" not in name}


def test_counts_come_from_the_table(both):
    values = numbers(both)
    assert values["NumRuns"] == str(both["run"].nunique()) == "72"
    assert values["NumCheckpoints"] == "216"
    assert values["NumTransfers"] == f"{len(both) // 1000}\\,{len(both) % 1000:03d}"
    assert (values["NumGlyphsInstances"], values["NumGlyphsSteps"], values["NumCode"]) == ("2", "3", "c0ffee")
    assert values["NumGlyphsLearningRates"] == r"$3\cdot 10^{-4}$, $3\cdot 10^{-3}$"
    assert values["NumGlyphsUnlabelled"] == r"30, 200, 8\,000"


def test_a_changed_value_changes_its_macro_and_no_other(both, verdicts, summary):
    before = numbers(both, verdicts=verdicts, summary=summary)

    def changed(**parts):
        after = numbers(**({"table": both, "verdicts": verdicts, "summary": summary} | parts))
        return {name for name in before if before[name] != after[name]}

    wider = both.assign(l_adapt_high=both["l_adapt_high"] + (both["source"] == "Glyphs") * 0.1)
    assert changed(table=wider) == {"NumGlyphsBracketWidth"}
    assert changed(table=both.assign(l_adapt_status="not_converged")) == {"NumGlyphsUnsolved"}
    crossed = both.assign(l_adapt_low=both["l_adapt_high"] + 0.001)
    assert changed(table=crossed) == {"NumGlyphsBracketWidth", "NumGlyphsCrossed"}

    cell = (summary["source"] == "Glyphs") & (summary["pretext"] == "InfoNCE") & (summary["shift"] == "none")
    moved = summary.assign(contrast=summary["contrast"].mask(cell, 0.07))
    assert changed(summary=moved) == {"NumGlyphsContrastiveContrast", "NumGlyphsRows"}
    second = (verdicts["number"] == 2) & (verdicts["role"] == "confirmatory")
    moved = verdicts.assign(outcome=verdicts["outcome"].mask(second, "refuted"))
    assert changed(verdicts=moved) == {"NumClaimTwoOutcome"}
    third = (verdicts["number"] == 1) & (verdicts["role"] == "replication")
    assert changed(verdicts=verdicts.assign(estimate=verdicts["estimate"].mask(third, 0.9))) == {"NumReplicationRows"}


def test_values_are_formatted_for_tex(both, verdicts, summary):
    values = numbers(both, verdicts=verdicts, summary=summary)
    assert values["NumClaimOneEstimate"] == r"1.00 $\pm$ 0.20"
    assert values["NumClaimFiveEstimate"].startswith("$-$0.20")
    assert values["NumClaimFourOutcome"] == "undecided (detectable: 0.20)"
    assert values["NumClaimSixOutcome"] == r"untestable: needs fine\_tuning rows"
    rows = values["NumGlyphsRows"].split(r" \\")
    assert len(rows) == 25
    assert all(row.count("&") == 7 for row in rows[:-1])
    assert rows[-1] == ""


def test_tex_s_own_characters_are_escaped():
    assert escape("50% of a_b & {c} #1 $x ~ ^ \\") == (
        r"50\% of a\_b \& \{c\} \#1 \$x \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )


def test_the_file_defines_each_macro_once(tmp_path, both):
    values = numbers(both)
    text = write_numbers(values, tmp_path / "paper" / "numbers.tex").read_text()
    found = dict(re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", text, flags=re.MULTILINE))
    assert found == values
    with pytest.raises(ValueError, match="Claim1"):
        write_numbers({"Claim1": "x"}, tmp_path / "numbers.tex")


def test_an_empty_table_is_refused(glyphs):
    with pytest.raises(ValueError, match="no row"):
        numbers(glyphs.iloc[:0])
    with pytest.raises(ValueError, match="instance"):
        numbers(glyphs.drop(columns="instance"))
