"""Exploratory: are thresholds in the error also there in the log loss of the same rows?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import task_kind
from interface.hypotheses._explored import Exploration, Question, measured, per_instance
from interface.hypotheses._planted_exploration import planted_threshold

QUESTION = Question(
    name="emergence_is_in_the_metric",
    question="Is L* a bent function of L_pre in error where it is a straight one in log loss?",
    theta="share of the variance that a bend explains beyond a line, in error minus in log loss, checkpoints of an instance",
    needs="a column error beside the log loss of the same rows, with at least 8 checkpoints an instance",
    columns=("error",),
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """One answer; positive: the threshold is in the metric."""
    table = measured(frame, "error")
    table = table[np.isfinite(table[["x", "y", "error"]].to_numpy(dtype=float)).all(axis=1)]

    def gain(rows: pd.DataFrame) -> float:
        if len(rows) < 8:
            return float("nan")
        bends = [task_kind(rows["x"], rows[name], smallest_effect=0.0) for name in ("error", "y")]
        return (bends[0].bend - bends[0].line) - (bends[1].bend - bends[1].line)

    return [("", per_instance(table, gain), f"{len(table)} checkpoints")] if len(table) else []


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame whose loss is straight in x, and whose error is flat above a threshold if effect is 1, straight if it is 0."""
    return planted_threshold(effect, rng)


EXPLORATION = Exploration(QUESTION, look, plant)
