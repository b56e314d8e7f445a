"""Exploratory: does a transferability score predict L* beyond L_pre?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._explored import Exploration, Question, measured
from interface.hypotheses._planted_exploration import planted_columns

PREFIX = "score_"
QUESTION = Question(
    name="scores_say_more_than_the_loss",
    question="Does adding a score to L_pre lower the error of predicting y in an instance that was left out?",
    theta="share of the squared error of the prediction from x that the score removes, by leave-one-instance-out",
    needs=f"columns {PREFIX}NAME and at least 3 instances",
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """One answer a score."""
    names = [name for name in frame.columns if str(name).startswith(PREFIX)]
    table = measured(frame, *names) if names else pd.DataFrame()
    answers = []
    for name in names:
        rows = table[np.isfinite(table[["x", "y", name]].to_numpy(dtype=float)).all(axis=1)]
        if rows["instance"].nunique() < 3 or rows[name].nunique() < 3:
            continue
        code = rows["instance"].astype(str).to_numpy()
        one, x, score, y = np.ones(len(rows)), *(rows[c].to_numpy(dtype=float) for c in ("x", name, "y"))
        score = (score - score.mean()) / score.std()
        gains = {}
        for left in np.unique(code):
            seen = code != left
            errors = []
            for design in (np.column_stack([one, x]), np.column_stack([one, x, score])):
                fit = np.linalg.lstsq(design[seen], y[seen], rcond=None)[0]
                errors.append(float(np.mean((y[~seen] - design[~seen] @ fit) ** 2)))
            gains[left] = 1 - errors[1] / errors[0]
        answers.append((name.removeprefix(PREFIX), pd.Series(gains), f"{len(rows)} checkpoints"))
    return answers


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame with a score that moves y by `effect` at equal x, and one that does not."""
    return planted_columns(rng, {"score_useful": effect, "score_useless": 0.0})


EXPLORATION = Exploration(QUESTION, look, plant)
