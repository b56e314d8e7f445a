"""Exploratory questions: reported with intervals and Benjamini-Hochberg at .1, never as findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from interface.analysis import ClusterMean, benjamini_hochberg, cluster_mean, coordinates
from interface.core import fingerprint

LEVEL = 0.1


@dataclass(frozen=True)
class Question:
    """What is asked of a table without a claim; its hash is printed with every output.

    Args:
        name: file-name form of the question.
        question: one sentence.
        theta: the number that is looked at and its unit; 0 is the dull answer.
        needs: what a table must hold.
        columns: beyond those of a wide frame.
    """

    name: str
    question: str
    theta: str
    needs: str
    columns: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        return fingerprint(self)


@dataclass(frozen=True)
class Explored:
    """What a table says to a question.

    Args:
        name, hash: of the question.
        of: which column or cell, where there are several.
        theta: mean over instances with its interval.
        p, p_bh: two-sided p of theta = 0, raw and adjusted over everything that was explored in the same call.
        notable: whether p_bh <= .1. It is a reason to look again on new data, not a finding.
        needs: what the table lacks, None otherwise.
        detail: what belongs beside it.
    """

    name: str
    hash: str
    of: str
    theta: ClusterMean
    p: float
    p_bh: float = 1.0
    notable: bool = False
    needs: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        name = f"{self.name}{f' [{self.of}]' if self.of else ''}"
        if self.needs:
            return f"exploratory: {name}: untestable: {self.needs}. question {self.hash}"
        low, high = self.theta.interval()
        over = f"over {self.theta.n_clusters} instances, adjusted p {self.p_bh:.2g}"
        body = f"{self.theta.estimate:.3g} [{low:.3g}, {high:.3g}] {over}"
        return f"exploratory: {name}: {body}{f'; {self.detail}' if self.detail else ''}. question {self.hash}"


@dataclass(frozen=True)
class Exploration:
    """A question with how to look and a generator of tables in which theta is what is asked for."""

    question: Question
    look: Callable[[pd.DataFrame], list[tuple[str, pd.Series, str]]]
    plant: Callable[..., pd.DataFrame]

    def explore(self, frame: pd.DataFrame) -> list[Explored]:
        """One answer, or one a column: (of, values by instance, detail); p-values are adjusted by whoever asks several."""
        question = self.question
        missing = [column for column in question.columns if column not in frame.columns]
        found = [] if missing else self.look(frame)
        if not found:
            none = cluster_mean([], [], reason="untestable")
            return [Explored(question.name, question.hash, "", none, 1.0, needs=f"needs {question.needs}")]
        answers = []
        for of, values, detail in found:
            theta = cluster_mean(values.to_numpy(dtype=np.float64), values.index.tolist(), reason=f"needs {question.needs}")
            needs = None if theta.n_clusters > 1 else theta.status
            p = theta.p_value(0.0)
            answers.append(Explored(question.name, question.hash, of, theta, p, p, needs=needs, detail=detail))
        return answers


def adjusted(answers: list[Explored]) -> list[Explored]:
    """The same answers with Benjamini-Hochberg over all of them."""
    p = benjamini_hochberg([answer.p for answer in answers])
    return [
        Explored(a.name, a.hash, a.of, a.theta, a.p, float(q), bool(q <= LEVEL and a.needs is None), a.needs, a.detail)
        for a, q in zip(answers, p, strict=True)
    ]


def measured(frame: pd.DataFrame, *extra: str) -> pd.DataFrame:
    """In-domain rows in the units of `coordinates`, with further columns of the frame beside them."""
    keep = np.isfinite(pd.to_numeric(frame["l_adapt"], errors="coerce")).to_numpy()
    if "n_labels" in frame.columns:
        keep &= frame["n_labels"].isna().to_numpy()
    kept = frame[keep].reset_index(drop=True)
    table = coordinates(kept)  # keeps the order of its rows
    table = table.assign(**{name: kept[name].to_numpy() for name in ("l_pre_profiled", *extra)})
    return table[(table["strength"] == 0).to_numpy()]


def per_instance(table: pd.DataFrame, number: Callable[[pd.DataFrame], float]) -> pd.Series:
    """One number an instance, nan where it cannot be taken."""
    groups = {str(name): rows for name, rows in table.groupby("instance", observed=True)}
    return pd.Series({name: number(rows) for name, rows in groups.items()}, dtype=np.float64)


def partial(table: pd.DataFrame, column: str, cell: list[str], held: tuple[str, ...] = ("x",)) -> pd.Series:
    """(i,) least-squares slope of y on a column in each instance, at equal cell and with `held` columns held equal."""

    def slope(rows: pd.DataFrame) -> float:
        codes = rows.groupby(cell, observed=True, dropna=False)
        centred = {name: (rows[name] - codes[name].transform("mean")).to_numpy(np.float64) for name in ("y", column, *held)}
        design = np.column_stack([centred[name] for name in (column, *held)])
        good = np.isfinite(design).all(axis=1) & np.isfinite(centred["y"])
        design, y = design[good], centred["y"][good]
        size = np.sqrt((design**2).sum(0))
        if len(y) <= design.shape[1] or not (size > 1e-9).all() or np.linalg.matrix_rank(design / size, tol=1e-6) < design.shape[1]:
            return float("nan")
        return float(np.linalg.lstsq(design, y, rcond=None)[0][0])

    return per_instance(table, slope)
