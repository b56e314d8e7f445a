"""Oracle checks: what theory says must hold in exact worlds. They test the code that measures, not the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from interface.core import fingerprint

STDERRS = 5.0  # sampling errors that a sampled row may be off; exact rows may be off by the tolerance only


@dataclass(frozen=True)
class Oracle:
    """A statement that is true by theory; its hash is printed with every output.

    Args:
        name: file-name form of the statement.
        statement: one sentence.
        source: where it is proved.
        columns: what the table must hold, one row a measured case.
        tolerance: by how much an exact row may be off, in the rows' unit.
    """

    name: str
    statement: str
    source: str
    columns: tuple[str, ...]
    tolerance: float = 1e-6

    @property
    def hash(self) -> str:
        return fingerprint(self)


@dataclass(frozen=True)
class Checked:
    """What a table says about an oracle.

    Args:
        name, hash: of the oracle.
        rows: cases looked at.
        violated: cases off by more than tolerance and 5 standard errors.
        worst: largest violation beyond the statement itself, in the rows' unit; <= 0 if it holds everywhere.
        needs: what the table lacks, None otherwise.
    """

    name: str
    hash: str
    rows: int
    violated: int
    worst: float
    needs: str | None = None

    @property
    def holds(self) -> bool:
        return self.needs is None and self.violated == 0

    def __str__(self) -> str:
        if self.needs:
            return f"{self.name}: untestable: {self.needs}. check {self.hash}"
        word = "holds" if self.holds else "VIOLATED"
        return f"{self.name}: {word} in {self.rows - self.violated} of {self.rows} cases, worst {self.worst:.2g}. check {self.hash}"


@dataclass(frozen=True)
class Check:
    """An oracle with its test and a generator of tables in which it holds (violation 0) or is violated by so much."""

    oracle: Oracle
    violation: Callable[[pd.DataFrame], np.ndarray]
    plant: Callable[..., pd.DataFrame]

    def test(self, frame: pd.DataFrame) -> Checked:
        """Violation of every row against the tolerance; rows with a missing value are left out, `stderr` counts where given."""
        oracle = self.oracle
        missing = [column for column in oracle.columns if column not in frame.columns]
        if missing:
            return Checked(oracle.name, oracle.hash, 0, 0, float("nan"), f"needs columns {', '.join(missing)}")
        rows = frame.dropna(subset=list(oracle.columns))
        if rows.empty:
            return Checked(oracle.name, oracle.hash, 0, 0, float("nan"), f"needs rows with {', '.join(oracle.columns)}")
        error = rows["stderr"].fillna(0.0).to_numpy() if "stderr" in rows.columns else np.zeros(len(rows))
        off = np.asarray(self.violation(rows), dtype=np.float64)
        beyond = ~(off <= oracle.tolerance + STDERRS * error)  # nan is a violation
        return Checked(oracle.name, oracle.hash, len(rows), int(beyond.sum()), float(np.max(off)))


def run_checks(frame: pd.DataFrame, checks: Iterable[Check]) -> list[Checked]:
    """Every check on one table; what it lacks columns for is untestable."""
    return [check.test(frame) for check in checks]
