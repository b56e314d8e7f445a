"""Exploratory: does a flatter minimum transfer better at equal pretraining loss?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._explored import Exploration, Question, measured, partial
from interface.hypotheses._planted_exploration import planted_columns

QUESTION = Question(
    name="flatter_transfers_better",
    question="Does L* rise with the sharpness of the pretraining loss at equal L_pre?",
    theta="slope of y on log trace of the Hessian at equal x, pretext, encoder and step; adaptation ranges per factor e",
    needs="a column flatness: trace of the Hessian in a fixed gauge (balanced layers), since rescaling layers moves it freely",
    columns=("flatness",),
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """One answer; optimisers are told apart by what they do to flatness, and are not held equal."""
    table = measured(frame, "flatness")
    table = table[(table["flatness"] > 0) & (table["step"] > 0)]
    table = table.assign(sharp=np.log(table["flatness"].astype(float)))
    return [("", partial(table, "sharp", ["pretext", "encoder", "step", "replicate"]), "")] if len(table) else []


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame in which y rises by `effect` with the log of flatness at equal x."""
    return planted_columns(rng, {"flatness": effect}, log=True)


EXPLORATION = Exploration(QUESTION, look, plant)
