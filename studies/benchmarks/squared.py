"""Least squares with many targets at once, against a loop of scikit-learn fits and one product formula.

    python studies/benchmarks/squared.py [--threads 2] [--n 5000] [--d 128] [--targets 200] [--repeats 5] [--quick]

Lines are `name ratio value`: the median over repeats of the other's time over ours, side by side, and our median seconds.
"himalaya" is its Ridge solver if that is installed, otherwise the formula of it written again here: an SVD of the centred
features, and one product for all targets (Dupré la Tour et al., NeuroImage 264, 2022).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

THREADS = argparse.ArgumentParser(add_help=False)
THREADS.add_argument("--threads", type=int, default=2)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before the libraries start theirs
    os.environ[variable] = str(THREADS.parse_known_args()[0].threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.linear_model import LinearRegression, Ridge  # noqa: E402

from interface.convex import fit_squared  # noqa: E402


def data(n: int, d: int, targets: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) * np.geomspace(1, 0.03, d) @ np.linalg.qr(rng.normal(size=(d, d)))[0] + 0.3
    return x, x @ rng.normal(size=(d, targets)) + rng.normal(size=(n, targets))


def formula(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    """Ridge weights (k, d) of all targets by one SVD."""
    x, y = x - x.mean(0), y - y.mean(0)
    left, s, right = np.linalg.svd(x, full_matrices=False)
    return ((right.T * (s / (s**2 + alpha))) @ (left.T @ y)).T


def himalaya(x: np.ndarray, y: np.ndarray, alpha: float) -> Any:
    model = importlib.import_module("himalaya.ridge").Ridge(alpha=alpha, fit_intercept=True)
    return model.fit(x, y)


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[THREADS])
    parser.add_argument("--n", type=int, default=5_000)
    parser.add_argument("--d", type=int, default=128)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tiny run")
    options = parser.parse_args()
    if options.quick:
        options.n, options.d, options.targets, options.repeats = 200, 5, 10, 1
    torch.set_num_threads(options.threads)
    x, y = data(options.n, options.d, options.targets)
    alpha = 1.0
    ridge = 2 * alpha / options.n  # half of it times the squared norm, beside the mean of the squared errors
    installed = importlib.util.find_spec("himalaya") is not None
    rivals: dict[str, tuple[float, Callable[[], Any]]] = {
        "loop_sklearn_ridge": (ridge, lambda: [Ridge(alpha=alpha).fit(x, column) for column in y.T]),
        "loop_sklearn_linear_regression": (0.0, lambda: [LinearRegression().fit(x, column) for column in y.T]),
        "sklearn_ridge_all_targets": (ridge, lambda: Ridge(alpha=alpha).fit(x, y)),
        "himalaya" if installed else "himalaya_formula": (ridge, lambda: (himalaya if installed else formula)(x, y, alpha)),
    }
    error = np.abs(fit_squared(x, y, ridge=ridge).weight[0].numpy() - formula(x, y, alpha)).max()
    print(f"# n {options.n} d {options.d} targets {options.targets} threads {options.threads}; name ratio value")
    print(f"largest_difference_of_weights 1 {error:.1e}")
    for name, (penalty, run) in rivals.items():
        ours = lambda penalty=penalty: fit_squared(x, y, ridge=penalty)  # noqa: E731
        ours(), run()
        taken = np.array([(seconds(ours), seconds(run)) for _ in range(options.repeats)])
        print(f"squared_vs_{name} {np.median(taken[:, 1] / taken[:, 0]):.2f} {np.median(taken[:, 0]):.4f}", flush=True)


if __name__ == "__main__":
    main()
