"""Stopping rules of pretraining: what each costs in L*_adapt against the best checkpoint, in-domain and under shift."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.analysis import stopping_regret
from interface.report import over_instances

SWEEP = "stopping"
VARIANTS: dict[str, dict[str, str]] = {"stopping": {}}
RULES = {
    "budget_300": "300",
    "budget_2700": "2,700",
    "plateau_2_0": "plateau",
    "patience_2": "patience",
    "oracle": "oracle",
}


def draw(table: pd.DataFrame) -> Figure:
    """Regret of every rule, over instances; the oracle's is what choosing on noisy values costs."""
    regret = stopping_regret(table)
    regret = regret[regret["rule"].isin(list(RULES))]
    regret = regret.sort_values("rule", key=lambda column: column.map(list(RULES).index), kind="stable")
    regret = regret.assign(shift=regret["shift"].replace("none", "in-domain"))
    order = [name for name in dict.fromkeys(("in-domain", *regret["shift"])) if (regret["shift"] == name).any()]
    return over_instances(
        regret,
        x="rule",
        by="shift",
        y="regret",
        levels=order,
        names=RULES,
        xlabel="number of steps, or rule",
        ylabel="regret (nats)",
    )
