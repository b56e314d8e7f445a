"""Exploratory: does a larger encoder transfer better because its pretraining loss is lower?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._explored import Exploration, Question, measured, per_instance
from interface.hypotheses._planted_exploration import planted_sizes
from interface.table import last_checkpoints

QUESTION = Question(
    name="size_works_through_the_loss",
    question="How much of what size does to L* passes through L_pre, and how much is left at equal L_pre?",
    theta="indirect and direct effect of log size on L*, in the losses' unit per factor e, at equal pretext, lr and n_unlabelled",
    needs="encoders of several sizes (n_params) at equal pretext, learning rate and n_unlabelled",
    columns=("n_params",),
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """Two answers: the indirect effect by the product of coefficients in each instance, and the direct effect."""
    table = last_checkpoints(measured(frame, "n_params"))
    table = table.assign(size=np.log(table["n_params"].astype(float)))
    if table["n_params"].nunique() < 2:
        return []
    cell = ["pretext", "lr", "n_unlabelled", "replicate"]

    def split(rows: pd.DataFrame) -> tuple[float, float]:
        codes = rows.groupby(cell, observed=True, dropna=False)
        t, m, y = ((rows[v] - codes[v].transform("mean")).to_numpy(np.float64) for v in ("size", "l_pre_profiled", "l_adapt"))
        design = np.column_stack([t, m])
        if len(rows) < 5 or not t @ t > 1e-12 or np.linalg.matrix_rank(design, tol=1e-9) < 2:
            return float("nan"), float("nan")
        direct, through = np.linalg.lstsq(design, y, rcond=None)[0]
        return float(t @ m / (t @ t) * through), float(direct)

    indirect = per_instance(table, lambda rows: split(rows)[0])
    direct = per_instance(table, lambda rows: split(rows)[1])
    return [("indirect", indirect, "per factor e of size"), ("direct", direct, "per factor e of size")]


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame in which size moves L* by `effect` a factor e through L_pre, and by nothing beside it."""
    return planted_sizes(effect, rng)


EXPLORATION = Exploration(QUESTION, look, plant)
