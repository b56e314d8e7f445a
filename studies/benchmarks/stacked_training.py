"""How much faster is training all runs as one stack than one module after the other? One line a case: `name ratio value`.

    python studies/benchmarks/stacked_training.py [--quick] [--device cpu] [--members 32] [--steps 64] [--repeats 5]

32 members on one thread. The loop trains plain unstacked modules one after the other, each with its own `torch.optim.Adam`
(plain, then fused), on the same batches; the parameters that both reach are compared first, so that a ratio counts at equal
results only. "drawing" adds what it takes to draw each step's batch from each member's own pool. Both sides take turns and the
median over repeats is printed. Last line: the geometric mean over transformers of the ratio to the plain loop.

Expected: the perceptron at least 5 without and 4 with drawing; transformers a mean of at least 1.2 and nowhere below .95.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from interface.encoders import MLP, Encoder, Transformer
from interface.populations import Examples, Pool
from interface.pretexts import NextToken, Supervised
from interface.seeds import generator
from interface.training import BLOCK, Adam, Draws, Pretrained, Pretraining, Stack, advance, initial_state, pool_key

CLASSES, DIM, LENGTH, VOCABULARY, BATCH, POOL = 10, 64, 32, 64, 64, 1024


def members(encoder: Encoder, number: int) -> list[Pretraining]:
    """Runs that differ in their seed: in pool, batches and initialisation."""
    numbers = generator("benchmark")
    y = torch.randint(CLASSES, (4 * POOL,), generator=numbers)
    if encoder.vocabulary is None:
        source = Pool(torch.randn(4 * POOL, DIM, generator=numbers) + y.unsqueeze(1) / CLASSES, y, name="reals")
    else:
        source = Pool(torch.randint(VOCABULARY, (4 * POOL, LENGTH), generator=numbers), y, name="tokens", vocabulary=VOCABULARY)
    pretext = Supervised() if encoder.vocabulary is None else NextToken(VOCABULARY)
    return [Pretraining(source, pretext, encoder, POOL, Adam(1e-3, BATCH), (0, 10**6), seed) for seed in range(number)]


class Loop:
    """One module and one optimizer a run, trained in turn."""

    def __init__(self, runs: list[Pretraining], device: str, fused: bool) -> None:
        self.pretext, self.device = runs[0].pretext, device
        self.models: list[Pretrained] = []
        self.pools: list[tuple[Tensor, Tensor]] = []
        for run in runs:
            model = run.build()
            model.load_state_dict(initial_state(run))
            self.models.append(model.to(device))
            drawn = run.source.views(run.n_unlabelled, 1, generator("pool", *pool_key(run)))
            self.pools.append((drawn.x[:, 0].to(device), drawn.y.to(device)))
        self.optimizers = [torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused) for model in self.models]
        self.streams = [generator("batches", pool_key(run)[0], run.seed) for run in runs]
        self.uniform = [torch.empty(0) for _ in runs]

    def draw(self, step: int, index: int) -> Examples:
        if step % BLOCK == 0:
            self.uniform[index] = torch.rand(BLOCK, BATCH, 3, generator=self.streams[index])[..., 0]
        chosen = (self.uniform[index][step % BLOCK] * POOL).long().to(self.device)
        x, y = self.pools[index]
        return Examples(x[chosen].unsqueeze(1), y[chosen])

    def train(self, index: int, examples: Examples) -> None:
        model, optimizer = self.models[index], self.optimizers[index]
        optimizer.zero_grad()
        self.pretext.loss(model.encoder, model.head, self.pretext.view(examples, None)).mean().backward()
        optimizer.step()

    def drawing(self, steps: int) -> None:
        for step in range(steps):
            for index in range(len(self.models)):
                self.train(index, self.draw(step, index))

    def fixed(self, steps: int, batch: Examples) -> None:
        for _ in range(steps):
            for index in range(len(self.models)):
                self.train(index, Examples(batch.x[index], batch.y[index]))


class Stacked:
    """The same by the package."""

    def __init__(self, runs: list[Pretraining], device: str) -> None:
        self.pretext, self.stack, self.draws = runs[0].pretext, Stack(runs, device), Draws(runs, device)

    def drawing(self, steps: int) -> None:
        for step in range(steps):
            advance(self.stack, self.pretext, *self.draws(step))

    def fixed(self, steps: int, batch: Examples) -> None:
        for _ in range(steps):
            advance(self.stack, self.pretext, batch, None)


def assert_equal_results(runs: list[Pretraining], device: str) -> None:
    """Ten steps of both give the same parameters to round-off."""
    loop, stacked = Loop(runs, device, fused=False), Stacked(runs, device)
    loop.drawing(10)
    stacked.drawing(10)
    for model, state in zip(loop.models, stacked.stack.states(), strict=True):
        for name, value in model.named_parameters():
            # Adam moves a parameter by lr a step whatever its gradient: a gradient of 0 up to round-off has no direction
            far = ((value.detach().cpu() - state[name]).abs() > 1e-4 * (1 + state[name].abs())).double().mean()
            assert far < 1e-2, f"{name}: {float(far):.3%} of the parameters differ"


def seconds(work: Callable[[], None], device: str) -> float:
    began = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def ratios(runs: list[Pretraining], device: str, steps: int, repeats: int) -> dict[str, float]:
    """Seconds of the loop over seconds of the stack: median over repeats, by loop and by whether batches are drawn."""
    assert_equal_results(runs, device)
    stacked = Stacked(runs, device)
    loops = {"plain": Loop(runs, device, fused=False), "fused": Loop(runs, device, fused=True)}
    batch, _ = stacked.draws(0)
    times: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):  # the first round warms up
        for drawn in (False, True):
            for name, side in {"stack": stacked, **loops}.items():
                work = (lambda side=side: side.drawing(steps)) if drawn else (lambda side=side: side.fixed(steps, batch))
                took = seconds(work, device)
                if repeat:
                    times.setdefault(f"{name}{'_drawing' if drawn else ''}", []).append(took)
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {name: value / middle["stack_drawing" if "drawing" in name else "stack"] for name, value in middle.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 members, 8 steps, 1 repeat: does it run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--steps", type=int, default=64, help="of the perceptron; a sixteenth for transformers")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    number, steps, repeats = (4, 8, 1) if options.quick else (options.members, options.steps, options.repeats)
    torch.set_num_threads(1)

    found = ratios(members(MLP(64, 64), number), options.device, steps, repeats)
    for name in ("plain", "plain_drawing", "fused", "fused_drawing"):
        print(f"stacked_mlp_64_over_{name}_loop ratio {found[name]:.2f}", flush=True)
    plain = []
    for width in (16, 32, 64):
        encoder = Transformer(width, 2, 2, width, causal=True, vocabulary=VOCABULARY)
        found = ratios(members(encoder, number), options.device, max(1, steps // 16), repeats)
        plain.append(found["plain_drawing"])
        for name in ("plain", "plain_drawing", "fused", "fused_drawing"):
            print(f"stacked_transformer_{width}_over_{name}_loop ratio {found[name]:.2f}", flush=True)
    print(f"stacked_transformers_mean_over_plain_drawing_loop ratio {math.exp(sum(map(math.log, plain)) / len(plain)):.2f}")


if __name__ == "__main__":
    main()
