"""Claims fixed before the table is seen, one a file, each with its test and with tables in which it is true and false."""

from interface.analysis import summarize
from interface.hypotheses._base import CellEffect, Claim, ClaimResult, Hypothesis
from interface.hypotheses._check import Check, Checked, Oracle
from interface.hypotheses._explored import Exploration, Explored, Question
from interface.hypotheses.concept_shift_raises_the_intercept import HYPOTHESIS as concept_shift_raises_the_intercept
from interface.hypotheses.equal_loss_different_transfer import HYPOTHESIS as equal_loss_different_transfer
from interface.hypotheses.explore import EXPLORATIONS, explore
from interface.hypotheses.judge import ALL, Verdict, judge
from interface.hypotheses.lower_loss_gives_better_transfer import HYPOTHESIS as lower_loss_gives_better_transfer
from interface.hypotheses.oracles import ORACLES, check_oracles
from interface.hypotheses.probing_first_keeps_fine_tuning_right import HYPOTHESIS as probing_first_keeps_fine_tuning_right
from interface.hypotheses.stopping_at_the_best_loss_is_not_best import HYPOTHESIS as stopping_at_the_best_loss_is_not_best
from interface.hypotheses.the_earlier_split_transfers_better import HYPOTHESIS as the_earlier_split_transfers_better
from interface.hypotheses.the_link_needs_overlap import HYPOTHESIS as the_link_needs_overlap
from interface.hypotheses.the_probe_wins_with_few_labels import HYPOTHESIS as the_probe_wins_with_few_labels

__all__ = [
    "ALL",
    "EXPLORATIONS",
    "ORACLES",
    "CellEffect",
    "Check",
    "Checked",
    "Claim",
    "ClaimResult",
    "Exploration",
    "Explored",
    "Hypothesis",
    "Oracle",
    "Question",
    "Verdict",
    "check_oracles",
    "concept_shift_raises_the_intercept",
    "equal_loss_different_transfer",
    "explore",
    "judge",
    "lower_loss_gives_better_transfer",
    "probing_first_keeps_fine_tuning_right",
    "stopping_at_the_best_loss_is_not_best",
    "summarize",
    "the_earlier_split_transfers_better",
    "the_link_needs_overlap",
    "the_probe_wins_with_few_labels",
]
