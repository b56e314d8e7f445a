"""All oracle checks in one call."""

from __future__ import annotations

import pandas as pd

from interface.hypotheses._check import Check, Checked, run_checks
from interface.hypotheses.ssl_beats_supervised_beyond_an_angle import CHECK as _ANGLE
from interface.hypotheses.ssl_gains_over_scratch_until_the_excess import CHECK as _SCRATCH
from interface.hypotheses.task_diversity_bounds_the_slope import CHECK as _DIVERSITY
from interface.hypotheses.the_band_holds_out_of_sample import CHECK as _BAND
from interface.hypotheses.the_belief_state_reads_the_concept import CHECK as _BELIEF

ORACLES: tuple[Check, ...] = (_SCRATCH, _ANGLE, _BELIEF, _DIVERSITY, _BAND)


def check_oracles(frame: pd.DataFrame) -> list[Checked]:
    """Every oracle on a table of exact or sampled cases; a table holds the columns of one oracle or of several.

    Args:
        frame: one row a case.

    Example:
        >>> frame = pd.DataFrame({"excess": [0.2, 0.5], "band_low": [0.1, 0.1], "band_high": [0.3, 0.3]})
        >>> [(found.rows, found.violated) for found in check_oracles(frame) if found.needs is None]
        [(2, 1)]
    """
    return run_checks(frame, ORACLES)
