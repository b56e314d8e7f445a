"""Gemstones 2025: 22 models of many shapes, 35 checkpoints each; a balanced panel for clustered, mixed and curved regressions.

    python studies/published/gemstones2025.py checkpoints.csv

Original: McLeish et al., "Gemstones: A Model Suite for Multi-Faceted Scaling Laws", NeurIPS 2025, arXiv:2502.06857; repository
mcleish7/gemstone-scaling-laws: benchmarks/light_eval_df.parquet, wandb_dfs/wandb_df_for_fitting_hot_100b+_477.jsonl and
benchmarks/fineweb_{dclm,edu}_losses_combined.jsonl, joined on width, depth and step; licence MIT. One row a checkpoint, with the
columns

    model                                    name
    width, params, step, tokens              shape, active parameters, training step, tokens seen
    loss_dolma_train, loss_dclm, loss_fineweb_edu    smoothed training loss and two validation losses, nats a token
    acc_<task>                               nine benchmarks in [0, 1]; err_avg9 is 1 - their mean

The paper shows its fits as figures only, so the numbers in expected.json are derived from the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from _comparison import errors_of_a_slope, in_words, predict_held_out, predictable, read, report, run, within_against_pooled

from interface.analysis import analyze, clustered_fit, exponential_link, mixed_effects, plain_amplitude

LOSSES = ["loss_dolma_train", "loss_dclm", "loss_fineweb_edu"]
TASKS = ["arc_challenge", "arc_easy", "commonsense_qa", "hellaswag", "mmlu", "openbookqa", "piqa", "siqa", "winogrande"]
HELD_OUT = 4  # of the largest models


def recompute(table: pd.DataFrame) -> dict[str, float]:
    x, y, model = (table[name].to_numpy() for name in ("loss_dolma_train", "err_avg9", "model"))
    design = np.column_stack([np.ones_like(x), x])
    line = clustered_fit(design, y, model)
    link = exponential_link(x, y, model, rng=np.random.default_rng(0), resamples=0)
    mixed = mixed_effects(design, y, model, design[:, :1])
    total = float(((y - y.mean()) ** 2).sum())
    return {
        "rows": len(table),
        "models": len(np.unique(model)),
        "slope": line.coefficients[1],
        "naive standard error": float(np.sqrt(line.residual_variance / ((x - x.mean()) ** 2).sum())),
        "standard error clustered by model": line.contrast(np.array([0.0, 1.0]))[1],
        "R2 of the line": 1 - float(line.residuals @ line.residuals) / total,
        "exponential link: k": -plain_amplitude(link),
        "exponential link: gamma": link["rate"],
        "exponential link: eps": link["asymptote"],
        "exponential link: R2": 1 - float(((y - link.predict(x)) ** 2).sum()) / total,
        "random intercept (REML): slope": mixed.coefficients[1],
        "random intercept (REML): variance of models": mixed.random_covariance[0, 0],
        "random intercept (REML): residual variance": mixed.residual_variance,
        **{f"correlation with {loss}": float(table[loss].corr(table["err_avg9"])) for loss in LOSSES},
    }


def ours(table: pd.DataFrame) -> list[str]:
    model, y = table["model"].to_numpy(), table["err_avg9"].to_numpy()
    lines = []
    for loss in LOSSES:
        x = table[loss].to_numpy()
        lines += [f"{loss}: {errors_of_a_slope(x, y, model, 'models')}", f"  {within_against_pooled(x, y, model, model, 'model')}"]
    found = analyze(table, pre="loss_dclm", adapt="err_avg9", adapt_is="error", run="model", step="step", size="params")
    low, high = found.slope.interval()
    lines.append(f"along runs, mean over models: {found.slope.estimate:.4g} [{low:.4g}, {high:.4g}]; in words: {found.verdict}")
    link = exponential_link(table["loss_dolma_train"], y, model, rng=np.random.default_rng(0), resamples=500)
    for name in ("asymptote", "rate"):
        low, high = link.interval(name)
        lines.append(f"exponential link, {name} {link[name]:.4g} [{low:.4g}, {high:.4g}], {link.n_clusters} models ({link.status})")
    final = table[table["step"] == table["step"].max()]
    errors = {task: (1 - final[f"acc_{task}"]).to_numpy() for task in TASKS}
    largest = (final["params"].rank(method="first") > len(final) - HELD_OUT).to_numpy()
    logs = np.column_stack([np.ones(len(final)), np.log(final["params"])])  # at one step all have seen equally many tokens
    loss = final["loss_dclm"].to_numpy()
    lines.append(f"the {HELD_OUT} largest models from the {len(final) - HELD_OUT} others at the last step, root-mean-square error:")
    lines += in_words({task: predict_held_out(logs, loss, error, largest) for task, error in errors.items()})
    average = predict_held_out(logs, loss, final["err_avg9"].to_numpy(), largest)
    values = f"chained {average.chained:.4f}, one-step {average.one_step:.4f}, observed loss {average.link:.4f}"
    lines.append(f"mean of the nine errors: {values}")
    return lines + predictable({task: (loss, errors[task], 0.0) for task in TASKS})


def study(options: argparse.Namespace) -> int:
    numbers = ["width", "params", "step", "tokens", *LOSSES, *(f"acc_{task}" for task in TASKS), "err_avg9"]
    table = read(options.table, names=["model"], numbers=numbers)
    return report("gemstones2025", recompute(table), ours(table))


def main(arguments: Sequence[str] | None = None) -> int:
    return run("gemstones2025.py", __doc__ or "", study, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
