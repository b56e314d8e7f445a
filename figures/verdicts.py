"""Every claim's estimate with its interval over instances, and its outcome in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interface.report import verdicts as forest

VARIANTS: dict[str, dict[str, Any]] = {"verdicts": {}}


def draw(table: pd.DataFrame, *, verdicts: Sequence[Any] | pd.DataFrame | None = None) -> Figure:
    """From `verdicts`, or from judging the table, which takes a few seconds."""
    if verdicts is None:
        from interface.hypotheses import judge

        verdicts = judge(table)
    return forest(verdicts)
