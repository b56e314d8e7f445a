"""Do the scores' standard errors say what they claim? 300 resamplings of a known population, one line an estimator.

    python studies/coverage_of_scores.py [--resamplings 300] [--n 400] [--large 20] [--only cka nce]

Coverage is the share of 95% intervals (value ± 1.96 standard errors) that hold the estimator's own mean at that n; `bias`
is that mean minus the value on one sample of `large` times as many rows, which is another question and has a column of
its own. Estimators that state no standard error are listed as such. Scores of all pairs take half the rows, and at most
PAIRWISE times as many for the large sample.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from interface import estimators as es

D, C, SOURCES, VIEWS = 6, 3, 5, 4
PAIRWISE = 8
Draw = Callable[[int, np.random.Generator], tuple]

_fixed = np.random.default_rng(2_024)
CENTRES = _fixed.normal(size=(C, D))
MIXING = _fixed.normal(size=(D, D))
SCALES = np.arange(1, D + 1) ** -0.5
TEACHER = _fixed.normal(size=(D, SOURCES))
WEIGHTS = _fixed.normal(size=(C, D))


def labelled(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping Gaussian classes."""
    y = rng.integers(C, size=n)
    return 0.8 * CENTRES[y] + SCALES * rng.normal(size=(n, D)), y


def features(n: int, rng: np.random.Generator) -> tuple[np.ndarray]:
    return (labelled(n, rng)[0],)


def wide(n: int, rng: np.random.Generator) -> tuple[np.ndarray]:
    """40 directions whose variances fall as 1/j."""
    return (rng.normal(size=(n, 40)) * np.arange(1, 41) ** -0.5,)


def paired(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = labelled(n, rng)[0]
    return x, x @ MIXING + 2 * rng.normal(size=(n, D))


def close(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, D))
    return x, x + 0.5 * rng.normal(size=(n, D))


def views(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, D))
    y = x + 0.3 * rng.normal(size=(n, D))
    return x / np.linalg.norm(x, axis=1, keepdims=True), y / np.linalg.norm(y, axis=1, keepdims=True)


def samples(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(n, D)), SCALES * rng.normal(size=(n, D)) + 0.4


