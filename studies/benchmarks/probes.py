"""Certified logistic probes against scikit-learn's solvers and cyanure, at the same suboptimality, side by side.

    python studies/benchmarks/probes.py [--threads 2] [--repeats 5] [--n 10000] [--part single|labels|features|all] [--quick]

Every rival stops at the loosest of its tolerances that comes within 1e-6 nats of the minimum, which our certified fit
proves; ours stops at a proven gap of 1e-6. The fastest of each package counts. Features are float32, of condition number 30
(cyanure also gets them in float64, where float32 does not lead it there); the penalty is that of C = 1 and C = 100 in
scikit-learn's units. Each repeat runs all of them one after the other (short ones several times), so that a busy machine slows
all. Lines are `name ratio value`: the median over repeats of rival's time over ours, and our median seconds. Tolerances are tried
in a process of its own, which is ended after 60 s: where no solver of a package had come within 1e-6 nats by then, `_at_least` says
what that is over our time, and that bound enters the means. What is left out is named in a comment.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

THREADS = argparse.ArgumentParser(add_help=False)
THREADS.add_argument("--threads", type=int, default=2)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before the libraries start theirs
    os.environ[variable] = str(THREADS.parse_known_args()[0].threads)

import joblib  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from cyanure.estimators import Classifier  # noqa: E402
from scipy.special import logsumexp  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from interface.convex import fit_softmax  # noqa: E402

WANTED = 1e-6  # nats
LADDER = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
PATIENCE = 60.0  # seconds after which a rival's attempt is ended
HOPELESS = 5.0  # a solver so many times slower than another of its package is not timed
PAUSE, SHORT = 0.25, 0.05  # seconds
CHOLESKY = 1_500  # unknowns up to which scikit-learn's newton-cholesky is tried

Head = tuple[np.ndarray, np.ndarray]  # weight, intercept
Fit = Callable[[float], Head]  # at a tolerance


def data(n: int, d: int, classes: int, *, seed: int = 0, condition: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated normal features and classes drawn from a linear softmax on them."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(n, d))
    y = (2 * u @ rng.normal(size=(d, classes)) / np.sqrt(d) + rng.gumbel(size=(n, classes))).argmax(1)
    y[:classes] = np.arange(classes)
    x = u * np.geomspace(1, 1 / condition, d) @ np.linalg.qr(rng.normal(size=(d, d)))[0] + 0.3 * rng.normal(size=d)
    return x.astype(np.float32), y


def objective(x: np.ndarray, y: np.ndarray, weight: np.ndarray, intercept: np.ndarray, ridge: float) -> float:
    """Mean log loss plus penalty in float64; a single row is the difference of two classes."""
    if len(weight) == 1:
        weight, intercept = np.concatenate([-weight, weight]) / 2, np.concatenate([-intercept, intercept]) / 2
    z = x.astype(np.float64) @ weight.astype(np.float64).T + intercept
    return float(np.mean(logsumexp(z, axis=1) - z[np.arange(len(y)), y]) + ridge / 2 * np.sum(weight.astype(np.float64) ** 2))


def scikit_learn(solver: str, x: np.ndarray, y: np.ndarray, ridge: float, tolerance: float) -> Head:
    halved = 2 if y.max() == 1 else 1  # the difference of two classes has twice their squared norm
    model = LogisticRegression(C=halved / (len(y) * ridge), solver=solver, tol=tolerance, max_iter=5_000).fit(x, y)
    return model.coef_, model.intercept_


def cyanure(x: np.ndarray, y: np.ndarray, ridge: float, tolerance: float) -> Head:
    binary = y.max() == 1
    model = Classifier(
        loss="logistic" if binary else "multiclass-logistic",
        penalty="l2",
        lambda_1=ridge / 2 if binary else ridge,
        tol=tolerance,
        max_iter=5_000,
        verbose=False,
        n_threads=int(os.environ["OMP_NUM_THREADS"]),
    )
    model.fit(x, y)
    weight = np.asarray(model.coef_)
    weight = weight.reshape(1, -1) if binary else weight.T
    return weight, np.asarray(model.intercept_).reshape(-1)


@dataclass(frozen=True)
class Reached:
    """Whether a rival came within 1e-6 nats: `tolerance` is the loosest that did, or None; then `why` says what stopped it.

    `seconds` is what that tolerance took, or what was waited for a tolerance that would be needed; 0 where none is known.
    """

    tolerance: float | None
    seconds: float
    why: str = ""


class Attempts:
    """Fits in a process of its own, which is ended when one takes too long."""

    def __init__(self) -> None:
        self.pool: Any = None

    def __call__(self, fit: Fit, tolerance: float, patience: float) -> tuple[Head, float] | None:
        if self.pool is None:
            self.pool = multiprocessing.get_context("spawn").Pool(1)
            self.pool.apply(int)  # when this returns, the process has imported everything
        try:
            return self.pool.apply_async(timed, (fit, tolerance)).get(patience)
        except multiprocessing.TimeoutError:
            self.pool.terminate()
            self.pool = None
            return None


ATTEMPT = Attempts()


def timed(fit: Fit, tolerance: float) -> tuple[Head, float]:
    warnings.filterwarnings("ignore")  # of rivals that stop at their largest number of iterations
    fit(1.0)  # what is imported or prepared at first use is nobody's time
    start = time.perf_counter()
    head = fit(tolerance)
    taken = time.perf_counter() - start
    return head, taken if taken > SHORT else seconds(partial(fit, tolerance))


def loosest(fit: Fit, loss: Callable[[Head], float], best: float, patience: float = PATIENCE) -> Reached:
    above = np.inf
    for tolerance in LADDER:
        found = ATTEMPT(fit, tolerance, patience)
        if found is None:
            return Reached(None, patience, f"was {above:.0e} nats above the minimum, and not nearer after {patience:.0f} s more")
        head, taken = found
        above = loss(head) - best
        if above <= WANTED:
            return Reached(tolerance, taken)
    return Reached(None, 0.0, f"stays {above:.0e} nats above the minimum at its tightest tolerance")


def rivals(x: np.ndarray, y: np.ndarray, ridge: float) -> dict[str, Fit]:
    """name -> fit(tolerance)."""
    found: dict[str, Fit] = {}
    for solver in ("newton-cg", "lbfgs", "newton-cholesky"):
        if solver != "newton-cholesky" or x.shape[1] * (y.max() + 1) <= CHOLESKY:
            found[f"sklearn_{solver}"] = partial(scikit_learn, solver, x, y, ridge)
    found["cyanure"] = partial(cyanure, x, y, ridge)
    found["cyanure_double"] = partial(cyanure, x.astype(np.float64), y, ridge)
    return found


def seconds(run: Callable[[], Any]) -> float:
    """Of a run, or the median of several short ones, after a pause: threads of what ran before would still be spinning."""
    time.sleep(PAUSE)
    taken = []
    while not taken or sum(taken) < SHORT:
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def side_by_side(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each, in turns."""
    for run in runs.values():
        run()
    taken = [{name: seconds(run) for name, run in runs.items()} for _ in range(repeats)]
    return {name: np.array([turn[name] for turn in taken]) for name in runs}


