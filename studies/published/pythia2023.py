"""Pythia 2023: sixteen models, 27 checkpoints each; which benchmarks follow a language-modelling loss?

    python studies/published/pythia2023.py checkpoints.csv

Original: Biderman et al., "Pythia: A Suite for Analyzing Large Language Models Across Training and Scaling", ICML 2023,
arXiv:2304.01373; repository EleutherAI/pythia, evals/pythia-v1/<model>/{zero,five}-shot/*.json; licence Apache-2.0. One row a
checkpoint and number of shots, with the columns

    model, size, main_suite      name; size as in "70m"; True for the 16 main models (False for batch-size variants)
    params, shots, step          parameters, 0 or 5, training step
    lambada_nll, lambada_ppl     nats per final word of LAMBADA (the logarithm of its perplexity), and the perplexity: a proxy of
                                 the pretraining loss, not the validation loss on the Pile
    acc_<task>, se_<task>        accuracy in [0, 1] and its standard error, for the eight tasks below

Models of one size differ only in deduplication of the same data, so the size is the cluster. WSC and LogiQA are null cases: no
relation with the loss should be found there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from _comparison import errors_of_a_slope, in_words, predict_held_out, predictable, read, report, run, within_against_pooled

from interface.analysis import analyze

TASKS = ["lambada_openai", "piqa", "winogrande", "wsc", "arc_easy", "arc_challenge", "sciq", "logiqa"]
NULL_CASES = ("wsc", "logiqa")
LAST, FIRST = 143_000, 1_000  # steps
PRINTED = {
    ("pythia-12b", 0): ("lambada_openai", "perplexity", "piqa", "winogrande", "arc_easy", "arc_challenge"),
    ("pythia-6.9b", 0): ("lambada_openai", "perplexity", "piqa", "winogrande"),
    ("pythia-2.8b", 0): ("winogrande",),
    ("pythia-12b-deduped", 5): ("arc_easy", "arc_challenge", "winogrande", "piqa"),
}
SHOWN = {
    "lambada_openai": "LAMBADA accuracy",
    "piqa": "PIQA",
    "winogrande": "WinoGrande",
    "arc_easy": "ARC-e",
    "arc_challenge": "ARC-c",
}


def late(table: pd.DataFrame) -> pd.DataFrame:
    """Zero-shot checkpoints of the main models from step 1000 on."""
    return table[(table["shots"] == 0) & (table["step"] >= FIRST) & table["main_suite"]]


def recompute(table: pd.DataFrame) -> dict[str, float]:
    out = {}
    for (model, shots), tasks in PRINTED.items():
        row = table[(table["model"] == model) & (table["shots"] == shots) & (table["step"] == LAST)]
        if len(row) != 1:
            raise ValueError(f"the table has {len(row)} row(s) of {model} at {shots} shots and step {LAST}; one is needed")
        for task in tasks:
            if task == "perplexity":
                out[f"{model}, {shots}-shot, LAMBADA perplexity"] = float(row["lambada_ppl"].iloc[0])
            else:
                out[f"{model}, {shots}-shot, {SHOWN[task]} %"] = 100 * float(row[f"acc_{task}"].iloc[0])
    rows = late(table)
    related = {task: float(rows["lambada_nll"].corr(rows[f"acc_{task}"])) for task in TASKS}
    return out | {f"correlation of LAMBADA nats with {task} accuracy": value for task, value in related.items()}


def ours(table: pd.DataFrame) -> list[str]:
    rows = late(table)
    x, size, model = (rows[name].to_numpy() for name in ("lambada_nll", "size", "model"))
    lines = []
    for task in TASKS:
        y = 1 - rows[f"acc_{task}"].to_numpy()
        found = analyze(rows, pre="lambada_nll", adapt=f"acc_{task}", adapt_is="accuracy", run="model", cluster="size", step="step")
        low, high = found.slope.interval()
        word = f"in words: {found.verdict}"
        if task in NULL_CASES:
            word += " (a null case: " + ("no relation found)" if low <= 0 <= high else "A RELATION WAS FOUND)")
        lines += [
            f"{task}: {errors_of_a_slope(x, y, size, 'sizes')}",
            f"  {within_against_pooled(x, y, model, size, 'model')}",
            f"  along runs, mean over sizes: {found.slope.estimate:.4g} [{low:.4g}, {high:.4g}]; {word}",
        ]
    final = rows[rows["step"] == LAST]
    errors = {task: (1 - final[f"acc_{task}"]).to_numpy() for task in TASKS}
    logs = np.column_stack([np.ones(len(final)), np.log(final["params"])])
    largest = (final["params"] == final["params"].max()).to_numpy()
    loss = final["lambada_nll"].to_numpy()
    predictions = {task: predict_held_out(logs, loss, error, largest) for task, error in errors.items()}
    noise = {task: float(np.sqrt((final[f"se_{task}"] ** 2).mean())) for task in TASKS}
    lines += ["largest size from the smaller ones at the last step, root-mean-square error:", *in_words(predictions)]
    return lines + predictable({task: (loss, error, noise[task]) for task, error in errors.items()})


def study(options: argparse.Namespace) -> int:
    tasks = [f"{kind}_{task}" for task in TASKS for kind in ("acc", "se")]
    may_be_empty = ["lambada_nll", "lambada_ppl", *tasks]
    numbers = ["params", "shots", "step", *may_be_empty]
    table = read(options.table, names=["model", "size", "main_suite"], numbers=numbers, optional=may_be_empty)
    table["main_suite"] = table["main_suite"].astype(str).str.lower().isin(("true", "1"))
    return report("pythia2023", recompute(table), ours(table))


def main(arguments: Sequence[str] | None = None) -> int:
    return run("pythia2023.py", __doc__ or "", study, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
