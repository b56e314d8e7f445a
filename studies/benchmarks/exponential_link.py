"""How much of a loop over SciPy fits does the exponential link take? One line a case: `name ratio value`.

    python studies/benchmarks/exponential_link.py [--rows 20000] [--resamples 2000] [--loop 40] [--repeats 3]

A table with a link and 200 runs; 2,000 bootstrap resamples of rows, and of runs. The loop calls `scipy.optimize.curve_fit` with
the analytic Jacobian from the best start on the same resamples; it is timed on `--loop` of them and scaled, in turns with ours,
and the parameters of those resamples are compared: a ratio counts at equal accuracy only. The median over repeats is printed.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.optimize import curve_fit

from interface.analysis import exponential_link


def curve(x: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    return a + b * np.exp(-c * x)


def jacobian(x: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    e = np.exp(-c * x)
    return np.column_stack([np.ones_like(x), e, -b * x * e])


def resampled_rows(members: list[np.ndarray] | None, g: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers of one resample of clusters, from the same random numbers that ours draws."""
    drawn = rng.integers(0, g, size=g)
    return drawn if members is None else np.concatenate([members[cluster] for cluster in drawn])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--loop", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    n = options.rows
    run = np.arange(n) * 200 // n
    x = rng.uniform(0.5, 4, n)
    y = 0.9 - 1.5 * np.exp(-1.1 * x) + 0.02 * rng.normal(size=200)[run] + 0.05 * rng.normal(size=n)
    start = curve_fit(curve, x, y, p0=(1, -1, 1))[0]
    for name, codes in (("rows", np.arange(n)), ("runs", run)):
        g = int(codes.max()) + 1
        members = None if g == n else [np.flatnonzero(codes == cluster) for cluster in range(g)]
        ratios, differences = [], []
        for repeat in range(options.repeats):
            begin = time.perf_counter()
            ours = exponential_link(x, y, codes, rng=np.random.default_rng(repeat), resamples=options.resamples)
            middle = time.perf_counter()
            draws, theirs = np.random.default_rng(repeat), []
            for _ in range(options.loop):
                rows = resampled_rows(members, g, draws)
                theirs.append(curve_fit(curve, x[rows], y[rows], p0=start, jac=jacobian)[0])
            end = time.perf_counter()
            ratios.append((middle - begin) / ((end - middle) * options.resamples / options.loop))
            a, _, c = ours.resamples[: options.loop].T
            reference = np.array(theirs)
            differences.append(max(np.abs(a - reference[:, 0]).max(), np.abs(c - reference[:, 2]).max()))
        print(f"exponential_link_{name} ratio {np.median(ratios):.3f}")
        print(f"exponential_link_{name} largest_difference {max(differences):.1e}")


if __name__ == "__main__":
    main()
