"""Gaussian worlds whose losses and whose truth about three claims are known without sampling or training.

An encoder keeps r directions: those that the flow exp(t S_n) W_0 has turned to after time t = rate x step, where S_n is the
covariance of n unlabelled draws. L_pre is the reconstruction error of its best linear decoder, L* the error of its best linear
probe, both in closed form over the population. Linked worlds: the label lies in what reconstruction keeps (claim 1 holds), concept
shift turns it out of that (claim 2), and without overlap there is no link (claim 3). Unlinked worlds: the label lies outside, the
shift only turns it inside that complement, and "overlap 0" is another label of the same kind, so that none of the three holds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

D, R = 16, 4
RATES = {3e-4: 0.003, 1e-3: 0.01, 3e-3: 0.03}
SIZES = (32, 128, 100_000)
STEPS = (0, 36, 100, 300, 900, 2700)
NOISE = 0.3


def exact_world(rng: np.random.Generator, *, linked: bool, instances: int = 12, directions: int = 4) -> pd.DataFrame:
    """Wide frame of one population: exact losses of every checkpoint on its three targets."""
    rows = []
    for i in range(instances):
        spectrum = np.sort(rng.uniform(0.5, 1.5, D) * np.geomspace(3.0, 0.3, D))[::-1]
        labels = [_labels(rng, linked) for _ in range(directions)]
        for lr, rate in RATES.items():
            for n in SIZES:
                sample = rng.normal(size=(min(n, 4_000), D)) * np.sqrt(spectrum)
                seen = sample.T @ sample / len(sample) if n < SIZES[-1] else np.diag(spectrum)
                values, vectors = np.linalg.eigh(seen)
                start = vectors.T @ rng.normal(size=(D, R))
                for step in STEPS:
                    grown = np.exp(rate * step * (values - values[-1]))
                    w = np.linalg.qr(vectors @ (grown[:, None] * start) if step else vectors @ start)[0]
                    pre, losses = _losses(w, spectrum, labels)
                    for replicate, by_target in enumerate(losses):
                        for (shift, strength), loss in by_target.items():
                            rows.append((f"GaussianFactor-{i}", lr, n, step, shift, strength, replicate, pre, loss))
    names = ["instance", "lr", "n_unlabelled", "step", "shift", "strength", "replicate", "l_pre_profiled", "l_adapt"]
    frame = pd.DataFrame(rows, columns=names)
    run = frame.instance + "-" + frame.lr.astype(str) + "-" + frame.n_unlabelled.astype(str)
    return frame.assign(
        run=run, target=frame.instance + frame["shift"] + frame.strength.astype(str) + frame.replicate.astype(str), seed=0,
        source="GaussianFactor", pretext="Autoencoding", encoder="LinearEncoder(4)", adaptation="LinearProbe", unit="squared",
        l_adapt_bayes=NOISE**2,
    )  # fmt: skip


def _labels(rng: np.random.Generator, linked: bool) -> dict[tuple[str, float], np.ndarray]:
    """Directions of the label in whitened coordinates, in which the axes are the eigenvectors of the population."""

    def unit(first: int, last: int) -> np.ndarray:
        v = np.zeros(D)
        v[first:last] = rng.normal(size=last - first)
        return v / np.linalg.norm(v)

    if linked:
        return {("none", 0.0): unit(0, R), ("misalignment", 1.0): unit(R, D), ("concept", 1.0): unit(R, D)}
    away = unit(R, D)
    return {("none", 0.0): away, ("misalignment", 1.0): unit(R, D), ("concept", 1.0): unit(R, D)}


def _losses(
    w: np.ndarray, spectrum: np.ndarray, labels: list[dict[tuple[str, float], np.ndarray]]
) -> tuple[float, list[dict[tuple[str, float], float]]]:
    gram = w.T @ (spectrum[:, None] * w)
    pre = float(spectrum.sum() - np.trace(np.linalg.solve(gram, w.T @ (spectrum[:, None] ** 2 * w))))
    read = np.sqrt(spectrum)[:, None] * w

    def loss(a: np.ndarray) -> float:
        return float(NOISE**2 + 1 - (a @ read) @ np.linalg.solve(gram, read.T @ a))

    return pre, [{target: loss(a) for target, a in by_target.items()} for by_target in labels]
