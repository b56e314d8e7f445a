"""How much faster is the default sweep than a loop over its runs and checkpoints? Lines `name ratio value`; target 5.

    python studies/benchmarks/naive_sweep.py [--threads 2] [--steps 2700] [--instances 12] [--pretexts Autoencoding] [--quick]

The default sweep, or its part of fewer pretexts, instances or steps, end to end, in seconds by the clock on a machine that does
nothing else. Both sides have the same number of threads: ours as one process each, as in `run_sweep.py`, started within the time;
the loop as threads of torch and of BLAS. The whole sweep (`--pretexts all`) takes half an hour. Fewer instances make smaller
stacks, fewer steps less training; ours gains least then.

The loop trains one `nn.Module` after the other with `torch.optim.Adam` from the same parameters on the same batches, and measures
one checkpoint at a time: closed forms in NumPy where the world is Gaussian, scikit-learn's fastest logistic regression on the drawn
targets, at the loosest tolerance that reaches our gap (found on the first problem; tightened where one of every 20 checked does
not). Data are drawn once a target, as ours are. The loop is spared what it would not know: the range that theory allows, and the
files. A ratio counts at equal losses only: their median relative difference must be below 1e-5 and that of 99% below 5e-3. The
largest is printed, with where it is, and not held to a limit: round-off grows in training at the highest learning rate.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from interface import table
from interface.checkpoints import Checkpoint
from interface.convex import fit_softmax
from interface.convex._steady import RUNAWAY
from interface.core import fingerprint
from interface.jobs import Work
from interface.measurement import Transfer
from interface.measurement.adaptation import default_draws
from interface.measurement.batch import Batch
from interface.measurement.draws import draws
from interface.measurement.pretraining import has_exact_loss, pretraining_losses
from interface.populations import Examples, Population
from interface.pretexts import Pretext
from interface.seeds import generator
from interface.sweep import Sweep, load
from interface.training import Pretrained, Pretraining, pretrain
from interface.workers import execute

GAP = 1e-6
CHECKED = 20  # one logistic regression in so many is compared with ours
BLOCK = 64  # batch indices are drawn for this many steps at once, in ours and here
UNATTAINED = ("vacuous_lower", "not_converged")
SOLVERS = ("newton-cholesky", "newton-cg", "lbfgs")
ROOT = Path(__file__).parents[2]
Losses = dict[tuple[str, int, str, str, int | None], float]  # by run, step, quantity, target and replicate


def reduced(instances: int, steps: int, pretexts: Sequence[str]) -> Sweep:
    """The default sweep with its first instances, the checkpoints up to `steps`, and these pretexts or "all"."""
    whole = load(ROOT / "studies" / "sweeps" / "default.py", 1.0)
    kept = [
        run
        for run in whole.pretrainings
        if int(run.source.instance.rpartition("-")[2]) < instances and ("all" in pretexts or run.pretext.name in pretexts)
    ]
    shorter = tuple(replace(run, steps=tuple(step for step in run.steps if step <= steps)) for run in kept)
    return Sweep("reduced", shorter, whole.transfers)


SWEEP_FILE = """import sys
sys.path.insert(0, {folder!r})
from naive_sweep import reduced
def cells(scale=1.0):
    return reduced{size!r}
"""


def ours(sweep: Sweep, path: Path, processes: int) -> tuple[float, Losses]:
    """Seconds, and the losses; nan where there is no minimum to compare. Several processes read the sweep from its file."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        _, failures = execute(Work(path, 1.0, Path(folder)), sweep, jobs=processes, progress=lambda seconds: None)
        assert not failures, failures
        table.compact(folder)
        seconds = time.perf_counter() - began
        frame = table.read(folder)
    frame = frame[frame["quantity"].isin(["l_pre_profiled", "l_adapt"])].astype({"target": "object"})
    frame.loc[frame["status"].isin(UNATTAINED), "value"] = np.nan
    keys = frame[["run", "step", "quantity", "target", "replicate"]].astype(object)
    keys = keys.where(keys.notna(), None).itertuples(index=False, name=None)
    return seconds, dict(zip(keys, frame["value"].tolist(), strict=True))


