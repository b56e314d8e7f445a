"""What the five studies share: published numbers beside recomputed ones, and the statistics that end each study."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from interface.analysis import (
    cluster_mean,
    clustered_fit,
    extrapolation_distance,
    read_user_file,
    straight_line,
    task_fractions,
    task_kind,
    within_between,
)

EXPECTED = Path(__file__).with_name("expected.json")
SMALLEST_EFFECT = 0.05  # of an error in [0, 1]: a task that moves by less does not move


@dataclass(frozen=True)
class Compared:
    """One number of a paper and what the table gives.

    Args:
        name: which.
        expected: published, or "derived" from the table once and for all.
        tolerance: largest difference that counts as the same.
        recomputed: from the table at hand.
        kind: "published" or "derived".
    """

    name: str
    expected: float
    tolerance: float
    recomputed: float
    kind: str

    @property
    def agrees(self) -> bool:
        return abs(self.recomputed - self.expected) <= self.tolerance

    def __str__(self) -> str:
        verdict = "agrees" if self.agrees else "DIFFERS"
        numbers = f"{self.expected:12.6g}  here {self.recomputed:12.6g}  within {self.tolerance:.1g}"
        return f"  {self.name:58s} {self.kind:9s} {numbers}: {verdict}"


def compare(study: str, recomputed: Mapping[str, float]) -> list[Compared]:
    """Every number that expected.json holds for a study beside the recomputed one, in its order.

    Raises:
        ValueError: if the study recomputed another set of numbers.
    """
    expected = json.loads(EXPECTED.read_text())[study]["numbers"]
    if set(expected) != set(recomputed):
        raise ValueError(f"{study}: recomputed and expected numbers differ: {sorted(set(expected) ^ set(recomputed))}")
    return [
        Compared(name, entry["value"], entry["tolerance"], float(recomputed[name]), entry["kind"])
        for name, entry in expected.items()
    ]


def read(path: Path, *, names: Sequence[str], numbers: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """The columns of a table, names as text and numbers as numbers; those in `optional` may be empty.

    Raises:
        ValueError: one line that names the file and the column.
    """
    table = read_user_file(path, names=names, numbers=numbers)
    for column in numbers:
        values = pd.to_numeric(table[column], errors="coerce").astype(float)
        if (unread := values.isna() & table[column].notna()).any():
            raise ValueError(f"column {column!r} of {path} holds {table[column][unread].iloc[0]!r}, which is not a number")
        if column not in optional and not np.isfinite(values).all():
            raise ValueError(f"column {column!r} of {path} has {int((~np.isfinite(values)).sum())} empty row(s)")
        table[column] = values
    return table


def errors_of_a_slope(x: np.ndarray, y: np.ndarray, clusters: np.ndarray, unit: str) -> str:
    """The pooled slope with the naive standard error, labelled so, and the one over clusters with its interval."""
    design = np.column_stack([np.ones_like(x), x])
    fit = clustered_fit(design, y, clusters)
    slope, error = fit.contrast(np.array([0.0, 1.0]))
    naive = float(np.sqrt(fit.residual_variance / ((x - x.mean()) ** 2).sum()))
    half = fit.quantile() * error
    return (
        f"pooled slope {slope:.4g}; naive standard error {naive:.2g} (takes {len(x)} rows for independent), clustered {error:.2g} "
        f"({error / naive:.1f} times), 95% [{slope - half:.4g}, {slope + half:.4g}] over {fit.n_clusters} {unit}"
    )


def within_against_pooled(x: np.ndarray, y: np.ndarray, groups: np.ndarray, clusters: np.ndarray, unit: str) -> str:
    """Slope inside groups (CR2 over clusters) beside the pooled one and the one between group means."""
    found = within_between(x, y, groups, clusters)
    parts = [f"pooled {found.pooled:.4g}"]
    for name, contrast in (("within", found.within), ("between", found.between)):
        low, high = contrast.interval()
        has = np.isfinite([contrast.estimate, low, high]).all()
        parts.append(f"{name} {contrast.estimate:.4g} [{low:.4g}, {high:.4g}]" if has else f"{name} none: {contrast.status}")
    return f"slopes by {unit}: " + "; ".join(parts)


@dataclass(frozen=True)
class Predicted:
    """Errors of predicting the held-out rows of one task, in units of y.

    Args:
        chained: from the design to the loss, and from the loss to y.
        one_step: from the design to y.
        link: from the observed loss to y: what the second link of the chain does by itself.
        distance: how far the held-out loss lies outside the losses that were seen, in units of their range.
    """

    chained: float
    one_step: float
    link: float
    distance: float


def predict_held_out(design: np.ndarray, x: np.ndarray, y: np.ndarray, held_out: np.ndarray) -> Predicted:
    """Root-mean-square errors on the held-out rows; the loss is log-linear in the design, y a line in the loss or in the design.

    Args:
        design: (n, k) logarithms of sizes and tokens, with the constant.
        x, y: (n,) pretraining loss, error on the task.
        held_out: (n,) bool.
    """
    seen = ~held_out
    loss = np.exp(design[held_out] @ np.linalg.lstsq(design[seen], np.log(x[seen]), rcond=None)[0])
    direct = design[held_out] @ np.linalg.lstsq(design[seen], y[seen], rcond=None)[0]
    link = straight_line(x[seen], y[seen])
    distances = extrapolation_distance(x[seen], x[held_out])
    errors = (float(np.sqrt(np.mean((predicted - y[held_out]) ** 2))) for predicted in (link(loss), direct, link(x[held_out])))
    return Predicted(*errors, float(distances.max()))


def in_words(predictions: Mapping[str, Predicted]) -> list[str]:
    """One line a task, and the mean over tasks with its t interval for chained minus one-step."""
    lines = [
        f"{name:28s} chained {p.chained:.4f}  one-step {p.one_step:.4f}  observed loss {p.link:.4f}  "
        f"extrapolates by {p.distance:.2f} ranges"
        for name, p in predictions.items()
    ]
    mean = cluster_mean([p.chained - p.one_step for p in predictions.values()], list(predictions))
    low, high = mean.interval()
    limits = f" [{low:.4f}, {high:.4f}]" if np.isfinite([low, high]).all() else ""
    return [*lines, f"chained minus one-step, mean over {mean.n_clusters} tasks: {mean.estimate:+.4f}{limits}"]


def predictable(tasks: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> list[str]:
    """The kind of each task from (loss, error, standard error of one error), and the fraction of each kind."""
    kinds = {name: task_kind(x, y, smallest_effect=SMALLEST_EFFECT, stderr=error).kind for name, (x, y, error) in tasks.items()}
    by_kind = {kind: [name for name, found in kinds.items() if found == kind] for kind in sorted(set(kinds.values()))}
    lines = [f"{kind}: {', '.join(names)}" for kind, names in by_kind.items()]
    share, low, high = task_fractions(kinds)["predictable"]
    count = len(by_kind.get("predictable", []))
    return [f"predictable at all: {count} of {len(kinds)} tasks, {share:.2f} [{low:.2f}, {high:.2f}]", *lines]


def binomial_error(error: np.ndarray, n: float) -> float:
    """Root-mean-square standard error of an error rate over n items."""
    return float(np.sqrt(np.mean(error * (1 - error)) / n))


def report(study: str, recomputed: Mapping[str, float], ours: Iterable[str]) -> int:
    """Prints both halves of a study; 0 if every number agrees, else 1."""
    compared = compare(study, recomputed)
    print(f"{study}: {sum(c.agrees for c in compared)} of {len(compared)} numbers agree")
    for entry in compared:
        print(entry)
    print("Beside it, what these statistics say:")
    for line in ours:
        print(f"  {line}")
    return 0 if all(c.agrees for c in compared) else 1


def run(
    program: str, description: str, study: Callable[[argparse.Namespace], int], arguments: Sequence[str] | None, **options: str
) -> int:
    """The command line of a study: the path of its table, and optional paths; what the user can mend ends in one line."""
    parser = argparse.ArgumentParser(prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="the table as .csv, .tsv or .parquet")
    for name, text in options.items():
        parser.add_argument(f"--{name}", type=Path, default=None, help=text)
    parsed = parser.parse_args(arguments)
    try:
        return study(parsed)
    except ValueError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
