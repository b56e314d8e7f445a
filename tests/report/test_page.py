import re
from html.parser import HTMLParser

import pytest

from interface.report import adapt_against_pre, page, verdicts, write_page

VOID = {"meta", "br", "img", "link", "hr", "input"}


class Checker(HTMLParser):
    """Collects ids and addresses, and checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.note(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.note(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def note(self, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href", "srcset", "action", "data")]


@pytest.fixture(scope="module")
def figures(glyphs):
    one = glyphs[glyphs["instance"] == "Glyphs-0"]
    return {"first & <best>": adapt_against_pre(one), "second": adapt_against_pre(one, paths=True)}


def parsed(text):
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


def test_nothing_is_fetched_and_no_id_occurs_twice(figures, verdicts, summary):
    text = page(title="t", figures=figures, verdicts=verdicts, summary=summary, notes=["a"], places={"table": "out/table.parquet"})
    found = parsed(text)
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert found.addresses
    assert len(set(found.ids)) == len(found.ids) > 0
    assert {address[1:] for address in found.addresses if address.startswith("#")} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(found.ids)
    assert "@import" not in text
    assert "<script" not in text
    assert "<!DOCTYPE svg" not in text
    assert set(re.findall(r"https?://[^\"' <]*", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }  # names, not requests


def test_every_text_is_escaped(figures):
    hostile = "<script>alert('x')</script>&"
    frame = [
        {
            "number": 1,
            "name": hostile,
            "role": "confirmation",
            "source": hostile,
            "outcome": "untestable",
            "detail": hostile,
            "hash": "f",
        }
    ]
    text = page(
        title=hostile, figures={hostile: next(iter(figures.values()))}, verdicts=frame, notes=[hostile], places={hostile: hostile}
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 7
    assert hostile in "".join(parsed(text).text)


def test_the_page_says_what_the_records_say(verdicts, summary):
    text = " ".join(parsed(page(title="Sweep", verdicts=verdicts, summary=summary)).text)
    assert "1.00 ± 0.20" in text
    assert "undecided (detectable: 0.20)" in text
    assert "untestable: needs fine_tuning rows" in text
    assert text.count("no range") == 4
    assert "f0123456789a" in text


def test_empty_parts_are_left_out(tmp_path, verdicts):
    path = write_page(tmp_path / "out" / "report.html", title="Sweep", verdicts=verdicts)
    text = path.read_text()
    assert "<h2>Verdicts</h2>" in text
    assert not any(word in text for word in ("<h2>Figures", "<h2>Notes", "<h2>Where"))


def test_a_page_is_the_same_twice(glyphs):
    draw = lambda: {"a": adapt_against_pre(glyphs), "b": verdicts([{"number": 1, "name": "c", "outcome": "supported"}])}  # noqa: E731
    assert page(title="t", figures=draw()) == page(title="t", figures=draw())
