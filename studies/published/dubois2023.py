"""Dubois, Hashimoto, Liang 2023: what the error of a self-supervised encoder's probe is made of.

    python studies/published/dubois2023.py models.csv

Original: Dubois, Hashimoto, Liang, "Evaluating Self-Supervised Learning via Risk Decomposition", ICML 2023, arXiv:2302.03068;
repository YannDubs/SSL-Risk-Decomposition, all_results.csv (two header rows: flatten them); MIT by its README. One row an encoder
(169 of them), with the columns

    model, objective                         name, and the pretraining objective (its family here)
    approx, usability, probe_gen, enc_gen    the four components of the risk, percentage points; the first two may be empty
    err_full, err_30shot, err_1pct, err_5shot, err_3shot    test error of the probe by label budget, percent; may be empty
    train_rank, train_uniformity, train_alignment, trainrealaug_alignment    statistics of the representation; may be empty

Their law (section 6): err(n) = enc_gen + (1 - B) T + (B T + probe_gen) (N / n)^alpha, T the train error, clipped to [0, 100]. The
components were clipped at 0 before they were published, so that T = approx + usability - max(0, sum of the four - err_full).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from _comparison import errors_of_a_slope, read, report, run, within_against_pooled
from scipy import stats
from scipy.optimize import least_squares

from interface.analysis import cluster_mean, leave_family_out, within_between

COMPONENTS = ["approx", "usability", "probe_gen", "enc_gen"]
BUDGETS = {"err_full": 1_281_167, "err_30shot": 30_000, "err_1pct": 12_811, "err_5shot": 5_000, "err_3shot": 3_000}
STATISTICS = ["train_rank", "train_uniformity", "train_alignment", "trainrealaug_alignment"]
N = 1_231_167  # labels of the full-shot probe in the law
SHIFTED = ("mae_vith14", "msn_vitl16_ep600", "mae_vitl16")


def long_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row a complete model and label budget: error, n, train error T, and the two generalisation gaps."""
    complete = table[table[COMPONENTS].notna().all(axis=1)]
    excess = np.maximum(0, complete[COMPONENTS].sum(axis=1) - complete["err_full"])
    base = complete[["model", "objective", "probe_gen", "enc_gen"]].assign(t=complete["approx"] + complete["usability"] - excess)
    return pd.concat([base.assign(error=complete[column], n=n) for column, n in BUDGETS.items()]).dropna(subset="error")


def law(rows: pd.DataFrame, alpha: float, b: float) -> np.ndarray:
    """Predicted error in percent."""
    growth = (N / rows["n"].to_numpy()) ** alpha
    t, probe, encoder = (rows[name].to_numpy() for name in ("t", "probe_gen", "enc_gen"))
    return np.clip(encoder + (1 - b) * t + (b * t + probe) * growth, 0, 100)


def fitted(rows: pd.DataFrame) -> tuple[float, float]:
    """alpha and B by least squares."""
    found = least_squares(lambda p: law(rows, *p) - rows["error"].to_numpy(), [0.1, 0.5], xtol=1e-14, ftol=1e-14)
    return float(found.x[0]), float(found.x[1])


def recompute(table: pd.DataFrame) -> dict[str, float]:
    rows = long_table(table)
    alpha, b = fitted(rows)
    residual = law(rows, alpha, b) - rows["error"].to_numpy()
    ranked = table.dropna(subset=list(BUDGETS))
    # ties are broken by the order of rows, as in the published number
    full, few = (ranked[column].rank(method="first") for column in ("err_full", "err_3shot"))
    shift = (ranked["err_full"].rank() - ranked["err_3shot"].rank()).set_axis(ranked["model"])
    missing = [name for name in SHIFTED if name not in shift.index]
    if missing:
        raise ValueError(f"the table lacks the model(s) {', '.join(missing)}")
    return {
        "models": len(table),
        "models with all four components": int(table[COMPONENTS].notna().all(axis=1).sum()),
        "rows (model x label budget)": len(rows),
        "standard deviation of the errors to explain": float(rows["error"].std()),
        "R2 of the two-parameter law": 1 - float((residual**2).mean() / rows["error"].var(ddof=0)),
        "RMSE of the two-parameter law": float(np.sqrt((residual**2).mean())),
        "alpha": alpha,
        "B": b,
        "Kendall tau, full-shot against 3-shot ranks": float(stats.kendalltau(full, few).statistic),
        "mean absolute rank shift": float(shift.abs().mean()),
        **{f"rank shift of {name}": float(shift[name]) for name in SHIFTED},
        **{f"correlation of full-shot error with {name}": float(table["err_full"].corr(table[name])) for name in COMPONENTS},
    }


