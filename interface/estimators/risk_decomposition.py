"""Four-part decomposition of a probe's risk: approximation, usability, probe generalisation, encoder generalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interface.core import Estimate
from interface.estimators._base import Array, numpy_of, require_finite

PARTS = ("approximation", "usability", "probe_generalisation", "encoder_generalisation")
# where each risk is measured; risks on the same set are resampled together
SETS = {
    "supervised_train_train": "train",
    "train_train": "train",
    "held_in": "subset",
    "supervised_train_test": "test",
    "union_test": "test",
    "train_test": "test",
}
# the corners that a path visits, and which part each of its steps is
PATHS = {
    "down->right->down": (("train_train", 1), ("held_in", 2), ("train_test", 3)),
    "right->down->down": (("supervised_train_test", 2), ("held_in", 1), ("train_test", 3)),
    "down->down->right": (("train_train", 1), ("union_test", 3), ("train_test", 2)),
}


@dataclass(frozen=True)
class RiskDecomposition:
    """Parts of the risk by every path whose corners were measured; each path's parts sum to `risk`.

    Args:
        risk: aggregate risk, of the encoder and probe trained on train and evaluated on test.
        paths: path name -> part name -> Estimate, in the losses' own unit.
        shapley: part name -> mean over the paths, which no longer depends on the order.
        intervals: part name -> 95% percentile bootstrap interval of the Shapley average; empty without rows.
    """

    risk: Estimate
    paths: dict[str, dict[str, Estimate]]
    shapley: dict[str, Estimate]
    intervals: dict[str, tuple[float, float]]


def risk_decomposition(
    *,
    supervised_train_train: ArrayLike,
    train_train: ArrayLike,
    held_in: ArrayLike,
    train_test: ArrayLike,
    supervised_train_test: ArrayLike | None = None,
    union_test: ArrayLike | None = None,
    draws: int = 1000,
    rng: np.random.Generator | None = None,
) -> RiskDecomposition:
    """Additive parts of the risk of a probe on a pretrained encoder; in the losses' own unit, parts possibly < 0.

    High approximation: the architecture cannot fit. Usability: the pretext lost what the labels need. Probe
    generalisation: too few labels. Encoder generalisation: the encoder overfits its unlabelled rows.

    Args:
        supervised_train_train: risk of the supervised network of the same architecture on its own training rows; each
            risk is a number, or (n,) losses of rows (0-1 or log loss), which give errors and intervals.
        train_train: of the probe trained and evaluated on all training rows.
        held_in: of the probe trained on the training rows without a subset, on that subset, which the encoder saw.
        train_test: of the probe trained on all training rows, on the test rows.
        supervised_train_test: of the supervised network on the test rows; None leaves out path "right->down->down".
        union_test: of the probe on the test rows that both encoder and probe were trained with; None leaves out path
            "down->down->right".
        draws: bootstrap resamples; rows of one set (train, subset, test) are resampled together.
        rng: source of the resamples; None is a generator with seed 0.

    Returns:
        RiskDecomposition. Errors are those of evaluation rows, given the fits.

    Raises:
        ValueError: if risks mix numbers and rows, rows on one set differ in number, a value is not finite, or
            draws < 2.

    Source: Dubois, Hashimoto and Liang, ICML 2023, arXiv:2302.03068, section 3 and appendix B. Shapley average:
        over the paths whose corners can be measured.

    Example:
        >>> parts = risk_decomposition(supervised_train_train=0.02, train_train=0.2, held_in=0.26, train_test=0.3)
        >>> [round(part, 2) for part in parts.shapley.values()]
        [0.02, 0.18, 0.06, 0.04]
    """
    given = {
        "supervised_train_train": supervised_train_train,
        "train_train": train_train,
        "held_in": held_in,
        "supervised_train_test": supervised_train_test,
        "union_test": union_test,
        "train_test": train_test,
    }
    if draws < 2:
        raise ValueError(f"draws is {draws}; allowed: a number >= 2")
    losses = {name: _losses(value, name) for name, value in given.items() if value is not None}
    rows = all(value.ndim == 1 for value in losses.values())
    if not rows and any(value.ndim == 1 for value in losses.values()):
        raise ValueError("risks mix numbers and (n,) losses; give all as numbers or all as losses of rows")
    sizes: dict[str, int] = {}
    if rows:
        for name, value in losses.items():
            if sizes.setdefault(SETS[name], len(value)) != len(value):
                raise ValueError(f"{name} has {len(value)} losses; allowed: {sizes[SETS[name]]}, as other risks on its set")
    paths = {name: path for name, path in PATHS.items() if all(corner in losses for corner, _ in path)}
    means = {name: float(value.mean()) for name, value in losses.items()}
    point = {path: _parts(means, steps) for path, steps in paths.items()}
    resampled = _bootstrap(losses, sizes, paths, draws, rng) if rows else None
    n = sizes.get("test")

    def estimate(value: float, column: Array | None) -> Estimate:
        return Estimate(value, stderr=None if column is None else float(column.std(ddof=1)), how="held_out", n=n)

    table = {
        path: {part: estimate(point[path][i], None if resampled is None else resampled[:, j, i]) for i, part in enumerate(PARTS)}
        for j, path in enumerate(paths)
    }
    average = np.mean([point[path] for path in paths], axis=0)
    mixed = None if resampled is None else resampled.mean(1)
    shapley = {part: estimate(float(average[i]), None if mixed is None else mixed[:, i]) for i, part in enumerate(PARTS)}
    intervals: dict[str, tuple[float, float]] = {}
    if mixed is not None:
        low, high = np.quantile(mixed, [0.025, 0.975], axis=0)
        intervals = {part: (float(low[i]), float(high[i])) for i, part in enumerate(PARTS)}
    error = float(losses["train_test"].std(ddof=1) / np.sqrt(len(losses["train_test"]))) if rows and (n or 0) > 1 else None
    return RiskDecomposition(Estimate(means["train_test"], stderr=error, how="held_out", n=n), table, shapley, intervals)


def _losses(value: ArrayLike, name: str) -> Array:
    array = np.asarray(numpy_of(value, name), dtype=np.float64)
    if array.ndim > 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; allowed: a number or (n,) losses")
    require_finite(np.atleast_1d(array)[:, None], name)
    return array


def _parts(means: dict[str, float], steps: tuple[tuple[str, int], ...]) -> Array:
    parts = np.zeros(4)
    parts[0] = before = means["supervised_train_train"]
    for corner, part in steps:
        parts[part] = means[corner] - before
        before = means[corner]
    return parts


def _bootstrap(
    losses: dict[str, Array], sizes: dict[str, int], paths: dict[str, tuple], draws: int, rng: np.random.Generator | None
) -> Array:
    """(draws, paths, 4) parts of resampled rows."""
    rng = np.random.default_rng(0) if rng is None else rng
    found = np.empty((draws, len(paths), 4))
    for i in range(draws):
        index = {where: rng.integers(n, size=n) for where, n in sizes.items()}
        means = {name: float(value[index[SETS[name]]].mean()) for name, value in losses.items()}
        for j, steps in enumerate(paths.values()):
            found[i, j] = _parts(means, steps)
    return found
