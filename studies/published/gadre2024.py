"""Gadre et al. 2024: does the loss of a small model predict the error of a large one?

    python studies/published/gadre2024.py models.csv [--tasks tasks.csv]

Original: Gadre et al., "Language models scale reliably with over-training and on downstream tasks", 2024, arXiv:2403.08540;
repository mlfoundations/scaling, exp_data/models/*.json (losses, one file a model) and exp_data/evals/*_heavy.json (accuracies);
licence MIT. One row a model (104 of them), with the columns

    train_data, model            training set (c4_original, rpj, rw_original) and architecture, as the repository names them
    params, token_multiplier     N, and tokens per parameter M as designed (5 ... 640)
    loss_c4_val                  validation loss on C4, nats a token
    err_<task>                   1 - accuracy, in [0, 1]; err_avg17 and err_avg46 are plain means over 17 and 46 tasks

and optionally tasks.csv (exp_data/eval_metadata.csv): task, n (items), for the noise of one evaluation.

Their procedure (section 3.3, table 2): a loss law L = E + a N^-h + b (M N)^-h on five small models and an error law
Err = eps - k exp(-g L) on those and one of 1.4B parameters, fitted by least squares; prediction by the chain. Both are linear but
for one parameter, which is found on a grid and refined, so that no starting value matters.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from _comparison import binomial_error, errors_of_a_slope, predictable, read, report, run, within_against_pooled
from scipy.optimize import minimize_scalar

from interface.analysis import cluster_mean

SMALL = ("d=96_l=8_h=4", "d=512_l=8_h=4", "d=576_l=24_h=8", "d=1024_l=24_h=8")
SETS = {"c4_original": "C4", "rpj": "RedPajama", "rw_original": "RefinedWeb"}
CELLS = {
    "err_arc_easy": "ARC-E",
    "err_lambada_openai": "LAMBADA",
    "err_openbook_qa": "OpenBookQA",
    "err_hellaswag_zeroshot": "HellaSwag",
    "err_avg17": "17 tasks",
}
LARGE = ("open_lm_7b", 20)
Law = Callable[[np.ndarray, np.ndarray], np.ndarray]


def profiled(columns: Callable[[float], np.ndarray], y: np.ndarray, grid: np.ndarray) -> tuple[float, np.ndarray]:
    """The nonlinear parameter and the linear coefficients at the least sum of squares."""

    def solved(value: float) -> tuple[np.ndarray, float]:
        design = columns(value)
        scale = np.abs(design).max(axis=0)
        coefficients = np.linalg.lstsq(design / scale, y, rcond=None)[0] / scale
        return coefficients, float(((design @ coefficients - y) ** 2).sum())

    best = int(np.argmin([solved(value)[1] for value in grid]))
    bounds = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)]))
    value = float(minimize_scalar(lambda v: solved(v)[1], bounds=bounds, method="bounded", options={"xatol": 1e-12}).x)
    return value, solved(value)[0]


def scaling_law(n: np.ndarray, m: np.ndarray, y: np.ndarray) -> Law:
    """y = E + a N^-h + b (M N)^-h."""
    h, (e, a, b) = profiled(lambda h: np.column_stack([np.ones_like(n), n**-h, (m * n) ** -h]), y, np.linspace(0.02, 1.5, 300))
    return lambda n, m: e + a * n**-h + b * (m * n) ** -h


def error_law(loss: np.ndarray, error: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Err = eps - k exp(-g L)."""
    lowest = loss.min()
    grid = np.geomspace(0.01, 20, 300)
    g, (eps, k) = profiled(lambda g: np.column_stack([np.ones_like(loss), -np.exp(-g * (loss - lowest))]), error, grid)
    return lambda at: eps - k * np.exp(-g * (at - lowest))


