"""Claims fixed before the table is seen, one a file, each with its test and with tables in which it is true and false."""

from interface.analysis import summarize
from interface.hypotheses._base import CellEffect, Claim, ClaimResult, Hypothesis
from interface.hypotheses.concept_shift_raises_the_intercept import HYPOTHESIS as concept_shift_raises_the_intercept
from interface.hypotheses.judge import ALL, Verdict, judge
from interface.hypotheses.lower_loss_gives_better_transfer import HYPOTHESIS as lower_loss_gives_better_transfer
from interface.hypotheses.the_link_needs_overlap import HYPOTHESIS as the_link_needs_overlap

__all__ = [
    "ALL",
    "CellEffect",
    "Claim",
    "ClaimResult",
    "Hypothesis",
    "Verdict",
    "concept_shift_raises_the_intercept",
    "judge",
    "lower_loss_gives_better_transfer",
    "summarize",
    "the_link_needs_overlap",
]
