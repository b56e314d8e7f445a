"""Numbered notes: what a careful reader of a study would doubt, as data, each with what it means and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["info", "warning"]


class Kind(NamedTuple):
    """An entry of the catalogue.

    Args:
        name: short name.
        severity: "info", or "warning" where the numbers may mislead.
        message: one sentence, with the counts of a study to be filled in.
        advice: what would settle the doubt.
    """

    name: str
    severity: Severity
    message: str
    advice: str


CATALOGUE: dict[int, Kind] = {
    1: Kind(
        "few_clusters", "warning",
        "{n} clusters ({kind}): below {needed}, t intervals are wide and rest on normality",
        "more independent runs, models or data sets; more checkpoints of the same ones do not help",
    ),
    2: Kind(
        "time_confounding", "warning",
        "along a run time explains everything: another run's pretraining loss at the same step would give the same slope; "
        "it says that both losses fall, not that one follows the other",
        "runs that differ in data, size or regularisation at equal learning rate and step",
    ),
    3: Kind(
        "shared_draws_unknown", "info",
        "it is not known whether both losses were measured on the same draws; shared noise bends the slope towards its own sign",
        "say which with draws='independent' or draws='shared'",
    ),
    4: Kind(
        "duplicated_checkpoints", "warning",
        "{n} row(s) repeat the two losses of another row ({where}); are checkpoints counted twice?",
        "drop the copies, or name the step column, so that two rows of one run at one step are refused",
    ),
    5: Kind(
        "ceiling", "warning",
        "{n} of {of} rows lie within the smallest effect of interest of {start}; the slope averages a flat part",
        "leave out what has not come off the ceiling, and say so; or use the adaptation loss instead of the error",
    ),
    6: Kind(
        "accuracy_turned_into_error", "info",
        "accuracy was turned into error = 1 - accuracy; a positive slope is the good one",
        "nothing, if the column is an accuracy",
    ),
    7: Kind(
        "row_order_taken_as_time", "info",
        "no step column was given; the order of the rows of a run is taken as time",
        "name the step column",
    ),
    8: Kind(
        "no_common_loss", "warning",
        "no pretraining loss is passed by all runs of {where}; intercept, slope between losses and spread are not identified",
        "longer runs, or a cluster column whose runs do pass a common loss",
    ),
    9: Kind(
        "noise_not_subtracted", "info",
        "the table has no standard errors; the spread contains measurement noise: an upper side",
        "compare the spread with the squared standard error of one row",
    ),
    10: Kind(
        "no_floor_known", "info",
        "no floor is subtracted; the intercept contains what no encoder could remove",
        "compare the intercept with the best known result on the task",
    ),
    11: Kind(
        "single_row_runs_left_out", "warning",
        "{n} run(s) have one row and say nothing about a trajectory; left out",
        "for a cross-section keep one row of every model",
    ),
    12: Kind(
        "clusters_do_not_vary", "warning",
        "the pretraining loss does not vary inside {n} cluster(s) ({names}); they have no slope",
        "check whether the loss was copied from one checkpoint to the others",
    ),
    13: Kind(
        "one_data_set", "info",
        "the cluster is the run: the conclusion is conditional on this data set",
        "name a cluster column (data set, task, population) if the runs have several",
    ),
    14: Kind(
        "no_family", "warning",
        "no family was given: slopes within and between families cannot be told apart (Simpson)",
        "name the column of the family (recipe, data set, series) that a model comes from",
    ),
    15: Kind(
        "one_model_a_family", "warning",
        "no family has two models that differ; the slope shown is between families",
        "at least two models of a family, or a coarser family column",
    ),
    16: Kind(
        "linear_link", "info",
        "the link is fitted as a line; no asymptote is looked for",
        "look at the figure; a curved link makes the slope depend on the range",
    ),
    17: Kind(
        "pooled_sizes", "info",
        "no size column was given; runs of different size may be pooled",
        "name the size column (a parameter count)",
    ),
    18: Kind(
        "unconverged_probes", "warning",
        "{n} of {of} adaptation results are not marked as converged ({kinds}); they lie above the minimum by an unknown amount",
        "let the probes converge, or leave those rows out and look whether the answer moves",
    ),
    19: Kind(
        "shared_draws", "warning",
        "both losses were measured on the same draws: their errors are correlated, and no correction recovers the slope",
        "measure the pretraining loss on draws of its own",
    ),
    20: Kind(
        "extrapolation", "warning",
        "{n} of {of} families have no model near {where}, where the intercept is read; the median one ends {distance} of the "
        "observed range above it: there the intercept rests on the line",
        "models of the other families at as low a loss, or read the intercept as that of the lowest families",
    ),
    21: Kind(
        "no_scatter", "warning",
        "{what}: all clusters give the same value; an interval of no width shows a formula, not evidence",
        "check whether one column was computed from the other, or rows were copied between clusters",
    ),
    22: Kind(
        "many_sizes", "info",
        "{n} sizes are more than {most}; slopes are not listed size by size",
        "give a coarser size column",
    ),
    23: Kind(
        "code_versions", "warning",
        "the rows were made by {n} versions of the measuring code ({names})",
        "measure again with one version",
    ),
    24: Kind(
        "bracket_statuses", "warning",
        "{n} of {of} adaptation losses have a status of their own ({kinds})",
        "vacuous_lower: more fit rows or fewer coefficients; crossed: the two sides agree within their noise",
    ),
    25: Kind(
        "diverged_runs", "warning",
        "{n} run(s) diverged ({names}); the rows of their lost checkpoints hold no number and are left out",
        "a smaller learning rate for those runs; if divergence goes with a treatment, what is left is a selection",
    ),
}  # fmt: skip


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

    @property
    def advice(self) -> str:
        """What would settle the doubt."""
        return CATALOGUE[self.code].advice

    def __str__(self) -> str:
        return f"N{self.code:02d} {self.severity}: {self.message}"


def note(code: int, **details: str | int | float) -> Note:
    """The note of this number with its details filled in.

    Example:
        >>> print(note(11, n=2))
        N11 warning: 2 run(s) have one row and say nothing about a trajectory; left out
    """
    kind = CATALOGUE[code]
    return Note(code, kind.name, kind.severity, kind.message.format(**details), tuple(details.items()))