# the loop ------------------------------------------------------------------------------------------------------------------


@cache
def pool(source: Population, seed: int, n: int, views: int) -> Examples:
    return source.views(n, views, generator("pool", fingerprint(source), seed, n, views))


def trained(run: Pretraining, start: dict[str, torch.Tensor]) -> list[Pretrained]:
    """The run's checkpoints by a plain loop."""
    model = run.build()
    model.load_state_dict(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=run.optimizer.lr)
    key, batch, pretext = (fingerprint(run.source), run.seed), run.optimizer.batch, run.pretext
    x, y = pool(run.source, run.seed, run.n_unlabelled, run.views)
    indices, noise = generator("batches", *key), generator("noise", pretext.name, *key)
    kept = []
    for step in range(run.steps[-1] + 1):
        if step in run.steps:
            copy = run.build()
            copy.load_state_dict(model.state_dict())
            kept.append(copy.eval().requires_grad_(False))
        if step == run.steps[-1]:
            break
        if step % BLOCK == 0:
            uniform = torch.rand(BLOCK, batch, 3, generator=indices)
        u = uniform[step % BLOCK]
        base = (u[:, 0] * run.n_unlabelled).long().clamp_max(run.n_unlabelled - 1)
        first = (u[:, 1] * run.views).long().clamp_max(run.views - 1)
        views = [first]
        if pretext.n_views == 2:
            views.append((first + 1 + (u[:, 2] * (run.views - 1)).long().clamp_max(run.views - 2)) % run.views)
        examples = Examples(torch.stack([x[base, view] for view in views], dim=1), y[base])
        drawn = pretext.noise(batch, run.source.input_dim, noise)
        optimizer.zero_grad()
        pretext.loss(model.encoder, model.head, pretext.view(examples, drawn)).mean().backward()
        optimizer.step()
    return kept


@cache
def evaluation(source: Population, pretext: Pretext) -> tuple[Any, Any]:
    """The two halves on which a sampled pretraining loss is measured."""
    half = pretext.n_evaluation
    x, y = draws(source, "pre", 0, 2 * half, views=pretext.n_views)
    noise = generator("pre noise", pretext.name, source.instance, 0)
    fit, test = (pretext.draw(Examples(x[part], y[part]), noise) for part in (slice(half), slice(half, 2 * half)))
    return fit, test


def profiled_loss(run: Pretraining, model: Pretrained, step: int) -> float:
    """Head-profiled loss of one checkpoint."""
    one = Batch((Checkpoint(run.run, step, lambda: model, spec=run),), (model,), "cpu", 512)
    if has_exact_loss(run):
        return float(pretraining_losses(one, seed=0, n=None)[0].profiled)
    (bracket,) = run.pretext.profile(one.function("encoder"), *evaluation(run.source, run.pretext))
    return float(bracket.midpoint())


def gaussian_loss(run: Pretraining, model: Pretrained, target: Population) -> float:
    """Least squared error of a linear probe on a linear encoder, or on one ReLU layer without biases, of Gaussian inputs."""
    moments = target.moments()
    assert moments is not None
    state = {name: value.double().numpy() for name, value in model.encoder.state_dict().items()}
    seen = run.pretext.visible(run.source.input_dim)
    first = next(value for name, value in state.items() if name.endswith("weight"))
    weight = first if seen is None else np.zeros((len(first), run.source.input_dim))
    if seen is not None:
        weight[:, list(seen)] = first
    covariance, with_y = weight @ moments.covariance @ weight.T, weight @ moments.cov_xy
    if "hidden.weight" in state:  # the arc-cosine kernel of degree one (Cho and Saul 2009), and Stein's lemma
        deviation = np.sqrt(np.diag(covariance))
        size = np.outer(deviation, deviation)
        cosine = np.clip(covariance / size, -1, 1)
        angle = np.arccos(cosine)
        second = size / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * cosine)
        mean = deviation / np.sqrt(2 * np.pi)
        output = state["output.weight"]
        covariance, with_y = output @ (second - np.outer(mean, mean)) @ output.T, output @ (0.5 * with_y)
    return float(moments.var_y - with_y @ np.linalg.pinv(covariance, rcond=1e-12, hermitian=True) @ with_y)


