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
