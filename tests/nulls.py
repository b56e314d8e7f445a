"""Wide frames in which a claim's number is exactly what is asked for, written apart from the tests that they try.

Each null draws many tables at once: a table is a population `table-<k>` of its own. In all of them every run of a learning rate
shares one time trend, which moves both losses together, so that whoever takes checkpoints for units finds a link.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

LRS = (1e-3, 3e-3)
SIZES = (32, 100_000)
STEPS = (0, 300, 900, 2700)
TARGETS = (("none", 0.0), ("misalignment", 1.0), ("concept", 1.0))
FLOOR, DROP, RANGE = 2.0, 1.5, 0.8


def _axes(tables: int, instances: int) -> tuple[np.ndarray, ...]:
    shape = (tables, instances, len(LRS), len(SIZES), len(STEPS))
    lr = np.broadcast_to(np.reshape(LRS, (1, 1, -1, 1, 1)), shape)
    step = np.broadcast_to(np.reshape(STEPS, (1, 1, 1, 1, -1)), shape)
    progress = np.exp(-3 * lr * step)
    own = (1 - progress) * np.reshape((0.5, 0.0), (1, 1, 1, -1, 1))  # only little data leaves something undone
    return lr, step, progress, own


def _frame(x: np.ndarray, y: dict[tuple[str, float], np.ndarray], bayes: float | None, stderr: float | None = None) -> pd.DataFrame:
    """x, y of shape (tables, instances, lr, n, step), each table a population."""
    tables, instances, *_ = x.shape
    index = np.indices(x.shape).reshape(5, -1)
    t, i, a, n, s = index
    names = [f"table-{k}" for k in range(tables)]
    unit = [f"{name}-{k}" for name in names for k in range(instances)]
    run = [f"{name}-{k}" for name in unit for k in range(len(LRS) * len(SIZES))]
    cell = t * instances + i
    base = pd.DataFrame({
        "run": pd.Categorical.from_codes((cell * len(LRS) + a) * len(SIZES) + n, run), "step": np.take(STEPS, s),
        "instance": pd.Categorical.from_codes(cell, unit), "source": pd.Categorical.from_codes(t, names),
        "pretext": "Autoencoding", "encoder": "LinearEncoder(4)", "lr": np.take(LRS, a), "n_unlabelled": np.take(SIZES, n),
        "l_pre_profiled": FLOOR + DROP * x.ravel(),
    })  # fmt: skip
    parts = [
        base.assign(shift=shift, strength=strength, target=f"{shift}-{strength}", l_adapt=(bayes or 0.0) + RANGE * values.ravel())
        for (shift, strength), values in y.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(l_adapt_bayes=bayes if bayes is not None else np.nan, l_adapt_stderr=stderr if stderr else np.nan)


def _three_targets(theta: float, slopes: np.ndarray, gaps: np.ndarray, rises: np.ndarray, noise: dict, axes: tuple) -> pd.DataFrame:
    """In-domain slopes, gaps below them at overlap 0, rises under concept shift: (tables, instances), each with theta on top."""
    _, _, progress, own = axes
    lift = (..., None, None, None)
    y = {
        TARGETS[0]: progress + (theta + slopes)[lift] * own + noise[TARGETS[0]],
        TARGETS[1]: progress + slopes[lift] * own - gaps[lift] * own + noise[TARGETS[1]],
        TARGETS[2]: progress + (theta + slopes)[lift] * own + (theta + rises)[lift] + noise[TARGETS[2]],
    }
    return _frame(progress + own, y, bayes=0.3)


def isotropic_label_directions(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """Slopes differ between instances with mean theta; so do the gap between overlaps and the rise under concept shift."""
    axes = _axes(tables, instances)
    slopes, gaps, rises = rng.normal(size=(3, tables, instances)) * np.array([0.6, 0.4, 0.3])[:, None, None]
    noise = {target: 0.02 * rng.normal(size=axes[0].shape) * (axes[1] > 0) for target in TARGETS}
    return _three_targets(theta, slopes, gaps, rises, noise, axes)


def common_time_trends(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """Shocks that all runs of an instance share at equal learning rate and step move both losses; small differences otherwise."""
    axes = _axes(tables, instances)
    slopes, gaps, rises = 0.05 * rng.normal(size=(3, tables, instances))
    shock = 0.2 * rng.normal(size=(tables, instances, len(LRS), 1, len(STEPS))) * (np.asarray(STEPS) > 0)
    common = np.where(axes[1] < STEPS[-1], shock, 0)
    noise = {target: common + 0.05 * rng.normal(size=axes[0].shape) * (axes[1] > 0) for target in TARGETS}
    return _three_targets(theta, slopes, gaps, rises, noise, axes)


def autoregressive_runs(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """Random slopes of standard deviation .3, and errors that persist along a run (autoregression .8)."""
    axes = _axes(tables, instances)
    slopes, gaps, rises = 0.3 * rng.normal(size=(3, tables, instances))
    noise = {}
    for target in TARGETS:
        error = 0.1 * rng.normal(size=axes[0].shape)
        for t in range(1, len(STEPS)):
            error[..., t] = 0.8 * error[..., t - 1] + 0.6 * error[..., t]
        noise[target] = error * (axes[1] > 0)
    return _three_targets(theta, slopes, gaps, rises, noise, axes)


def labels_outside_x(rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """Labels that no encoder can read, as when they are drawn at random for each draw: L* is one number plus measurement noise.

    Common draws make most of that noise common to all checkpoints of an instance.
    """
    axes = _axes(tables, instances)
    stderr = 0.01
    common = rng.normal(size=(tables, instances, 1, 1, 1)) * 0.75**0.5
    y = 2.3 + stderr * (common + 0.5 * rng.normal(size=axes[0].shape)) / RANGE
    return _frame(axes[2] + axes[3], {TARGETS[0]: y}, bayes=None, stderr=stderr)


def two_encoders(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """Encoders A and B share their pretraining losses; B's y lies theta higher in the mean of instances, which scatter by .2."""
    axes = _axes(tables, instances)
    _, step, progress, own = axes
    gap = (theta + 0.2 * rng.normal(size=(tables, instances)))[..., None, None, None]
    base = progress + own + 0.3 * rng.normal(size=(tables, instances, 1, 1, 1)) * own
    first, second = (
        _frame(progress + own, {TARGETS[0]: base + lift + 0.01 * rng.normal(size=base.shape) * (step > 0)}, bayes=0.3)
        for lift in (0.0, gap * (step > 0))
    )
    return pd.concat(
        [part.assign(encoder=name, run=part["run"].astype(str) + name) for name, part in (("A", first), ("B", second))],
        ignore_index=True,
    )