def ours(table: pd.DataFrame) -> list[str]:
    """The unit is the objective: encoders of one objective share code, recipe and authors."""
    lines = []
    for name in COMPONENTS:
        x, y, family = (table.dropna(subset=[name, "err_full"])[column].to_numpy() for column in (name, "err_full", "objective"))
        lines += [f"full-shot error on {name}: " + errors_of_a_slope(x, y, family, "objectives")]
        lines += ["  " + within_against_pooled(x, y, family, family, "objective")]
    rows = long_table(table)
    chained, direct = few_labels(rows)
    difference = cluster_mean((chained - direct).to_numpy(), list(chained.index))
    low, high = difference.interval()
    lines += [
        f"3-shot error of an objective that was left out, root-mean-square: {chained.mean():.2f} points chained (components and "
        f"law), {direct.mean():.2f} in one step from the full-shot error; difference {difference.estimate:+.2f} "
        f"[{low:.2f}, {high:.2f}] over {difference.n_clusters} objectives"
    ]
    found = [_statistic(table, name) for name in STATISTICS]
    count = f"{sum(predicts for predicts, _ in found)} of {len(found)}"
    lines.append(f"predictable at all, inside objectives, from a statistic of the representation: {count}")
    return [*lines, *(f"  {text}" for _, text in found)]


def few_labels(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Root-mean-square error of the 3-shot error of each objective, fitted without it: by the law, and by a line on err_full."""
    wide = rows.pivot_table(index="model", columns="n", values="error").join(rows.groupby("model")["objective"].first())
    wide = wide.dropna(subset=[BUDGETS["err_full"], BUDGETS["err_3shot"]])
    direct = leave_family_out(wide[BUDGETS["err_full"]], wide[BUDGETS["err_3shot"]], wide["objective"])
    chained = {}
    for name in direct.groups:
        left = rows[(rows["objective"] == name) & (rows["n"] == BUDGETS["err_3shot"]) & rows["model"].isin(wide.index)]
        error = law(left, *fitted(rows[rows["objective"] != name])) - left["error"].to_numpy()
        chained[name] = float(np.sqrt(np.mean(error**2)))
    return pd.Series(chained), pd.Series(direct.errors, index=list(direct.groups))


def _statistic(table: pd.DataFrame, name: str) -> tuple[bool, str]:
    """Slope of the full-shot error on a statistic in standard deviations, inside objectives; whether its interval leaves out 0."""
    known = table.dropna(subset=[name, "err_full"])
    x = ((known[name] - known[name].mean()) / known[name].std()).to_numpy()
    family = known["objective"].to_numpy()
    low, high = within_between(x, known["err_full"].to_numpy(), family).within.interval()
    text = within_against_pooled(x, known["err_full"].to_numpy(), family, family, "objective")
    return bool(low > 0 or high < 0), f"{name} (per standard deviation, {len(known)} models): {text}"


def study(options: argparse.Namespace) -> int:
    numbers = [*COMPONENTS, *BUDGETS, *STATISTICS]
    table = read(options.table, names=["model", "objective"], numbers=numbers, optional=numbers)
    return report("dubois2023", recompute(table), ours(table))


def main(arguments: Sequence[str] | None = None) -> int:
    return run("dubois2023.py", __doc__ or "", study, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
