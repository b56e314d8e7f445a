"""What the scores cost, in multiples of one product X'X on the same machine in the same run.

    python studies/benchmarks/scores.py [--n 50000] [--d 512] [--classes 100] [--dtype float64] [--repeats 3] [--no-baselines]

Prints lines `name ratio value seconds`: the median over repeats, each timed beside its own X'X, so that a busy machine
slows both. "public" lines are the published algorithms of the public implementations, written again here and timed on the
same features. Set the number of threads by OMP_NUM_THREADS before the start.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from interface import estimators as es


def data(n: int, d: int, classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Features whose variances fall as 1/j in a random basis, with class means a fifth of a standard deviation apart."""
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=n)
    x = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5
    x = x @ np.linalg.qr(rng.normal(size=(d, d)))[0] + 0.2 * rng.normal(size=(classes, d))[y]
    return x.astype(dtype), y


# ---- the published algorithms --------------------------------------------------------------------------------------


def public_logme(x: np.ndarray, y: np.ndarray) -> float:
    """Fixed point after an SVD of X'X, class by class (THUML LogME)."""
    return float(es.logme(x, y, convention="fixed_point"))


def public_h_score(x: np.ndarray, y: np.ndarray) -> float:
    """Two covariances of n x d arrays and a pseudo-inverse (Transfer-Learning-Library)."""
    return float(es.h_score(x, y, convention="tllib"))


def public_transrate(x: np.ndarray, y: np.ndarray) -> float:
    """Log-determinants of d x d matrices by LU, one a class (Transfer-Learning-Library)."""

    def rate(z: np.ndarray) -> float:
        return float(0.5 * np.linalg.slogdet(np.eye(z.shape[1]) + z.T @ z / (len(z) * 1e-4))[1])

    z = x - x.mean(0, keepdims=True)
    classes = int(y.max()) + 1
    return rate(z) - sum(rate(z[y == c]) for c in range(classes)) / classes


def public_alpha_req(x: np.ndarray, y: np.ndarray) -> float:
    """Principal components by a full SVD, then weighted least squares (SirNader, Stringer)."""
    s = np.linalg.svd(x - x.mean(0), full_matrices=False)[1]
    values = s**2 / (len(x) - 1)
    j = np.arange(3, len(values) // 2 + 1)
    return float(-np.polyfit(np.log(j), np.log(values[j - 1]), 1)[0])


def public_gbc(x: np.ndarray, y: np.ndarray) -> float:
    """Pair by pair in Python (google stable_transfer, spherical)."""
    labels = np.unique(y)
    means = {c: x[y == c].mean(0) for c in labels}
    variances = {c: np.maximum(x[y == c].var(0), 1e-4).mean() for c in labels}
    total = 0.0
    for a in labels:
        for b in labels:
            if a != b:
                middle = (variances[a] + variances[b]) / 2
                distance = ((means[a] - means[b]) ** 2 / middle).sum() / 8
                total += np.exp(-distance - 0.5 * (np.log(middle) - 0.5 * np.log(variances[a]) - 0.5 * np.log(variances[b])))
    return float(-total)


def public_rankme(x: np.ndarray, y: np.ndarray) -> float:
    """Singular values of the features (rankme-reprod)."""
    s = np.linalg.svd(x, compute_uv=False)
    p = s / s.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


PUBLIC: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "logme": public_logme,
    "h_score": public_h_score,
    "transrate": public_transrate,
    "alpha_req": public_alpha_req,
    "gbc": public_gbc,
    "rankme": public_rankme,
}

# ---- ours ----------------------------------------------------------------------------------------------------------


def seven(x: np.ndarray, y: np.ndarray, precision: str) -> dict[str, float]:
    """The seven scores from one shared pass."""
    statistics = es.Statistics(class_products=True, precision=precision).add(x, y)
    return {
        "logme": es.logme(statistics),
        "h_score": es.h_score(statistics),
        "regularized_h_score": es.regularized_h_score(statistics),
        "transrate": es.transrate(statistics),
        "gbc": es.gbc(statistics),
        "rankme": es.rankme(statistics),
        "alpha_req": es.alpha_req(statistics),
    }


def ours(x: np.ndarray, y: np.ndarray, precision: str) -> dict[str, Callable[[], float]]:
    """Each score with a pass of its own, and the seven together."""
    one = lambda: es.Statistics(precision=precision)  # noqa: E731
    return {
        "statistics": lambda: one().add(x, y).n,
        "statistics_class_products": lambda: es.Statistics(class_products=True, precision=precision).add(x, y).n,
        "seven_together": lambda: seven(x, y, precision)["logme"],
        "logme_with_statistics": lambda: es.logme(one().add(x, y)),
        "h_score_with_statistics": lambda: es.h_score(one().add(x, y)),
        "regularized_h_score_with_statistics": lambda: es.regularized_h_score(one().add(x, y)),
        "gbc_with_statistics": lambda: es.gbc(one().add(x, y)),
        "rankme_with_statistics": lambda: es.rankme(one().add(x)),
        "alpha_req_with_statistics": lambda: es.alpha_req(one().add(x)),
        "transrate": lambda: es.transrate(x, y, blocks=0),
    }


def measure(name: str, run: Callable[[], float], product: Callable[[], object], repeats: int) -> str:
    """One line; X'X is timed before and after each run."""
    ratios, seconds, value = [], [], float("nan")
    for _ in range(repeats):
        start = time.perf_counter()
        product()
        middle = time.perf_counter()
        value = float(run())
        end = time.perf_counter()
        product()
        last = time.perf_counter()
        seconds.append(end - middle)
        ratios.append((end - middle) / (0.5 * (middle - start + last - end)))
    return f"{name} {np.median(ratios):.2f} {value:.8g} {np.median(seconds):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--d", type=int, default=512)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--precision", choices=("float64", "input"), default="float64", help="of the products, as in Statistics")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-baselines", action="store_true")
    options = parser.parse_args()
    x, y = data(options.n, options.d, options.classes, options.dtype)
    probabilities = np.random.default_rng(1).dirichlet(np.ones(100), size=min(options.n, 50_000))

    def product() -> np.ndarray:
        return x.T @ x

    product()
    print(f"# n {options.n} d {options.d} C {options.classes} {options.dtype}; ratios to one X'X; name ratio value seconds")
    print(measure("product", lambda: float(product()[0, 0]), product, options.repeats))
    for name, run in ours(x, y, options.precision).items():
        print(measure(name, run, product, options.repeats), flush=True)
    print(measure("leep_100_source_classes", lambda: es.leep(probabilities, y[: len(probabilities)]), product, options.repeats))
    if not options.no_baselines:
        for name, algorithm in PUBLIC.items():
            print(measure(f"public_{name}", lambda f=algorithm: f(x, y), product, 1), flush=True)


if __name__ == "__main__":
    main()
