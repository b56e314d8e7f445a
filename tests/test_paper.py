"""The manuscript and its numbers: every macro used is generated, every macro generated is used, results hold no literal number."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from interface import table
from interface.report import numbers, write_numbers

ROOT = Path(__file__).parents[1]
TEXT = re.sub(r"(?<!\\)%.*", "", (ROOT / "paper" / "main.tex").read_text())
BIBLIOGRAPHY = (ROOT / "paper" / "references.bib").read_text()
synthetic = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "synthetic.py")))


def used(text):
    return set(re.findall(r"\\(Num[A-Za-z]+)", text))


def defined(text):
    return dict(re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", text, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def rows():
    gaussian = synthetic.rows(source="GaussianFactor", instances=1, pretexts=("Autoencoding",), steps=(0, 36))
    return gaussian + synthetic.rows(instances=1, pretexts=("Autoencoding",), steps=(0, 36))


def generated(rows, path):
    values = numbers(table.wide(rows), verdicts=synthetic.verdicts(), summary=synthetic.summary())
    return defined(write_numbers(values, path).read_text())


def test_macros_used_and_macros_generated_are_the_same(rows, tmp_path):
    assert used(TEXT) == set(generated(rows, tmp_path / "numbers.tex"))


def test_a_changed_table_changes_the_macros(rows, tmp_path):
    fewer = [row for row in rows if row.source == "GaussianFactor"]
    before, after = generated(rows, tmp_path / "a.tex"), generated(fewer, tmp_path / "b.tex")
    assert (before["NumRuns"], after["NumRuns"]) == ("12", "6")
    assert before["NumGlyphsInstances"] == "1"
    assert after["NumGlyphsInstances"] == "n/a"


def test_the_results_hold_no_number_of_their_own():
    results = TEXT[TEXT.index(r"\section{Results}") : TEXT.index(r"\section{Related work}")]
    results = re.sub(r"\\(label|[cC]ref|drawn|cite[a-z]*|citet|citep)\{[^}]*\}", "", results)
    results = re.sub(r"\\begin\{tabular\}\{.*\}\n", "", results)  # column widths
    assert re.findall(r".*\d.*", results) == []
    assert len(used(results)) > 30


def test_every_reference_is_cited_and_every_citation_listed():
    cited = {key.strip() for keys in re.findall(r"\\cite[a-z]*\*?(?:\[[^\]]*\])*\{([^}]*)\}", TEXT) for key in keys.split(",")}
    assert cited == set(re.findall(r"^@\w+\{(\w+),", BIBLIOGRAPHY, flags=re.MULTILINE))
    for entry in re.split(r"\n(?=@)", BIBLIOGRAPHY.strip()):
        assert {"author", "title", "year"} <= set(re.findall(r"^\s*(\w+)\s*=", entry, flags=re.MULTILINE)), entry


def test_labels_are_unique_and_every_reference_has_one():
    labels = re.findall(r"\\label\{([^}]*)\}", TEXT)
    wanted = {key for keys in re.findall(r"\\[cC]ref\{([^}]*)\}", TEXT) for key in keys.split(",")}
    assert len(labels) == len(set(labels))
    assert wanted <= set(labels)


def test_environments_and_braces_are_closed():
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", TEXT):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    plain = re.sub(r"\\[{}]", "", TEXT)
    assert plain.count("{") == plain.count("}")


def test_every_figure_is_one_that_the_folder_draws():
    names = set()
    for path in (ROOT / "figures").glob("*.py"):
        names |= set(runpy.run_path(str(path)).get("VARIANTS", {}))
    shown = set(re.findall(r"\\drawn\{(\w+)\}", TEXT))
    assert shown == names


def test_rows_of_tables_have_as_many_cells_as_their_heads(rows, tmp_path):
    values = generated(rows, tmp_path / "numbers.tex")
    for macro in ("NumGaussianRows", "NumGlyphsRows", "NumReplicationRows"):
        head = re.search(r"\\toprule\n(.*)\\\\\n\s*\\midrule\n\s*\\" + macro + r"\n", TEXT)
        assert head is not None, macro
        rows_of_table = values[macro].split(r"\\")[:-1]
        assert {row.count(" & ") for row in rows_of_table} == {head[1].count("&")}