def predictions(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x, y = labelled(n, rng)
    power = np.exp(x @ TEACHER)
    return power / power.sum(1, keepdims=True), y


def objects(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    groups = max(2, n // VIEWS)
    centres = np.repeat(SCALES * rng.normal(size=(groups, D)), VIEWS, axis=0)
    return centres + 0.4 * rng.normal(size=centres.shape), np.repeat(np.arange(groups), VIEWS)


def probabilities(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(0.2, 1.0, size=n), np.full(n, 0.4)


def hits(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(size=n) < 0.8, rng.uniform(size=n) < 0.55


def regression(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = features(n, rng)[0]
    return x, x @ TEACHER[:, :2] + rng.normal(size=(n, 2))


def _own(x: np.ndarray) -> np.random.Generator:
    """A generator that differs from sample to sample, so that random directions count as part of the estimator."""
    return np.random.default_rng(int(abs(float(x.sum())) * 1e9))


# name: (score, draw, rows as a share of n)
CASES: dict[str, tuple[Callable[..., float], Draw, float]] = {
    "logme": (es.logme, labelled, 1),
    "logme regression": (lambda x, t: es.logme(x, targets=t), regression, 1),
    "leep": (es.leep, predictions, 1),
    "nce": (es.nce, predictions, 1),
    "nce miller_madow": (lambda p, y: es.nce(p, y, miller_madow=True), predictions, 1),
    "n_leep": (lambda x, y: es.n_leep(x, y, components=5, seeds=[0]), labelled, 1),
    "h_score": (es.h_score, labelled, 1),
    "regularized_h_score": (es.regularized_h_score, labelled, 1),
    "transrate": (es.transrate, labelled, 1),
    "gbc": (es.gbc, labelled, 1),
    "gbc diagonal": (lambda x, y: es.gbc(x, y, covariance="diagonal"), labelled, 1),
    "rankme": (es.rankme, features, 1),
    "rankme centred": (lambda x: es.rankme(x, centred=True), features, 1),
    "effective_rank": (es.effective_rank, features, 1),
    "alpha_req": (es.alpha_req, wide, 1),
    "lidar": (es.lidar, objects, 1),
    "participation_ratio": (es.participation_ratio, features, 1),
    "stable_rank": (es.stable_rank, features, 1),
    "nesum": (es.nesum, features, 1),
    "ledoit_wolf_shrinkage": (es.ledoit_wolf_shrinkage, features, 1),
    "alignment": (es.alignment, views, 1),
    "uniformity": (lambda x, _: es.uniformity(x), views, 1),
    "nc1": (es.nc1, labelled, 1),
    "nc2": (es.nc2, labelled, 1),
    "nc3": (lambda x, y: es.nc3(x, y, weights=WEIGHTS), labelled, 1),
    "nc4": (lambda x, y: es.nc4(x, y, weights=WEIGHTS), labelled, 1),
    "cka": (es.cka, paired, 1),
    "cka debiased": (lambda x, y: es.cka(x, y, debiased=True), paired, 1),
    "cka rbf": (lambda x, y: es.cka(x, y, kernel="rbf"), paired, 0.5),
    "cka rbf debiased": (lambda x, y: es.cka(x, y, kernel="rbf", debiased=True), paired, 0.5),
    "minibatch_cka": (lambda x, y: es.minibatch_cka(x, y, batch=20), paired, 1),
    "mutual_knn": (es.mutual_knn, close, 1),
    "procrustes": (es.procrustes, paired, 1),
    "svcca": (es.svcca, paired, 1),
    "pwcca": (es.pwcca, paired, 1),
    "proxy_a_distance": (lambda x, y: es.proxy_a_distance(x, y, classifier="discriminant"), samples, 0.5),
    "mmd": (es.mmd, samples, 0.5),
    "frechet": (es.frechet, samples, 1),
    "frechet_infinity": (es.frechet_infinity, samples, 1),
    "covariance_distance": (es.covariance_distance, samples, 1),
    "linear_discrepancy": (es.linear_discrepancy, samples, 1),
    "sliced_wasserstein": (lambda x, y: es.sliced_wasserstein(x, y, projections=32, rng=_own(x)), samples, 1),
    "v_information": (es.v_information, probabilities, 1),
    "selectivity": (es.selectivity, hits, 1),
    "two_nn": (es.two_nn, features, 1),
    "two_nn maximum_likelihood": (lambda x: es.two_nn(x, convention="maximum_likelihood"), features, 1),
    "gride n1=1": (es.gride, features, 1),
    "gride n1=4": (lambda x: es.gride(x, n1=4), features, 1),
    "pactran": (es.pactran, labelled, 1),
}


def coverage(name: str, resamplings: int, n: int, large: int) -> str:
    """One line of the table."""
    score, draw, share = CASES[name]
    rows = max(16, int(n * share))
    start = time.perf_counter()
    found = [score(*draw(rows, np.random.default_rng([7, i]))) for i in range(resamplings)]
    values = np.array(found, dtype=float)
    errors = np.array([np.nan if value.stderr is None else value.stderr for value in found])
    factor = large if share == 1 else min(large, PAIRWISE)
    limit = float(score(*draw(rows * factor, np.random.default_rng(8)))) if large else float("nan")
    spread, mean = float(values.std(ddof=1)), float(values.mean())
    line = f"{name:26s} {rows:5d} {mean:10.4f} {spread:9.4f}"
    tail = f"{mean - limit:+10.4f} {time.perf_counter() - start:6.1f}"
    if np.isnan(errors).any():
        return f"{line} {'none':>9s} {'-':>6s} {tail}  states none"
    inside = float(np.mean(np.abs(values - mean) <= 1.96 * errors + 1e-15))
    verdict = "ok" if 0.90 <= inside <= 0.98 else "OUTSIDE 90-98%"
    return f"{line} {float(np.sqrt(np.mean(errors**2))):9.4f} {inside:6.3f} {tail}  {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamplings", type=int, default=300)
    parser.add_argument("--n", type=int, default=400, help="rows of a sample; pairwise scores take half")
    parser.add_argument("--large", type=int, default=20, help="large-sample value at so many times the rows; 0: none")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    print(f"{'estimator':26s} {'n':>5s} {'mean':>10s} {'sd':>9s} {'stderr':>9s} {'cover':>6s} {'bias':>10s} {'s':>6s}")
    for name in options.only:
        print(coverage(name, options.resamplings, options.n, options.large), flush=True)


if __name__ == "__main__":
    main()
