"""analyze: a user's own table, answered in three numbers and one word, with what is doubtful about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from interface.analysis._cross_section import NO_SCATTER, cross_section_numbers
from interface.analysis._notes import Note, note
from interface.analysis._number import Number
from interface.analysis._trajectories import trajectory_numbers
from interface.analysis._user_table import AdaptIs, Draws, UserTable, read_user_table, shown
from interface.analysis.ttest import ALL_ALIKE
from interface.analysis.verdict_words import Words, verdict_words

ENOUGH = 6  # clusters below which a note is due
CLAIM_1 = "untestable: needs runs that differ in data, size or regularisation at equal learning rate and step"


@dataclass(frozen=True)
class Analysis:
    """The answer that a table without design allows.

    Args:
        kind: "trajectories" (several rows a run) or "cross-section" (one row a model).
        slope: what y gains per unit of x: along runs, or over models (within families where given).
        intercept: y where the pretraining loss is as low as it gets here.
        spread: variance of y at equal pretraining loss.
        others: further coefficients.
        verdict: in words; by the progress slope, because no data slope is identified.
        claim_1: whether lower loss *causes* better transfer: what the table lacks to say.
        smallest_effect: smallest difference of y that counts: 5% of its mean range within runs (models: within families).
        smallest_slope: the same for the slope.
        intercept_at: pretraining loss at which the intercept is read (mean over clusters); nan where there is none.
        n_rows, n_runs, n_clusters: counts after what the notes leave out.
        cluster: what clusters: the unit of inference.
        notes: numbered doubts.
        table: the two losses as they were used: in the order of run and step, accuracy turned into error.
    """

    kind: Literal["trajectories", "cross-section"]
    slope: Number
    intercept: Number
    spread: Number
    others: tuple[Number, ...]
    verdict: Words
    claim_1: str
    smallest_effect: float
    smallest_slope: float
    intercept_at: float
    n_rows: int
    n_runs: int
    n_clusters: int
    cluster: str
    notes: tuple[Note, ...]
    table: UserTable = field(repr=False, compare=False)

    @property
    def coefficients(self) -> pd.DataFrame:
        """One row a number: name, estimate, stderr, low, high, n_clusters, unit, where, p (at the smallest effect), status."""
        return pd.DataFrame([asdict(number) for number in (self.slope, self.intercept, self.spread, *self.others)])

    def __str__(self) -> str:
        counts = f"{self.n_rows} rows, {self.n_runs} runs, {self.n_clusters} clusters"
        head = f"{self.kind}: {counts}; the unit of inference is {self.cluster!r}"
        basis = "by the progress slope" if self.kind == "trajectories" else "by the line over models"
        lines = [f"  {number}" for number in (self.slope, self.intercept, self.spread, *self.others)]
        why = f": {self.verdict.detail}" if self.verdict.word != "undecided" else ""
        return "\n".join([
            head,
            *lines,
            f"  smallest effect of interest {self.smallest_effect:.3g}",
            f"In words, {basis}: {self.verdict}{why}",
            f"Lower loss gives better transfer: {self.claim_1}",
            *map(str, self.notes),
        ])  # fmt: skip


def analyze(
    frame: pd.DataFrame,
    *,
    pre: str,
    adapt: str,
    run: str,
    adapt_is: AdaptIs,
    cluster: str | None = None,
    family: str | None = None,
    size: str | None = None,
    step: str | None = None,
    status: str | None = None,
    draws: Draws = "unknown",
) -> Analysis:
    """Intercept, slope and spread of a user's table, in its own units, with intervals over clusters and never over checkpoints.

    Several rows a run are trajectories; one row a run is a cross-section of models. What counts as an effect is 5% of the mean
    range of y within runs; a small intercept (above 0, the only floor known) or root spread is below twice that.

    Args:
        frame: one row a checkpoint or model.
        pre: column of the pretraining loss.
        adapt: column of the adaptation loss, error or accuracy.
        run: column naming the run (the model, in a cross-section).
        adapt_is: which of them; no default, because the wrong one turns the verdict round.
        cluster: column of the unit of inference; default the run, in a cross-section the family if given.
        family: column of the model family; only used in cross-sections, where within and between families are told apart.
        size: column of the model size, never pooled over: strata along runs, held equal over models.
        step: column that orders the checkpoints of a run; default the order of the rows.
        status: column that says "ok", "converged" or true where the adaptation result is at its minimum; other rows are counted.
        draws: whether the two losses were measured on the same draws, or on independent ones.

    Raises:
        ValueError: one line that names the column and the fix, for whatever is wrong with the table.

    Example:
        >>> slopes = dict(a=0.109, b=0.110, c=0.111, d=0.109, e=0.110, f=0.111)
        >>> rows = [dict(model=m, loss=4 - t, err=0.8 - b * t) for m, b in slopes.items() for t in range(4)]
        >>> result = analyze(pd.DataFrame(rows), pre="loss", adapt="err", run="model", adapt_is="error")
        >>> f"{result.slope.estimate:.2f}", result.kind, result.verdict.word, result.claim_1[:10]
        ('0.11', 'trajectories', 'sufficient up to an intercept', 'untestable')
    """
    table = read_user_table(
        frame, pre=pre, adapt=adapt, run=run, adapt_is=adapt_is, cluster=cluster, family=family, size=size, step=step,
        status=status, draws=draws,
    )  # fmt: skip
    rows = np.bincount(table.run)
    along = bool((rows > 1).any())
    numbers = trajectory_numbers(table) if along else cross_section_numbers(table)
    counts = rows[rows > 1] if along else rows
    kind: Literal["trajectories", "cross-section"] = "trajectories" if along else "cross-section"
    n_clusters, by = numbers.slope.n_clusters, cluster if cluster is not None else run
    if cluster is None and family is not None and not along:
        by = family
    notes = [*table.notes, *numbers.notes]
    if n_clusters < ENOUGH:
        notes.append(note(1, n=n_clusters, kind=by, needed=ENOUGH))
    if by == run and along:
        notes.append(note(13))
    three = (numbers.slope, numbers.intercept, numbers.spread)
    if alike := [number.name for number in three if number.status in (ALL_ALIKE, NO_SCATTER)]:
        notes.append(note(21, what=", ".join(alike)))
    words = verdict_words(
        numbers.slope,
        numbers.spread,
        numbers.intercept,
        smallest_effect=numbers.smallest_slope,
        small=2 * numbers.smallest_effect,
    )
    return Analysis(
        kind=kind,
        slope=numbers.slope,
        intercept=numbers.intercept,
        spread=numbers.spread,
        others=numbers.others,
        verdict=words,
        claim_1=CLAIM_1,
        smallest_effect=numbers.smallest_effect,
        smallest_slope=numbers.smallest_slope,
        intercept_at=numbers.intercept_at,
        n_rows=int(counts.sum()),
        n_runs=len(counts),
        n_clusters=n_clusters,
        cluster=shown(by),
        notes=tuple(sorted(notes, key=lambda entry: entry.code)),
        table=table,
    )