@cache
def labelled(target: Population, role: Any, n: int) -> tuple[torch.Tensor, np.ndarray]:
    x, y = draws(target, role, 0, n)
    return x[:, 0], y.numpy()


class Probes:
    """scikit-learn's logistic regressions, by the solver and tolerance that were fastest on the first problem."""

    def __init__(self) -> None:
        self.chosen: tuple[str, float] | None = None
        self.spent = 0.0  # on choosing, and on checks: not the loop's own work
        self.count = 0

    def loss(self, run: Pretraining, model: Pretrained, transfer: Transfer) -> float:
        n = default_draws(transfer.adaptation.n_parameters(run.encoder.features, transfer.target.n_classes))
        sides = []
        for role in ("fit", "test"):
            x, y = labelled(transfer.target, role, n)
            with torch.no_grad():
                sides.append((model.encoder(run.pretext.inputs(x)).double().numpy(), y))
        (z, y), (z_test, y_test) = sides
        if self.chosen is None:
            began = time.perf_counter()
            self.chosen = min((*fastest(solver, z, y), solver) for solver in SOLVERS)[:0:-1]
            self.spent += time.perf_counter() - began
        fitted = logistic(*self.chosen).fit(z, y)
        if self.count % CHECKED == 0:
            began = time.perf_counter()
            fitted = self._checked(fitted, z, y)
            self.spent += time.perf_counter() - began
        self.count += 1
        low, high = (log_loss(fitted, *side) for side in ((z, y), (z_test, y_test)))
        logits = fitted.decision_function(z)
        spread = np.sqrt(np.square(logits - logits.mean(0) - logits.mean(1, keepdims=True) + logits.mean()).sum(1).mean())
        return 0.5 * (low + high) if spread < 0.5 * RUNAWAY else np.nan  # ours takes the loss of another head beyond

    def _checked(self, fitted: LogisticRegression, z: np.ndarray, y: np.ndarray) -> LogisticRegression:
        """The fit, with a tighter tolerance from here on if it is not as near to the minimum as ours proves to be."""
        best = fit_softmax(torch.tensor(z), torch.tensor(y))
        assert self.chosen is not None
        while best.status == ["ok"] and log_loss(fitted, z, y) - float(best.value) > GAP:
            solver, tolerance = self.chosen
            assert tolerance > 1e-12, f"{solver} stays {log_loss(fitted, z, y) - float(best.value):.1e} above the minimum"
            self.chosen = solver, tolerance / 10
            fitted = logistic(*self.chosen).fit(z, y)
        return fitted


def logistic(solver: str, tolerance: float) -> LogisticRegression:
    return LogisticRegression(C=np.inf, solver=solver, tol=tolerance, max_iter=10_000)


def log_loss(fitted: LogisticRegression, z: np.ndarray, y: np.ndarray) -> float:
    return float(-log_softmax(fitted.decision_function(z), axis=1)[np.arange(len(y)), y].mean())


