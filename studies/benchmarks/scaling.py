"""Does twice the work take twice the time, and no more memory? Lines `name exponent value`.

    python studies/benchmarks/scaling.py [--quick]

Runs (from as many as one job holds), targets and rows to be stored are doubled twice, each size in a process of its own on one
thread: processor seconds and peak resident memory. The exponent of time is the slope of log seconds on log size, imports and
preparation excluded: 1 is proportional, below 1 there is a fixed part. `memory_growth` is the peak at the largest size over that
at the smallest. Reading is no part of a sweep's work, but of what follows: a table is read whole, `memory_a_row` says in how many
bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import numpy as np

SIZES = {
    "runs": (192, 384, 768),
    "targets": (12, 24, 48),
    "rows": (200_000, 400_000, 800_000),
    "reading": (100_000, 200_000, 400_000),
}
QUICK = {"runs": (2, 4, 8), "targets": (1, 2, 4), "rows": (1_000, 2_000, 4_000), "reading": (1_000, 2_000, 4_000)}

STORED = """
from interface import table
from interface.core import Row
def rows(run):
    for index in range(1000):
        yield Row(run=run, step=index // 10, target=f"t{index % 10}", quantity="l_adapt", value=float(index), how="exact",
                  adaptation="LinearProbe")
for index in range(size // 1000):
    table.write(rows(f"r{index}"), Path(place) / "runs" / f"r{index}.parquet")
"""

PIECES = {
    "runs": """
from interface.encoders import MLP
from interface.measurement import Transfer
from interface.populations import Glyphs
from interface.pretexts import Autoencoding
from interface.jobs import Work, run_job
from interface.sweep import Sweep
from interface.training import Adam, Pretraining
runs = tuple(
    Pretraining(Glyphs(index=i % 6), Autoencoding(), MLP(64, 16), 200, Adam(1e-3), (0, steps), i // 6, views=2) for i in range(size)
)
sweep = Sweep("scaling", runs, lambda run: (Transfer(run.source),))
def work():
    for job in sweep.jobs:
        run_job(job, Work(Path("unused"), 1.0, Path(place)), lambda seconds: None)
""",
    "targets": """
from interface.encoders import MLP
from interface.measurement import Transfer, measure
from interface.populations import Glyphs
from interface.pretexts import Supervised
from interface.training import Adam, Pretraining, pretrain
checkpoints = list(pretrain([Pretraining(Glyphs(), Supervised(), MLP(64, 16), 200, Adam(1e-3), (0, 4, 12), i) for i in range(4)]))
transfers = [Transfer(Glyphs().shift("typeface", (1 + i) / size)) for i in range(size)]
def work():
    for row in measure(checkpoints, transfers, n_pre=500):
        pass
""",
    "rows": STORED
    + """
def work():
    table.compact(place)
""",
    "reading": STORED
    + """
table.compact(place)
def work():
    table.wide(table.read(place))
""",
}

FRAME = """
import json, resource, sys, tempfile, time
from pathlib import Path
import torch
from threadpoolctl import threadpool_limits
torch.set_num_threads(1)
threadpool_limits(1)
size, steps = int(sys.argv[1]), int(sys.argv[2])
with tempfile.TemporaryDirectory() as place:
    {piece}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    work()
    seconds = time.process_time() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak * 1024, (peak - before) * 1024]))
"""


def measured(what: str, size: int, steps: int) -> tuple[float, float, float]:
    """Seconds, peak bytes, and how far the peak rose above what importing and preparing took."""
    code = FRAME.replace("{piece}", PIECES[what].strip().replace("\n", "\n    "))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", code, str(size), str(steps)], env=os.environ | threads, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak, rise = json.loads(done.stdout)
    return seconds, peak, rise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs; its exponents say nothing")
    options = parser.parse_args()
    sizes, steps = (QUICK, 10) if options.quick else (SIZES, 300)
    for what, values in sizes.items():
        found = np.array([measured(what, size, steps) for size in values])
        for size, (seconds, peak, rise) in zip(values, found, strict=True):
            print(f"scaling_{what} {size} {seconds:.2f} s, peak {peak / 1e6:.0f} MB, of it {rise / 1e6:.0f} MB at work", flush=True)
        exponent = np.polyfit(np.log(values), np.log(found[:, 0]), 1)[0]
        print(f"scaling_{what} exponent {exponent:.2f}")
        print(f"scaling_{what} memory_growth {found[-1, 1] / found[0, 1]:.2f}")
        if what == "reading":
            print(f"scaling_{what} memory_a_row {(found[-1, 1] - found[0, 1]) / (values[-1] - values[0]):.0f} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
