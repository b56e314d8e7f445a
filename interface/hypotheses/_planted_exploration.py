"""Wide frames with a known answer to an exploratory question."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from interface.hypotheses._planted import BAYES, STEPS, Target, planted


def _base(rng: np.random.Generator, *, noise: float = 0.02, instances: int = 8) -> pd.DataFrame:
    return planted(rng, [Target(between=0.05)], instances=instances, replicates=1, noise=noise)


def planted_sizes(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """Three sizes; a factor e of size lowers L_pre by .3, and L* by `effect` through it."""
    base = _base(rng)
    parts = []
    for size in (1_000, 3_000, 9_000):
        drop = 0.3 * np.log(size / 1_000) * (1 + 0.3 * rng.normal(size=len(base))) * (base["step"] > 0)
        parts.append(
            base.assign(
                n_params=size, encoder=f"E{size}", run=base["run"] + f"-{size}", l_pre_profiled=base["l_pre_profiled"] - drop,
                l_adapt=base["l_adapt"] + effect / 0.3 * drop + 0.01 * rng.normal(size=len(base)),
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def planted_columns(rng: np.random.Generator, effects: Mapping[str, float], *, log: bool = False) -> pd.DataFrame:
    """Columns that are independent of x and move y by their effect."""
    frame = _base(rng)
    trained = (frame["step"] > 0).to_numpy()
    for name, effect in effects.items():
        value = rng.normal(size=len(frame))
        frame = frame.assign(**{name: np.exp(value) if log else value}, l_adapt=frame["l_adapt"] + effect * value * trained)
    return frame


def planted_tail(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """Three checkpoints after the last, on which L_pre stays and L* rises by `effect` in all."""
    frame = _base(rng, noise=0.0)
    end = frame[frame["step"] == STEPS[-1]]
    tail = [
        end.assign(step=STEPS[-1] * 3**k, l_adapt=end["l_adapt"] + effect * k / 3 + 0.01 * rng.normal(size=len(end)))
        for k in (1, 2, 3)
    ]
    return pd.concat([frame, *tail], ignore_index=True)


def planted_threshold(effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """error = (1 - effect) y + effect min(y, .3), up to a constant: flat above a threshold where effect is 1."""
    frame = _base(rng)
    y = frame["l_adapt"] - BAYES
    return frame.assign(error=(1 - effect) * y + effect * np.minimum(y, 0.3) + 0.005 * rng.normal(size=len(frame)))


def planted_power(exponent: float, rng: np.random.Generator) -> pd.DataFrame:
    """y = .1 + .9 x^exponent along every run, with x the share of the drop that is left."""
    frame = _base(rng, noise=0.0)
    pre = frame["l_pre_profiled"]
    family = [frame["instance"], frame["pretext"], frame["encoder"]]
    largest = frame["n_unlabelled"] == frame["n_unlabelled"].max()
    low = pre.where(largest).groupby(family).transform("min")
    high = pre.where(frame["step"] == 0).groupby(family).transform("mean")
    x = np.maximum((pre - low) / (high - low), 0)
    return frame.assign(l_adapt=BAYES + 0.1 + 0.9 * x**exponent + 0.002 * rng.normal(size=len(frame)))
