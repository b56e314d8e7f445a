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


def planted_pair(effect: float, rng: np.random.Generator, *, instances: int, between: float) -> pd.DataFrame:
    """Two encoders of a pretext that share L_pre; the second lies `effect` ranges higher once trained, with scatter."""
    frame = planted(rng, [Target(between=between)], instances=instances, cells={"Autoencoding": ("A",)}, replicates=1, noise=0.0)
    own = (effect + between * rng.normal(size=instances))[pd.factorize(frame["instance"])[0]]
    second = frame.assign(encoder="B", run=frame["run"] + "B", l_adapt=frame["l_adapt"] + own * (frame["step"] > 0))
    return pd.concat([frame, second], ignore_index=True)


def planted_turn(effect: float, rng: np.random.Generator, *, instances: int, between: float, noise: float = 0.01) -> pd.DataFrame:
    """L* falls to its lowest at step 900 and rises by `effect` ranges until L_pre is lowest, at step 2700; two draws of each."""
    frame = planted(rng, [Target(between=0.0)], instances=instances, replicates=1, noise=0.0)
    share = {0: 1.0, 36: 0.5, 100: 0.3, 300: 0.1, 900: 0.0}
    turn = effect * np.maximum(1 + between * rng.normal(size=instances), 0.0)
    fall = frame["step"].map(share)
    level = fall.fillna(0.0) + np.where(frame["step"] == max(STEPS), turn[pd.factorize(frame["instance"])[0]], 0.0)
    loss = 7.0 - np.searchsorted(STEPS, frame["step"]) + frame["n_unlabelled"].map(lambda n: 0.1 * (n == 32))
    draws = noise * rng.normal(size=(2, len(frame)))
    low, high = (BAYES + level + d for d in draws)
    return frame.assign(l_pre_profiled=loss, l_adapt=0.5 * (low + high), l_adapt_low=low, l_adapt_high=high)


def planted_adaptations(
    rng: np.random.Generator, *, few: float = 0.0, many: float = 0.0, out_of_domain: float = 0.0, instances: int, between: float
) -> pd.DataFrame:
    """Losses of probing, fine-tuning and probing first over label counts and one shift; gaps of fine-tuning as asked for."""
    base = planted(rng, [Target(), Target("rotation", 1.0, intercept=0.3)], instances=instances, replicates=1)
    code = pd.factorize(base["instance"])[0]
    parts = [base]
    for labels, gap in ((10, few), (1000, many)):
        cost = base["l_adapt"] + 2.0 / labels
        extra = {"FineTuning": gap, "ProbeThenFineTuning": 0.0, "LinearProbe": 0.0}
        for kind, value in extra.items():
            scatter = between * rng.normal(size=instances)[code]
            shift = np.where(base["strength"] > 0, out_of_domain + between * rng.normal(size=instances)[code], value + scatter)
            here = shift if kind == "FineTuning" else 0.0
            parts.append(base.assign(adaptation=kind, n_labels=float(labels), l_adapt=cost + here))
    return pd.concat([part if "n_labels" in part else part.assign(n_labels=np.nan) for part in parts], ignore_index=True)


def planted_depths(effect: float, rng: np.random.Generator, *, shift: str, instances: int, between: float) -> pd.DataFrame:
    """Two depths; in-domain the earlier loses .2 ranges, under full shift `effect` on top of that."""
    parts = []
    for depth, gap in ((1.0, 0.2), (3.0, 0.0)):
        targets = [
            Target(between=0.0),
            Target(shift, 0.5, intercept=0.3, between=0.0),
            Target(shift, 1.0, intercept=0.6, between=0.0),
        ]
        frame = planted(np.random.default_rng(0), targets, instances=instances, replicates=1, noise=0.0)
        progress = np.exp(-SPEED * frame["lr"] * frame["step"])
        own = (effect + between * rng.normal(size=instances))[pd.factorize(frame["instance"])[0]] * frame["strength"]
        early = (gap + own) * (1 - progress) * (depth == 1.0)
        parts.append(frame.assign(depth=depth, l_adapt=frame["l_adapt"] + early))
    return pd.concat(parts, ignore_index=True)