def fastest(taken: dict[str, np.ndarray], package: str) -> str | None:
    names = [name for name in taken if name.startswith(package)]
    return min(names, key=lambda name: float(np.median(taken[name]))) if names else None


def compare(label: str, x: np.ndarray, y: np.ndarray, ridge: float, repeats: int) -> dict[str, float]:
    """Prints one line for each package; ratios by package."""
    fit = fit_softmax(x, y, ridge=ridge)
    best = float(fit.value)
    if fit.status != ["ok"]:
        print(f"# {label}: ours is {fit.status[0]}, gap {float(fit.gap):.1e}")
    runs: dict[str, Callable[[], Any]] = {"ours": lambda: fit_softmax(x, y, ridge=ridge)}
    outcomes: dict[str, dict[str, Reached]] = {"sklearn": {}, "cyanure": {}}
    for name, run in rivals(x, y, ridge).items():
        package = outcomes[name.split("_")[0]]
        inside = [reached.seconds for reached in package.values() if reached.tolerance]
        if name == "cyanure_double" and (inside or package["cyanure"].seconds):
            continue  # float32 led there, or was too slow already
        patience = min(PATIENCE, max(1.0, HOPELESS * min(inside, default=PATIENCE)))
        reached = package[name] = loosest(run, lambda head: objective(x, y, *head, ridge), best, patience)
        if reached.tolerance is None:
            print(f"# {label}: {name} {reached.why}", flush=True)
        elif reached.seconds <= HOPELESS * min([*inside, reached.seconds]):
            runs[name] = partial(run, reached.tolerance)
        else:
            print(f"# {label}: {name} is more than {HOPELESS:g} times as slow as another of its package", flush=True)
    taken, ratios = side_by_side(runs, repeats), {}
    for package in ("sklearn", "cyanure"):
        name = fastest(taken, package)
        if name is not None:
            ratios[package] = float(np.median(taken[name] / taken["ours"]))
            print(f"{label}_vs_{name} {ratios[package]:.2f} {np.median(taken['ours']):.4f}", flush=True)
        elif any(reached.seconds for reached in outcomes[package].values()):
            waited = max(reached.seconds for reached in outcomes[package].values())
            ratios[package] = waited / float(np.median(taken["ours"]))
            print(f"{label}_vs_{package}_at_least {ratios[package]:.2f} {np.median(taken['ours']):.4f}", flush=True)
    return ratios


