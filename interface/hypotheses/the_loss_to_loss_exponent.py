"""Exploratory: with which power of the excess of L_pre does L* fall?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.analysis import floor_profile
from interface.hypotheses._explored import Exploration, Question, measured, per_instance
from interface.hypotheses._planted_exploration import planted_power

QUESTION = Question(
    name="the_loss_to_loss_exponent",
    question="Is y = m + K (x - floor)^b with b = 1 (aligned) or 1/2 (the misaligned edge)?",
    theta="exponent b minus 1 at the best floor, over the descending branch of each instance",
    needs="at least 8 checkpoints an instance on the descending branch",
)


def look(frame: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """One answer; the profile interval of the floor is part of the detail, because b and floor trade against each other."""
    table = measured(frame)
    mean = table.groupby(["instance", "run", "step"], observed=True, as_index=False)[["x", "y"]].mean().sort_values(["run", "step"])
    mean = mean[mean["x"] <= mean.groupby("run", observed=True)["x"].cummin()]
    widths = []

    def exponent(rows: pd.DataFrame) -> float:
        rows = rows[np.isfinite(rows[["x", "y"]].to_numpy()).all(axis=1)]
        if rows["x"].nunique() < 8 or not np.ptp(rows["y"]) > 0:
            return float("nan")
        found = floor_profile(rows["x"], rows["y"])
        widths.append(found.exponent_range)
        return found.exponent - 1

    values = per_instance(mean, exponent)
    if not widths:
        return []
    low, high = np.median(widths, axis=0)
    return [("", values, f"over all floors that the data allow the exponent ranges over [{low:.2g}, {high:.2g}] (median)")]


def plant(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """A frame in which y falls with the power 1 + effect of x."""
    return planted_power(1 + effect, rng)


EXPLORATION = Exploration(QUESTION, look, plant)
