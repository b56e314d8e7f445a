"""Pairs of rows that differ in the adaptation only, for claims about rows that are no minimal adaptation loss."""

from __future__ import annotations

import pandas as pd

from interface.analysis import SUPERVISED
from interface.table import last_checkpoints

PROBE, FINE_TUNING, PROBE_FIRST = "LinearProbe", "FineTuning", "ProbeThenFineTuning"
_PAIR = ("instance", "run", "step", "shift", "strength", "target", "n_labels", "depth", "readout", "replicate")


def last_self_supervised(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the last step of every run, without supervised pretexts.

    Raises:
        ValueError: if they come in several units, which are never pooled.
    """
    rows = last_checkpoints(frame[frame["pretext"] != SUPERVISED])
    kinds = sorted(map(str, rows["unit"].unique())) if "unit" in rows.columns else []
    if len(kinds) > 1:
        raise ValueError(f"test: frame holds {len(kinds)} kinds of unit ({', '.join(kinds)}), which are never pooled; pass one")
    return rows


def differences(rows: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """One row a pair that differs in its adaptation only: `difference` is the loss of `first` minus that of `second`."""
    if "adaptation" not in rows.columns:
        return pd.DataFrame(columns=[*_PAIR, "difference"])
    keys = [column for column in _PAIR if column in rows.columns]
    sides = [rows[rows["adaptation"] == kind][[*keys, "l_adapt"]] for kind in (first, second)]
    both = sides[0].merge(sides[1], on=keys, suffixes=("", "_other"))
    return both.assign(difference=both["l_adapt"] - both["l_adapt_other"])