def single(sizes: list[tuple[int, int, int]], repeats: int) -> None:
    """One probe at a time; ends with geometric means."""
    every: dict[str, list[float]] = {"sklearn": [], "cyanure": []}
    for n, d, classes in sizes:
        x, y = data(n, d, classes)
        for strength in (1.0, 0.01):
            ratios = compare(f"single_n{n}_d{d}_C{classes}_l{strength:g}", x, y, strength / n, repeats)
            for package, ratio in ratios.items():
                every[package].append(ratio)
    for package, found in every.items():
        if found:
            print(f"single_geometric_mean_vs_{package} {np.exp(np.mean(np.log(found))):.2f} {len(found)}")
            print(f"single_least_vs_{package} {min(found):.2f} {len(found)}")


def many(label: str, problems: list[tuple[np.ndarray, np.ndarray]], ours: Callable[[], Any], ridge: float, repeats: int) -> None:
    """All of the problems at once against a loop, and against joblib, over the faster rival at its loosest tolerance."""
    x, y = problems[0]
    best = float(fit_softmax(x, y, ridge=ridge).value)
    runs: dict[str, Callable[[], Any]] = {"ours": ours}
    chosen = {}
    for name, run in rivals(x, y, ridge).items():
        reached = loosest(run, lambda head: objective(x, y, *head, ridge), best)
        if reached.tolerance is not None:
            chosen[name] = (reached.tolerance, min(seconds(partial(run, reached.tolerance)) for _ in range(3)))
    name = min(chosen, key=lambda name: chosen[name][1])
    tolerance = chosen[name][0]

    def one(x: np.ndarray, y: np.ndarray) -> Any:
        if name.startswith("cyanure"):
            return cyanure(x if name == "cyanure" else x.astype(np.float64), y, ridge, tolerance)
        return scikit_learn(name.split("_")[1], x, y, ridge, tolerance)

    threads = int(os.environ["OMP_NUM_THREADS"])
    with joblib.Parallel(n_jobs=threads) as pool:
        runs[f"loop_{name}"] = lambda: [one(*problem) for problem in problems]
        runs[f"joblib_{name}"] = lambda: pool(joblib.delayed(one)(*problem) for problem in problems)
        taken = side_by_side(runs, repeats)
    for rival in list(runs)[1:]:
        ratio = np.median(taken[rival] / taken["ours"])
        print(f"{label}_vs_{rival} {ratio:.2f} {np.median(taken['ours']):.4f}", flush=True)


def label_sets(count: int, n: int, d: int, classes: int, repeats: int) -> None:
    x, _ = data(n, d, classes)
    labels = np.stack([data(n, d, classes, seed=seed)[1] for seed in range(count)])
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(labels.shape) < 0.5, labels, (x @ rng.normal(size=(d, classes))).argmax(1))
    ridge = 1 / n
    many(f"label_sets_{count}", [(x, y) for y in labels], lambda: fit_softmax(x, labels, ridge=ridge), ridge, repeats)


def feature_sets(count: int, n: int, d: int, classes: int, repeats: int) -> None:
    problems = [data(n, d, classes, seed=seed) for seed in range(count)]
    x, y, ridge = np.stack([x for x, _ in problems]), np.stack([y for _, y in problems]), 1 / n
    many(f"feature_sets_{count}", problems, lambda: fit_softmax(x, y, ridge=ridge), ridge, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[THREADS])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n", type=int, nargs="+", default=[10_000])
    parser.add_argument("--d", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 10, 100])
    parser.add_argument("--part", choices=("single", "labels", "features", "all"), default="all")
    parser.add_argument("--quick", action="store_true", help="a tiny run")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")  # of rivals that stop at their largest number of iterations
    count, n, d = 64, 2_000, 64
    if options.quick:
        options.n, options.d, options.classes, options.repeats, count, n, d = [300], [4], [2, 3], 1, 3, 200, 4
    print(f"# {options.threads} threads; name ratio value")
    if options.part in ("labels", "all"):
        label_sets(count, n, d, 10, options.repeats)
    if options.part in ("features", "all"):
        feature_sets(count, n, d, 10, options.repeats)
    if options.part in ("single", "all"):
        single([(n, d, c) for n in options.n for d in options.d for c in options.classes], options.repeats)


if __name__ == "__main__":
    main()
