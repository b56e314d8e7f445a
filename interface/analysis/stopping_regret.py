"""What a stopping rule of pretraining costs in transfer: the loss it ends with, above that of the best checkpoint."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interface.table.wide import CELL

PREFIX = "stop_"
IDENTITY = ("run", "instance", "source", "pretext", "encoder", "lr", "n_unlabelled", "shift", "strength", "unit")


def stopping_regret(frame: pd.DataFrame) -> pd.DataFrame:
    """Regret of every stopping rule in every run and cell, in the unit of the loss: one row a run, cell and rule.

    L*_adapt at the checkpoint that the rule picked minus that of the best checkpoint. The best is chosen by the side of the bracket
    that comes from the draws the probe was fitted on, and both checkpoints are valued by the side that comes from draws of their
    own: choosing and valuing on the same noise would show a regret where there is none. So a regret can come out negative; on
    average it is at most the true one.

    Args:
        frame: wide frame with columns "stop_<rule>": the step that each rule picked, at one row of each run and cell or more.

    Returns:
        Frame with the identity of run and cell, `rule` (without its prefix), `step` (picked), `best` (step) and `regret`. Left out
        are cells in which no checkpoint has both sides, and rules that picked nothing.

    Raises:
        ValueError: if the frame has no rule, or lacks l_adapt_low and l_adapt_high.

    Example:
        >>> run = pd.DataFrame({"run": "r", "step": [0, 10, 20], "target": "t", "l_adapt_low": [0.9, 0.4, 0.6]})
        >>> run = run.assign(l_adapt_high=run["l_adapt_low"] + 0.1, stop_budget_20=[np.nan, np.nan, 20])
        >>> stopping_regret(run)[["rule", "step", "best", "regret"]].round(9).values.tolist()
        [['budget_20', 20, 10, 0.2]]
    """
    tails = ("_stderr", "_how", "_status")
    rules = [str(name) for name in frame.columns if str(name).startswith(PREFIX) and not str(name).endswith(tails)]
    if not rules:
        raise ValueError("stopping_regret: frame has no column stop_<rule>; give the sweep stopping rules")
    lacking = [name for name in ("run", "step", "l_adapt_low", "l_adapt_high") if name not in frame]
    if lacking:
        raise ValueError(f"stopping_regret: frame lacks the column(s) {', '.join(lacking)}; pass what interface.table.wide gives")
    keys = ["run", *(name for name in CELL if name in frame)]
    shown = [name for name in dict.fromkeys((*IDENTITY, *keys)) if name in frame]
    rows = []
    for _, trajectory in frame.groupby(keys, sort=False, dropna=False):
        measured = trajectory[np.isfinite(trajectory["l_adapt_low"]) & np.isfinite(trajectory["l_adapt_high"])]
        if measured.empty:
            continue
        best = measured.loc[measured["l_adapt_low"].idxmin()]
        for rule in rules:
            picked = trajectory[rule].dropna()
            there = measured[measured["step"].isin(picked)]
            if len(there):
                last = there.iloc[-1]
                facts = {"rule": rule.removeprefix(PREFIX), "step": int(last["step"]), "best": int(best["step"])}
                facts["regret"] = float(last["l_adapt_high"] - best["l_adapt_high"])
                rows.append({name: last[name] for name in shown} | facts)
    return pd.DataFrame(rows, columns=[*shown, "rule", "step", "best", "regret"])