def fastest(solver: str, z: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Seconds and the loosest tolerance at which the solver comes as near to the minimum as ours proves."""
    lower = float(fit_softmax(torch.tensor(z), torch.tensor(y)).lower)
    for tolerance in 10.0 ** np.arange(-2, -11, -1.0):
        began = time.perf_counter()
        fitted = logistic(solver, tolerance).fit(z, y)
        seconds = time.perf_counter() - began
        if log_loss(fitted, z, y) - lower <= GAP:
            return seconds, float(tolerance)
    return np.inf, 0.0


def naive(sweep: Sweep, starts: dict[str, dict[str, torch.Tensor]], probes: Probes) -> tuple[float, float, Losses]:
    """Seconds of training and of measuring, and the losses."""
    training = measuring = 0.0
    losses: Losses = {}
    for run in sweep.pretrainings:
        began = time.perf_counter()
        models = trained(run, starts[run.run])
        middle = time.perf_counter()
        for step, model in zip(run.steps, models, strict=True):
            losses[run.run, step, "l_pre_profiled", None, None] = profiled_loss(run, model, step)  # type: ignore[index]
            for transfer in sweep.transfers(run):
                exact = transfer.target.moments() is not None
                loss = gaussian_loss(run, model, transfer.target) if exact else probes.loss(run, model, transfer)
                losses[run.run, step, "l_adapt", fingerprint(transfer.target), transfer.replicate] = loss
        training += middle - began
        measuring += time.perf_counter() - middle
    return training, measuring - probes.spent, losses


def starting_points(runs: Sequence[Pretraining]) -> dict[str, dict[str, torch.Tensor]]:
    """The parameters at which each run of ours starts."""
    untrained = {replace(run, steps=(0,)).run: run.run for run in runs}
    found = pretrain([replace(run, steps=(0,)) for run in runs])
    return {untrained[checkpoint.run]: checkpoint.load().state_dict() for checkpoint in found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--instances", type=int, default=12)
    parser.add_argument("--pretexts", nargs="+", default=["Autoencoding"])
    parser.add_argument("--quick", action="store_true", help="12 steps, to see that it runs; its ratio says nothing")
    options = parser.parse_args()
    size = (1, 12, options.pretexts) if options.quick else (options.instances, options.steps, options.pretexts)
    sweep = reduced(*size)
    probes = Probes()
    few = tuple(replace(run, steps=(0, 2)) for run in (sweep.pretrainings[0], sweep.pretrainings[-1]))
    ours(replace(sweep, pretrainings=few), Path("unused"), 1)  # what is imported or prepared at first use is nobody's time
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reduced.py"
        path.write_text(SWEEP_FILE.format(folder=str(Path(__file__).parent), size=size))
        fast, losses = ours(sweep, path, options.threads)
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads)
    training, measuring, by_loop = naive(sweep, starting_points(sweep.pretrainings), probes)
    assert losses.keys() == by_loop.keys(), f"{len(losses.keys() ^ by_loop.keys())} losses were measured on one side only"
    attained = [key for key, loss in losses.items() if np.isfinite(loss) and np.isfinite(by_loop[key])]
    difference = np.array([abs(losses[key] - by_loop[key]) / max(1.0, abs(losses[key])) for key in attained])
    print(f"naive_sweep threads {options.threads}")
    print(f"naive_sweep runs {len(sweep.pretrainings)}, losses {len(losses)}, with a minimum {len(attained)}")
    print(f"naive_sweep solver {probes.chosen}, {probes.count} fits")
    for name, level in (("median", 0.5), ("99_percent", 0.99), ("largest", 1.0)):
        print(f"naive_sweep difference_{name} {np.quantile(difference, level):.1e}")
    worst = attained[int(difference.argmax())]
    print(f"naive_sweep largest_at {worst}: ours {losses[worst]:.6g}, loop {by_loop[worst]:.6g}")
    print(f"naive_sweep seconds_ours {fast:.1f}")
    print(f"naive_sweep seconds_loop_training {training:.1f}")
    print(f"naive_sweep seconds_loop_measuring {measuring:.1f}")
    assert len(attained) > 0.95 * len(losses)
    assert np.quantile(difference, 0.5) < 1e-5 and np.quantile(difference, 0.99) < 5e-3
    print(f"naive_sweep ratio {(training + measuring) / fast:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
