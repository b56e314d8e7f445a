"""All exploratory questions in one call."""

from __future__ import annotations

import pandas as pd

from interface.hypotheses._explored import Exploration, Explored, adjusted
from interface.hypotheses.emergence_is_in_the_metric import EXPLORATION as _METRIC
from interface.hypotheses.encoders_sit_low_in_the_band import EXPLORATION as _POSITION
from interface.hypotheses.flatter_transfers_better import EXPLORATION as _FLAT
from interface.hypotheses.scores_say_more_than_the_loss import EXPLORATION as _SCORES
from interface.hypotheses.size_works_through_the_loss import EXPLORATION as _SIZE
from interface.hypotheses.the_loss_to_loss_exponent import EXPLORATION as _EXPONENT
from interface.hypotheses.training_past_saturation_costs import EXPLORATION as _SATURATION

EXPLORATIONS: tuple[Exploration, ...] = (_SIZE, _FLAT, _METRIC, _SATURATION, _SCORES, _POSITION, _EXPONENT)


def explore(frame: pd.DataFrame) -> list[Explored]:
    """Answers to every exploratory question about one population, with Benjamini-Hochberg over all of them.

    Args:
        frame: wide frame of one population, with the further columns that some questions need.

    Raises:
        ValueError: as `coordinates`.
    """
    return adjusted([answer for exploration in EXPLORATIONS for answer in exploration.explore(frame)])