def fitted_rows(part: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The five rows of the loss law and the six of the error law.

    Raises:
        ValueError: if one of them is missing.
    """
    small = part[part["model"].isin(SMALL) & (part["token_multiplier"] == 20)]
    longer = part[(part["model"] == SMALL[0]) & (part["token_multiplier"] == 320)]
    medium = part[(part["model"] == "open_lm_1b") & (part["token_multiplier"] == 20)]
    if (len(small), len(longer), len(medium)) != (4, 1, 1):
        needs = f"the four small models and open_lm_1b at M = 20, and {SMALL[0]} at M = 320 are needed"
        raise ValueError(f"training set {part['train_data'].iloc[0]}: {needs}")
    five = pd.concat([small, longer])
    return five, pd.concat([five, medium])


def one(part: pd.DataFrame, model: str, multiplier: float) -> pd.DataFrame:
    """The row of one large model."""
    row = part[(part["model"] == model) & (part["token_multiplier"] == multiplier)]
    if len(row) != 1:
        where = f"{len(row)} row(s) of {model} at M = {multiplier:g}"
        raise ValueError(f"training set {part['train_data'].iloc[0]}: {where}; one is needed")
    return row


def chain(part: pd.DataFrame, column: str, new: pd.DataFrame) -> tuple[float, float, float]:
    """Relative errors of one large model's error: chained, from its observed loss, and in one step from N and M."""
    five, six = fitted_rows(part)
    arrays = [part_[["params", "token_multiplier", "loss_c4_val", column]].to_numpy().T for part_ in (five, six, new)]
    (n5, m5, l5, _), (n6, m6, l6, e6), (n, m, observed, truth) = arrays
    link = error_law(l6, e6)
    found = (link(scaling_law(n5, m5, l5)(n, m)), link(observed), scaling_law(n6, m6, e6)(n, m))
    chained, linked, direct = (abs(float(value[0] / truth[0]) - 1) for value in found)
    return chained, linked, direct


def recompute(table: pd.DataFrame) -> dict[str, float]:
    """The published relative errors in percent."""
    out = {}
    part = table[table["train_data"] == "rpj"]
    five, _ = fitted_rows(part)
    law = scaling_law(*five[["params", "token_multiplier", "loss_c4_val"]].to_numpy().T)
    for label, model, multiplier in (("1.4B M=640", "open_lm_1b", 640), ("6.9B M=20", *LARGE)):
        new = one(part, model, multiplier)
        n, m, loss = new[["params", "token_multiplier", "loss_c4_val"]].to_numpy().T
        out[f"RedPajama, {label}, C4 loss, relative error %"] = 100 * abs(float(law(n, m)[0] / loss[0]) - 1)
        out[f"RedPajama, {label}, 17 tasks, relative error %"] = 100 * chain(part, "err_avg17", new)[0]
    for name, shown in SETS.items():
        part = table[table["train_data"] == name]
        for column, task in CELLS.items():
            out[f"{shown}, 6.9B, {task}, relative error %"] = 100 * chain(part, column, one(part, *LARGE))[0]
    return out


def ours(table: pd.DataFrame, tasks: list[str], items: dict[str, float]) -> list[str]:
    """Clustered against naive, within against pooled, chained against one-step, and the tasks that can be predicted."""
    x, y = table["loss_c4_val"].to_numpy(), table["err_avg17"].to_numpy()
    configuration = (table["train_data"] + " " + table["model"]).to_numpy()
    lines = [
        "error over 17 tasks on C4 loss, " + errors_of_a_slope(x, y, configuration, "training sets x architectures"),
        within_against_pooled(x, y, table["train_data"].to_numpy(), configuration, "training set"),
        within_against_pooled(x, y, configuration, configuration, "training set x architecture"),
    ]
    cells = {}
    for name in SETS:
        part = table[table["train_data"] == name]
        for task in tasks:
            cells[name, task] = chain(part, f"err_{task}", one(part, *LARGE))
    frame = pd.DataFrame(cells, index=["chained", "observed loss", "one step"]).T
    chained, observed, direct = 100 * frame.median()
    average = {name: 100 * np.array(chain(part, "err_avg17", one(part, *LARGE))) for name, part in table.groupby("train_data")}
    better = cluster_mean((frame["chained"] < frame["one step"]).groupby(level=1).mean(), sorted(tasks))
    low, high = better.interval()
    lines += [
        f"6.9B from six small models, {len(tasks)} tasks x 3 training sets: median relative error {chained:.1f}% chained, "
        f"{observed:.1f}% from its observed loss, {direct:.1f}% in one step from size and tokens",
        f"the chain is the better of the two for {better.estimate:.2f} [{low:.2f}, {high:.2f}] of the tasks; "
        "the mean over 17 tasks hides this: "
        + ", ".join(f"{SETS.get(name, name)} {a:.1f}% chained, {c:.1f}% one-step" for name, (a, _, c) in average.items()),
    ]
    errors = {task: table[f"err_{task}"].to_numpy() for task in tasks}
    kinds = {task: (x, e, binomial_error(e, items[task]) if task in items else 0.0) for task, e in errors.items()}
    return lines + predictable(kinds)


def study(options: argparse.Namespace) -> int:
    header = [column for column in columns_of(options.table) if column.startswith("err_")]
    needed = ["params", "token_multiplier", "loss_c4_val", *dict.fromkeys([*CELLS, *header])]
    table = read(options.table, names=["train_data", "model"], numbers=needed)
    table["model"] = table["model"].str.strip()
    items: dict[str, float] = {}
    if options.tasks is not None:
        listed = read(options.tasks, names=["task"], numbers=["n"])
        items = dict(zip(listed["task"], listed["n"], strict=True))
    tasks = [column.removeprefix("err_") for column in header if column not in ("err_avg17", "err_avg46")]
    return report("gadre2024", recompute(table), ours(table, tasks, items))


def columns_of(path: Path) -> list[str]:
    """Names of all columns; empty where there is no such text file, which `read` then says."""
    if not path.is_file() or path.suffix.lower() in (".parquet", ".pq"):
        return list(pd.read_parquet(path).columns) if path.is_file() else []
    return list(pd.read_csv(path, nrows=0, sep="\t" if path.suffix.lower() == ".tsv" else ",").columns)


def main(arguments: Sequence[str] | None = None) -> int:
    return run("gadre2024.py", __doc__ or "", study, arguments, tasks="number of items of each task: columns task, n")


if __name__ == "__main__":
    raise SystemExit(main())