def late_turns(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """y is lowest at step 900 and theta higher in the mean at the last step, where x is lowest; two draws of each."""
    axes = _axes(tables, instances)
    _, step, progress, own = axes
    turn = theta * rng.gamma(4.0, 0.25, size=(tables, instances))[..., None, None, None]
    y = np.select([step == 0, step == 300, step == 900], [1.0, 0.3, 0.0], turn)
    draws = 0.005 * rng.normal(size=(2, *y.shape)) * (step > 0)
    low, high = (_frame(progress + own, {TARGETS[0]: y + d}, bayes=0.3) for d in draws)
    sides = {"l_adapt_low": low["l_adapt"], "l_adapt_high": high["l_adapt"]}
    return high.assign(l_adapt=0.5 * (low["l_adapt"] + high["l_adapt"]), **sides)


def two_depths(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """The earlier split lies .2 higher in-domain, and theta more than that under concept shift; instances scatter by .2."""
    axes = _axes(tables, instances)
    _, step, progress, own = axes
    move = (theta + 0.2 * rng.normal(size=(tables, instances)))[..., None, None, None]
    level = 0.3 * rng.normal(size=(tables, instances, 1, 1, 1))
    parts = []
    for depth, gap, extra in ((1.0, 0.2, move), (3.0, 0.0, 0.0)):
        noise = 0.01 * rng.normal(size=(2, *step.shape)) * (step > 0)
        y = {
            TARGETS[0]: progress + gap * (step > 0) + noise[0],
            TARGETS[2]: progress + (gap + extra + 0.5 + level) * (step > 0) + noise[1],
        }
        parts.append(_frame(progress + own, y, bayes=0.3).assign(depth=depth))
    return pd.concat(parts, ignore_index=True)


LABELS = (10, 100, 1000)
ADAPTED = (*TARGETS, ("misalignment", 0.5))
KINDS = ("LinearProbe", "FineTuning", "ProbeThenFineTuning")


def _adapted(gaps: dict[tuple[str, int, tuple[str, float]], np.ndarray], rng: np.random.Generator, axes: tuple) -> pd.DataFrame:
    """Losses of each adaptation at each number of labels: `gaps` (tables, instances) say how much more than a frozen probe loses.

    Common to all adaptations: the time trend, a fall with the number of labels, an effect of the instance and shocks of
    instance x checkpoint. Runs of an instance share their gap, so that they are no units. Adapted at the last two checkpoints.
    """
    _, step, progress, own = axes
    shape = progress.shape
    level = 0.3 * rng.normal(size=(*shape[:2], 1, 1, 1))
    shock = 0.2 * rng.normal(size=(*shape[:2], 1, 1, shape[-1])) * (step > 0)
    base = {target: progress + 0.5 * own + level + shock + (0.4 if target[1] else 0.0) for target in ADAPTED}
    targets = dict.fromkeys(target for _, _, target in gaps)
    minimal = _frame(progress + own, {target: base[target] for target in targets}, bayes=0.3)
    parts = [minimal.assign(n_labels=np.nan, adaptation=KINDS[0])]
    for kind in KINDS:
        for labels in dict.fromkeys(n for _, n, _ in gaps):
            y = {
                target: base[target]
                + labels**-0.5
                + gaps.get((kind, labels, target), np.zeros(shape[:2]))[..., None, None, None]
                + 0.02 * rng.normal(size=shape)
                for target in targets
            }
            part = _frame(progress + own, y, bayes=0.3).assign(n_labels=float(labels), adaptation=kind)
            parts.append(part[part["step"] >= STEPS[-2]])
    return pd.concat(parts, ignore_index=True)


def label_counts(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12, clear: float = 1.0) -> pd.DataFrame:
    """Fine-tuning loses to a frozen probe at 10 labels and beats it at 1000: at one end by theta in the mean, else by `clear`.

    The end at theta is the fewest labels in every other table, the most in the rest. An instance's gaps at all numbers of labels
    share most of their scatter of .3; out of domain fine-tuning always loses.
    """
    few = np.where(np.arange(tables) % 2 == 0, theta, clear)[:, None]
    many = np.where(np.arange(tables) % 2 == 0, clear, theta)[:, None]
    both = rng.normal(size=(tables, instances))
    gaps = {}
    for labels, mean in zip(LABELS, (few, 0.5 * (few - many), -many), strict=True):
        for target, away in ((TARGETS[0], 0.0), (TARGETS[1], 0.7)):
            scatter = 0.3 * (0.8 * both + 0.6 * rng.normal(size=both.shape))
            gaps["FineTuning", labels, target] = mean / RANGE + away + scatter
    return _adapted(gaps, rng, _axes(tables, instances))


def heads_out_of_domain(theta: float, rng: np.random.Generator, *, tables: int, instances: int = 12) -> pd.DataFrame:
    """Under full shift fine-tuning from a random head loses theta more, in the mean, than after probing; instances scatter by .3.

    In-domain it loses .4 less, and under half the shift .4 more: whoever looks there rejects.
    """
    draw = rng.normal(size=(len(LABELS), 2, tables, instances))
    both = rng.normal(size=(tables, instances))
    gaps = {}
    for k, labels in enumerate(LABELS):
        for target in ADAPTED:
            extra = -0.4 if target[1] == 0 else 0.4 * (target[1] < 1)
            probed = 0.2 * draw[k, 0]
            gaps["ProbeThenFineTuning", labels, target] = probed
            gaps["FineTuning", labels, target] = probed + theta / RANGE + extra + 0.3 * (0.8 * both + 0.6 * draw[k, 1])
    return _adapted(gaps, rng, _axes(tables, instances))
