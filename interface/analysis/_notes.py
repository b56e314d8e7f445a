"""Numbered notes: what a careful reader of a study would doubt, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning"]

CATALOGUE: dict[int, tuple[str, Severity, str]] = {
    1: ("few_clusters", "warning", "{n} clusters ({kind}): below {needed}, t intervals are wide and rest on normality"),
    2: (
        "time_confounding",
        "warning",
        "along a run time explains everything: another run's pretraining loss at the same step would give the same slope; "
        "it says that both losses fall, not that one follows the other",
    ),
    3: (
        "shared_draws_unknown",
        "info",
        "it is not known whether both losses were measured on the same draws; shared noise bends the slope towards its own sign",
    ),
    4: (
        "duplicated_checkpoints",
        "warning",
        "{n} row(s) repeat the two losses of another row ({where}); are checkpoints counted twice?",
    ),
    5: (
        "ceiling",
        "warning",
        "{n} of {of} rows lie within the smallest effect of interest of {start}; the slope averages a flat part",
    ),
    6: ("accuracy_turned_into_error", "info", "accuracy was turned into error = 1 - accuracy; a positive slope is the good one"),
    7: ("row_order_taken_as_time", "info", "no step column was given; the order of the rows of a run is taken as time"),
    8: (
        "no_common_loss",
        "warning",
        "no pretraining loss is passed by all runs of {where}; intercept, slope between losses and spread are not identified",
    ),
    9: ("noise_not_subtracted", "info", "the table has no standard errors; the spread contains measurement noise: an upper side"),
    10: ("no_floor_known", "info", "no floor is subtracted; the intercept contains what no encoder could remove"),
    11: ("single_row_runs_left_out", "warning", "{n} run(s) have one row and say nothing about a trajectory; left out"),
    12: (
        "clusters_do_not_vary",
        "warning",
        "the pretraining loss does not vary inside {n} cluster(s) ({names}); they have no slope",
    ),
    13: ("one_data_set", "info", "the cluster is the run: the conclusion is conditional on this data set"),
    14: ("no_family", "warning", "no family was given: slopes within and between families cannot be told apart (Simpson)"),
    15: ("one_model_a_family", "warning", "no family has two models that differ; the slope shown is between families"),
    16: ("linear_link", "info", "the link is fitted as a line; no asymptote is looked for"),
    17: ("pooled_sizes", "info", "no size column was given; runs of different size may be pooled"),
}


@dataclass(frozen=True)
class Note:
    """One doubt about a study.

    Args:
        code: its number in the catalogue.
        name: its short name.
        severity: "info", or "warning" where the numbers may mislead.
        message: one sentence.
        details: what the sentence counts.
    """

    code: int
    name: str
    severity: Severity
    message: str
    details: tuple[tuple[str, str | int | float], ...] = ()

    def __str__(self) -> str:
        return f"N{self.code:02d} {self.severity}: {self.message}"


def note(code: int, **details: str | int | float) -> Note:
    """The note of this number with its details filled in.

    Example:
        >>> print(note(11, n=2))
        N11 warning: 2 run(s) have one row and say nothing about a trajectory; left out
    """
    name, severity, message = CATALOGUE[code]
    return Note(code, name, severity, message.format(**details), tuple(details.items()))
