"""Which rows of the wide frame belong to the end of a run."""

from __future__ import annotations

import pandas as pd


def last_checkpoints(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last step of every run.

    Args:
        frame: wide frame, or any frame with the columns run and step.

    Raises:
        ValueError: if it lacks a run's name or step.

    Example:
        >>> frame = pd.DataFrame({"run": ["a", "a", "b"], "step": [0, 500, 100]})
        >>> last_checkpoints(frame).values.tolist()
        [['a', 500], ['b', 100]]
    """
    missing = [column for column in ("run", "step") if column not in frame]
    if missing:
        raise ValueError(
            f"last_checkpoints: the table lacks the column(s) {', '.join(missing)}; pass what interface.table.wide gives"
        )
    return frame[frame["step"] == frame.groupby("run", observed=True)["step"].transform("max")]
