"""Does a printed 95% interval hold what it is about? One call draws one table for each kind of interval, with the truth known."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from interface.analysis import (
    cluster_mean,
    clustered_fit,
    cr2,
    errors_in_variables,
    exponential_link,
    hinge,
    interval_of_one_new,
    mediation,
    mixed_effects,
    noise_shares,
    panel,
    permuted_slope,
    sufficiency,
    three_numbers,
    wild_bootstrap,
    within_between,
)

curves = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "tests" / "analysis" / "curves.py")))


def covered(limits: tuple[float, float], truth: float) -> bool:
    return bool(limits[0] <= truth <= limits[1])


def numbers_cover(rng: np.random.Generator, g: int) -> dict[str, bool]:
    """The three numbers and the contrast."""
    table = panel(curves.cell(rng, intercept=0.3, slope=0.7, spread=0.02, between=0.1, contrast=0.05, instances=g))
    found, contrast = three_numbers(table), sufficiency(table)
    everyone = 0.02 + 0.05**2 * 2 / 8  # a contrast of three runs in nine adds its variance
    return {
        "intercept": covered(found.intercept.interval(), 0.3 + 0.7 * found.x0),
        "slope": covered(found.slope.interval(), 0.7),
        "spread at x0 (2 runs)": covered(found.spread.interval(), 0.02),
        "spread of all (9 runs)": covered(found.spread_all.interval(), everyone),
        "contrast": covered(contrast.mean.interval(), 0.05),
    }


def regressions_cover(rng: np.random.Generator, g: int) -> dict[str, bool]:
    """Every interval of a regression over g clusters of 8 rows; true slope 0.5, of random slopes of deviation .2."""
    code = np.repeat(np.arange(g), 8)
    x = rng.normal(size=8 * g) + 0.5 * rng.normal(size=g)[code]
    own = 0.5 + 0.2 * rng.normal(size=g)
    y = own[code] * x + 0.5 * rng.normal(size=g)[code] + 0.5 * rng.normal(size=8 * g)
    design = np.column_stack([np.ones(8 * g), x])
    estimate, error = (fit := clustered_fit(design, y, code)).contrast(np.array([0.0, 1.0]))
    noisy = x + 0.4 * rng.normal(size=8 * g)
    positive = 2 + rng.uniform(0, 2, 8 * g)
    bent = np.exp(-positive) * -2 + 0.05 * rng.normal(size=g)[code] + 0.05 * rng.normal(size=8 * g)
    broken = np.minimum(positive - 3, 0) + 0.1 * rng.normal(size=g)[code] + 0.1 * rng.normal(size=8 * g)
    treat = rng.normal(size=8 * g)
    loss = -0.8 * treat + 0.3 * rng.normal(size=g)[code] + 0.5 * rng.normal(size=8 * g)
    away = 0.5 * loss - 0.2 * treat + 0.2 * rng.normal(size=g)[code] * loss + 0.3 * rng.normal(size=8 * g)
    values = rng.normal(size=g + 1)
    found = {
        "CR1": covered((estimate - fit.quantile() * error, estimate + fit.quantile() * error), 0.5),
        "CR2": covered(cr2(design, y, code, [0, 1]).interval(), 0.5),
        "within groups": covered(within_between(x, y, code).within.interval(), 0.5),
        "mixed effects": covered(mixed_effects(design, y, code, design).contrast([0, 1]).interval(), 0.5),
        "errors in variables": covered(errors_in_variables(noisy, y, 0.4, code, draws="independent").slope.interval(), 0.5),
        "exponential link: rate": covered(exponential_link(positive, bent, code, rng=rng, resamples=500).interval("rate"), 1.0),
        "hinge: knot": covered(hinge(positive, broken, code, rng=rng, resamples=300).interval("knot"), 3.0),
        "mediation: indirect": covered(mediation(treat, loss, away, code, rng=rng, resamples=500).interval(), -0.4),
        "one new cluster": covered(interval_of_one_new(cluster_mean(values[:g], range(g))), values[g]),
        "run variance": covered(noise_shares(0.2 * values[:g] + 0.1 * rng.normal(size=g), [0.1] * g).run_interval, 0.04),
    }
    if g <= 12:
        found["wild bootstrap"] = covered(wild_bootstrap(design, y, code, [0, 1]).interval(), 0.5)
    return found


def one_data_set_covers(rng: np.random.Generator, g: int) -> dict[str, bool]:
    """The permutation interval, whose design has 3 learning rates, 3 levels and 2 seeds whatever g."""
    x = np.array([0.5, 0.2, 0.0])[:, None, None] + 0.05 * rng.normal(size=(3, 3, 2, 3))
    y = 0.7 * x + 0.1 * rng.normal(size=(3, 3, 2, 1)) + 0.02 * rng.normal(size=x.shape)
    return {"one data set, permutation": covered(permuted_slope(x, y).interval(), 0.7)}


COVERING: tuple[Callable[[np.random.Generator, int], dict[str, bool]], ...] = (
    numbers_cover,
    regressions_cover,
    one_data_set_covers,
)
# what documentation promises instead of .95, at few clusters
SHORT = {"spread at x0 (2 runs)": 0.925, "spread of all (9 runs)": 0.945, "CR1": 0.9, "CR2": 0.93, "within groups": 0.93,
         "errors in variables": 0.93, "exponential link: rate": 0.93, "hinge: knot": 0.93, "mediation: indirect": 0.93,
         "mixed effects": 0.94}  # fmt: skip
