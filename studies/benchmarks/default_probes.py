"""What scikit-learn's default logistic regression leaves on the table: held-out loss and accuracy away from the minimum.

    python studies/benchmarks/default_probes.py [--n 10000] [--d 384] [--classes 10] [--condition 1000] [--c 100] [--quick]

Its default (L-BFGS, 100 iterations, stop on the largest gradient entry) certifies nothing; ours stops at a proven gap of
1e-6 nats. Lines are `name ratio value`: for losses the ratio to ours, for accuracies too, and the number itself.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from interface.convex import fit_softmax


def data(n: int, d: int, classes: int, condition: float) -> tuple[np.ndarray, np.ndarray]:
    """Features of a given condition number; every direction matters alike to the classes, however little it varies."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=(n, d))
    y = (2 * u @ rng.normal(size=(d, classes)) / np.sqrt(d) + rng.gumbel(size=(n, classes))).argmax(1)
    return u * np.geomspace(1, 1 / condition, d) @ np.linalg.qr(rng.normal(size=(d, d)))[0], y


def scores(x: np.ndarray, y: np.ndarray, weight: np.ndarray, intercept: np.ndarray) -> tuple[float, float]:
    """(mean log loss in nats, accuracy)."""
    z = x @ weight.T + intercept
    return float(np.mean(logsumexp(z, axis=1) - z[np.arange(len(y)), y])), float(np.mean(z.argmax(1) == y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=384)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--condition", type=float, default=1e3)
    parser.add_argument("--c", type=float, default=100.0, help="C of scikit-learn; ours is ridge = 1 / (C n)")
    parser.add_argument("--quick", action="store_true", help="a tiny run")
    options = parser.parse_args()
    if options.quick:
        options.n, options.d, options.classes = 400, 8, 3
    warnings.filterwarnings("ignore")  # of the iteration limit, which is the point
    x, y = data(2 * options.n, options.d, options.classes, options.condition)
    x, fresh, y, later = x[: options.n], x[options.n :], y[: options.n], y[options.n :]
    ridge = 1 / (options.c * options.n)
    fit = fit_softmax(x, y, ridge=ridge)
    heads = {"certified": (fit.weight[0].numpy(), fit.intercept[0].numpy())}
    for name, iterations in (("sklearn_default", 100), ("sklearn_1000_iterations", 1_000)):
        model = LogisticRegression(C=options.c, max_iter=iterations).fit(x, y)
        heads[name] = (model.coef_, model.intercept_)
    held_out = {name: scores(fresh, later, *head) for name, head in heads.items()}
    loss, accuracy = held_out["certified"]
    print(f"# n {options.n} d {options.d} C {options.classes}; {fit.status[0]}; name ratio value")
    print(f"certified_gap 1 {float(fit.gap):.2e}")
    for name, (weight, intercept) in heads.items():
        objective = scores(x, y, weight, intercept)[0] + ridge / 2 * float(np.sum(weight**2))
        print(f"{name}_suboptimality {objective / float(fit.value):.4f} {objective - float(fit.value):.3e}")
        print(f"{name}_held_out_loss {held_out[name][0] / loss:.4f} {held_out[name][0]:.4f}")
        print(f"{name}_held_out_accuracy {held_out[name][1] / accuracy:.4f} {held_out[name][1]:.4f}")


if __name__ == "__main__":
    main()
