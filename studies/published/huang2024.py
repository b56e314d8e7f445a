"""Huang et al. 2024: bits per character against benchmark scores, over 28 public language models.

    python studies/published/huang2024.py models.csv

Original: Huang et al., "Compression Represents Intelligence Linearly", COLM 2024, arXiv:2404.09937 (bits per character: leaderboard
in the README of hkust-nlp/llm-compression-intelligence, MIT) joined by model with Ruan et al., "Observational Scaling Laws", 2024,
arXiv:2405.10938 (accuracies: eval_results/base_llm_benchmark_eval.csv of ryoungj/ObsScaling, Apache-2.0). One row a model, with the
columns

    model, family                                        name; series of models (Llama-2, Qwen1.5, ...)
    bpc_cc, bpc_python, bpc_arxiv_math, bpc_avg          bits per character on three kinds of text, and their mean
    params_b, tokens_t                                   parameters in 1e9, tokens in 1e12; tokens may be empty
    acc_mmlu, acc_arc_c, acc_hellaswag, acc_winogrande, acc_truthfulqa, acc_gsm8k, acc_xwinograd, acc_humaneval
                                                         in [0, 1]; may be empty

The paper's r of about -.95 in each area is with its own benchmark scores, which are not released.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from _comparison import errors_of_a_slope, in_words, predict_held_out, predictable, read, report, run, within_against_pooled

LOSSES = ["bpc_cc", "bpc_python", "bpc_arxiv_math", "bpc_avg"]
TASKS = ["mmlu", "arc_c", "hellaswag", "winogrande", "truthfulqa", "gsm8k", "xwinograd", "humaneval"]
PAIRS = (
    ("bpc_avg", "mmlu", "MMLU"), ("bpc_cc", "arc_c", "ARC-C"), ("bpc_cc", "hellaswag", "HellaSwag"),
    ("bpc_python", "humaneval", "HumanEval"), ("bpc_arxiv_math", "gsm8k", "GSM8K"),
)  # fmt: skip
LARGE = 30  # 1e9 parameters, from which on a model is held out


def mean_of_three(table: pd.DataFrame) -> pd.Series:
    """Mean of MMLU, ARC-C and HellaSwag over those that a model has."""
    return table[["acc_mmlu", "acc_arc_c", "acc_hellaswag"]].mean(axis=1)


def recompute(table: pd.DataFrame) -> dict[str, float]:
    out = {"bpc_avg with the mean of MMLU, ARC-C and HellaSwag": float(table["bpc_avg"].corr(mean_of_three(table)))}
    return out | {f"{loss} with {shown}": float(table[loss].corr(table[f"acc_{task}"])) for loss, task, shown in PAIRS}


def ours(table: pd.DataFrame) -> list[str]:
    lines = []
    for loss, task, shown in PAIRS:
        known = table.dropna(subset=f"acc_{task}")
        x, family = known[loss].to_numpy(), known["family"].to_numpy()
        y = 1 - known[f"acc_{task}"].to_numpy()
        lines += [f"error on {shown} on {loss}: {errors_of_a_slope(x, y, family, 'families')}"]
        lines += ["  " + within_against_pooled(x, y, family, family, "family")]
    predictions = {}
    for task in TASKS:
        known = table.dropna(subset=[f"acc_{task}", "tokens_t"])
        logs = np.column_stack([np.ones(len(known)), np.log(known["params_b"]), np.log(known["tokens_t"])])
        error, large = 1 - known[f"acc_{task}"].to_numpy(), (known["params_b"] >= LARGE).to_numpy()
        if large.any() and (~large).sum() > logs.shape[1]:
            predictions[task] = predict_held_out(logs, known["bpc_avg"].to_numpy(), error, large)
    lines += [f"models of {LARGE}e9 parameters or more from the smaller ones, root-mean-square error:", *in_words(predictions)]
    known_tasks = {}
    for task in TASKS:
        known = table.dropna(subset=f"acc_{task}")
        known_tasks[task] = (known["bpc_avg"].to_numpy(), 1 - known[f"acc_{task}"].to_numpy(), 0.0)
    return lines + predictable(known_tasks)


def study(options: argparse.Namespace) -> int:
    accuracies = [f"acc_{task}" for task in TASKS]
    numbers = [*LOSSES, "params_b", "tokens_t", *accuracies]
    table = read(options.table, names=["model", "family"], numbers=numbers, optional=["tokens_t", *accuracies])
    return report("huang2024", recompute(table), ours(table))


def main(arguments: Sequence[str] | None = None) -> int:
    return run("huang2024.py", __doc__ or "", study, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
