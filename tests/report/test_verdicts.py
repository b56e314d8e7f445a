from dataclasses import dataclass

import numpy as np
import pytest

from interface.report import numbers_by_cell, verdicts
from interface.report._base import with_interval
from interface.report.verdicts import wrap


@dataclass(frozen=True)
class Record:
    """A verdict with the fields that a judge gives it."""

    number: int = 1
    name: str = "lower_loss_gives_better_transfer"
    population: str = "GaussianFactor"
    target: str = ""
    role: str = "confirmation"
    outcome: str = "supported"
    estimate: float = 1.0
    interval: tuple[float, float] = (0.8, 1.3)
    n_clusters: int = 12
    p_holm: float = 0.01
    minimal_detectable_effect: float = 0.2
    null: bool = False
    needs: str | None = None
    detail: str = "6 cells"
    hash: str = "f0"


def test_the_line_is_the_interval_and_the_mark_the_estimate():
    panel = verdicts([Record(), Record(number=2, estimate=0.4, interval=(0.1, 0.7))]).axes[0]
    drawn = [line for line in panel.lines if line.get_linestyle() == "-" and line.get_xdata()[0] != line.get_xdata()[-1]]
    assert [tuple(line.get_xdata()) for line in drawn] == [(0.8, 1.3), (0.1, 0.7)]
    assert drawn[0].get_ydata()[0] > drawn[1].get_ydata()[0]  # the first claim is on top
    assert [float(line.get_xdata()[0]) for line in panel.lines if line.get_marker() == "o"] == [1.0, 0.4]


def test_names_outcomes_and_instances_are_written_beside_it():
    nothing = (float("nan"), float("nan"))
    records = [
        Record(null=True),
        Record(number=2, outcome="undecided"),
        Record(
            number=6, outcome="untestable", needs="needs fine_tuning rows", estimate=float("nan"), interval=nothing, n_clusters=0
        ),
        Record(number=2, role="replication", population="Glyphs", target="inversion", n_clusters=6, outcome="refuted"),
    ]
    panel = verdicts(records).axes[0]
    assert panel.get_yticklabels()[0].get_text() == "1  lower loss gives better transfer"
    assert [text.get_text() for text in panel.texts] == [
        "GaussianFactor (G = 12)\nsupported, null",
        "GaussianFactor (G = 12)\nundecided (detectable: 0.20)",
        "GaussianFactor\nuntestable: needs fine_tuning rows",
        "Glyphs, inversion (G = 6)\nrefuted",
    ]


def test_records_and_frames_give_the_same_figure(verdicts):
    from interface.report import verdicts as draw

    labels = [text.get_text() for text in draw(verdicts).axes[0].texts]
    assert labels == [text.get_text() for text in draw(verdicts.to_dict("records")).axes[0].texts]
    with pytest.raises(ValueError, match="no row"):
        draw([])
    with pytest.raises(ValueError, match="int"):
        draw([3])


def test_numbers_by_cell_draws_every_number_of_every_cell(summary):
    figure = numbers_by_cell(summary, source="Glyphs", numbers=("data_slope", "intercept"))
    here = summary[summary["source"] == "Glyphs"]
    for panel, number in zip(figure.axes, ("data_slope", "intercept"), strict=True):
        marks = [line.get_xdata()[0] for line in panel.lines if line.get_marker() not in ("None", "", None)]
        wanted = here[number].dropna()
        np.testing.assert_allclose(np.sort(marks), np.sort(wanted))
    words = [text.get_text() for text in figure.axes[-1].texts]
    assert len(words) == len(here)
    assert words.count("no range") == 4


def test_a_cell_without_a_number_keeps_its_row(summary):
    figure = numbers_by_cell(summary.assign(words=None), source="Glyphs")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()].count("random label") == 4
    with pytest.raises(ValueError, match="no row left"):
        numbers_by_cell(summary, source="Pool")
    with pytest.raises(ValueError, match="contrast"):
        numbers_by_cell(summary.drop(columns="contrast"), source="Glyphs")


def test_the_summary_s_own_column_of_words_is_understood(summary):
    renamed = summary.rename(columns={"words": "verdict"})
    figure = numbers_by_cell(renamed, source="Glyphs")
    assert any(text.get_text() == "inverse" for text in figure.axes[-1].texts)


def test_long_text_is_broken_or_cut_but_never_lost_silently():
    assert wrap("one two three", 7) == "one two\nthree"
    assert wrap("aaaa bbbb cccc dddd", 4) == "aaaa\nbbbb …"
    assert wrap("aaaa bbbb cccc dddd", 4, lines=4) == "aaaa\nbbbb\ncccc\ndddd"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.5, 0.3, 0.7), "0.50 ± 0.20"),
        ((0.5, 0.1, 0.6), "0.50 [0.10, 0.60]"),
        ((-0.001, -0.2, 0.198), "0.00 ± 0.20"),
        ((0.5, float("nan"), 0.7), "0.50"),
        ((float("nan"), 0.1, 0.2), "n/a"),
    ],
)
def test_an_interval_is_a_half_width_only_where_it_is_symmetric(values, text):
    assert with_interval(*values) == text
