"""Wide frames with a known answer: what the claims plant their effects in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

LRS = (3e-4, 1e-3, 3e-3)
SIZES = {32: 0.6, 128: 0.25, 100_000: 0.0}  # n_unlabelled: share of the drop that so little data leaves undone at the end
STEPS = (0, 36, 100, 300, 900, 2700)
SPEED = 3.0  # x falls as exp(-SPEED lr step)
BAYES = 0.3


@dataclass(frozen=True)
class Target:
    """How y of a planted target depends on x.

    Args:
        shift, strength: which target.
        slope: data slope, in in-domain ranges per D.
        intercept: y of a fully trained encoder.
        between: standard deviation of slope and intercept over instances.
    """

    shift: str = "none"
    strength: float = 0.0
    slope: float = 1.0
    intercept: float = 0.0
    between: float = 0.1


def planted(
    rng: np.random.Generator,
    targets: Sequence[Target],
    *,
    instances: int = 12,
    source: str = "GaussianFactor",
    cells: Mapping[str, Sequence[str]] | None = None,
    replicates: int = 2,
    noise: float = 0.02,
) -> pd.DataFrame:
    """A wide frame in which every target's data slope and intercept are known, and time alone would show a slope of 1.

    x = progress + own and y = intercept + (1 - intercept) progress + slope own + noise, where progress = exp(-3 lr step) is the
    same for every run of a learning rate, and own is what little data leaves undone: only it tells runs apart at equal
    learning rate and step. In-domain targets should keep intercept 0, so that planted units are those of `coordinates`.
    Drops D and ranges R differ between instances by a factor of up to 2 in D; R is shared, as another instance's stands in.

    Args:
        rng: randomness.
        targets: what to measure.
        instances: units of inference.
        source: population family.
        cells: encoders of each pretext.
        replicates: label directions an instance, each with its own slope noise.
        noise: standard deviation of y between checkpoints.
    """
    cells = cells or {"Autoencoding": ("LinearEncoder(4)",), "FixedMask": ("LinearEncoder(4)",)}
    lr, size, step = (axis.ravel() for axis in np.meshgrid(LRS, list(SIZES), STEPS, indexing="ij"))
    progress = np.exp(-SPEED * lr * step)
    undone = np.array([SIZES[int(n)] for n in size])
    arms = np.array([f"lr{a:g}-n{b}" for a, b in zip(lr, size, strict=True)], dtype=object)
    facts, pre, adapt = [], [], []
    for i, (pretext, encoders) in itertools.product(range(instances), cells.items()):
        for encoder in encoders:
            own = (1 - progress) * (undone + 0.02 * rng.normal(size=len(lr)) * (undone > 0))
            losses = 5.0 + rng.uniform(1.0, 2.0) * (progress + own)
            for target in targets:
                slope = target.slope + target.between * rng.normal()
                intercept = target.intercept + (target.between * rng.normal() if target.intercept else 0.0)
                for replicate in range(replicates):
                    tilt = slope + target.between * rng.normal() / 2
                    error = noise * rng.normal(size=len(lr)) * (step > 0)
                    adapt.append(BAYES + intercept + (1 - intercept) * progress + tilt * own + error)
                    pre.append(losses)
                    facts.append((f"{source}-{i}", pretext, encoder, target.shift, target.strength, replicate))
    names = ("instance", "pretext", "encoder", "shift", "strength", "replicate")
    frame = pd.DataFrame(facts, columns=list(names)).loc[np.repeat(np.arange(len(facts)), len(lr))].reset_index(drop=True)
    each = len(facts)
    frame = frame.assign(lr=np.tile(lr, each), n_unlabelled=np.tile(size, each), step=np.tile(step, each), arm=np.tile(arms, each))
    return frame.assign(
        run=frame.instance + "-" + frame.pretext + "-" + frame.encoder + "-" + frame.arm,
        target=frame.instance
        + "-"
        + frame.pretext
        + "-"
        + frame["shift"]
        + frame.strength.astype(str)
        + frame.replicate.astype(str),
        source=source,
        seed=0,
        adaptation="LinearProbe",
        unit="squared",
        l_pre_profiled=np.concatenate(pre),
        l_adapt=np.concatenate(adapt),
        l_adapt_bayes=BAYES,
    ).drop(columns="arm")
