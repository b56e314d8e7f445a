"""DataFrames to figures, macros of the manuscript and one HTML page; no number is computed here that the table does not hold."""

from interface.report._style import save
from interface.report.adapt_against_pre import adapt_against_pre, band_of
from interface.report.analysis_page import analysis_figure, analysis_page, write_analysis_page
from interface.report.answer import answer, write_answer
from interface.report.numbers import numbers, write_numbers
from interface.report.over_instances import over_instances
from interface.report.page import page, write_page
from interface.report.trajectories import trajectories
from interface.report.verdicts import numbers_by_cell, verdicts
from interface.table import last_checkpoints

__all__ = [
    "adapt_against_pre",
    "analysis_figure",
    "analysis_page",
    "answer",
    "band_of",
    "last_checkpoints",
    "numbers",
    "numbers_by_cell",
    "over_instances",
    "page",
    "save",
    "trajectories",
    "verdicts",
    "write_analysis_page",
    "write_answer",
    "write_numbers",
    "write_page",
]
