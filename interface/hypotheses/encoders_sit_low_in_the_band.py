"""Exploratory: where in the band of equal L_pre does training end?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._explored import Exploration, Question, measured, per_instance
from interface.hypotheses._planted_exploration import planted_columns
from interface.table import last_checkpoints

QUESTION = Question(
    name="encoders_sit_low_in_the_band",
    question="Is a trained encoder's L* nearer the lower or the upper edge of what its L_pre allows?",
    theta="position (E* - E_min)/(E_max - E_min) of last checkpoints minus 1/2; -1/2 is the lower edge",
    needs="a column position, from worlds in which the band is known",
    columns=("position",),
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """One answer a pretext."""
    table = last_checkpoints(measured(frame, "position"))
    table = table[np.isfinite(table["position"].to_numpy(dtype=float))]
    return [
        (str(pretext), per_instance(rows, lambda here: float(here["position"].mean()) - 0.5), f"{len(rows)} encoders")
        for pretext, rows in table.groupby("pretext", observed=True)
    ]


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame whose positions scatter around 1/2 + effect."""
    frame = planted_columns(rng, {"position": 0.0})
    code = pd.factorize(frame["instance"])[0]
    return frame.assign(position=0.5 + effect + 0.05 * rng.normal(size=code.max() + 1)[code] + 0.02 * rng.normal(size=len(frame)))


EXPLORATION = Exploration(QUESTION, look, plant)
