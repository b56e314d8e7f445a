"""Exploratory: does training on after L_pre has saturated move L*?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.hypotheses._explored import Exploration, Question, measured, per_instance
from interface.hypotheses._planted_exploration import planted_tail

SATURATED = 0.01  # in shares of D above the run's lowest x
QUESTION = Question(
    name="training_past_saturation_costs",
    question="Does L* change between the step at which L_pre saturates and the end of training?",
    theta="y at the last checkpoint minus y where x first comes within .01 of the run's lowest, adaptation ranges, mean over runs",
    needs="runs with at least two checkpoints beyond the plateau of L_pre",
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """One answer; runs that saturate at their last checkpoint only are left out and counted."""
    table = measured(frame)
    mean = table.groupby(["instance", "run", "step"], observed=True, as_index=False)[["x", "y"]].mean()
    changes, late = [], 0
    for (instance, _), rows in mean.groupby(["instance", "run"], observed=True):
        rows = rows.sort_values("step")
        x, y = rows["x"].to_numpy(), rows["y"].to_numpy()
        first = int(np.argmax(x <= np.nanmin(x) + SATURATED))
        if first >= len(x) - 2:
            late += 1
            continue
        changes.append((instance, y[-1] - y[first]))
    if not changes:
        return []
    found = pd.DataFrame(changes, columns=["instance", "change"])
    detail = f"{len(changes)} runs, {late} not saturated"
    return [("", per_instance(found, lambda rows: float(rows["change"].mean())), detail)]


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame in which y rises by `effect` over three checkpoints on which x stays where it is."""
    return planted_tail(effect, rng)


EXPLORATION = Exploration(QUESTION, look, plant)
