"""Cells in the units of x and y whose three numbers and contrast are known."""

import numpy as np
import pandas as pd

STEPS = (0, 36, 100, 300, 900, 2700)
RATES = {3e-4: 0.0004, 1e-3: 0.004, 3e-3: 0.02}  # x falls as exp(-rate step): the slowest does not get to .05


def cell(
    rng,
    *,
    intercept=0.3,
    slope=0.7,
    spread=0.0,
    contrast=0.0,
    instances=12,
    between=0.05,
    sizes=(32, 128, 100_000),
    noise=0.0,
    stderr=0.0,
):
    """y = I + B x in every run, plus a deviation of its own of variance `spread`; runs on the least data stop early and lie
    `contrast` higher at equal x. Little data leaves 0.2 of x undone, so that x rises again at the end."""
    rows = []
    for i in range(instances):
        own_intercept, own_slope = intercept + between * rng.normal(), slope + between * rng.normal()
        for lr, rate in RATES.items():
            for n in sizes:
                shift = np.sqrt(spread) * rng.normal() + contrast * (n == min(sizes))
                for step in STEPS:
                    undone = {min(sizes): 0.2, max(sizes): 0.0}.get(n, 0.1) * (1 - np.exp(-rate * step))
                    x = np.exp(-rate * step) + undone + 0.05 * (n == min(sizes)) * (step == STEPS[-1])
                    y = own_intercept + own_slope * x + shift + noise * rng.normal()
                    rows.append((i, lr, n, step, x, y, stderr))
    return pd.DataFrame(rows, columns=["instance", "lr", "n_unlabelled", "step", "x", "y", "stderr"])
