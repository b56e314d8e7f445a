"""Can the verdicts be trusted? Size, power, coverage and confusion of every claim and interval, by simulation.

    python studies/calibration.py [--tables 1000] [--simulations 2000] [--worlds 100] [--workers 2] [--only size ...] [--out DIR]

Parts (all by default): `checkpoints` (what checkpoints taken for units do), `power`, `size` (claims on shared nulls with theta
exactly at the smallest effect, 6, 12 and 24 instances), `planted` (claims with and without their effect), `worlds` (claims on exact
Gaussian worlds where the truth is known), `coverage` (every printed interval), `noise` (errors in variables). A cell passes if its
rejection rate is within the one-sided family-wise 99% limit over all cells tried. The last line counts what fell short.
"""

from __future__ import annotations

import argparse
import json
import runpy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from checkpoint_tests import INSTANCES, LEVEL, Rows, checkpoints, noise, power, reject
from exact_worlds import exact_world
from interval_truths import COVERING, SHORT
from scipy import stats

from interface.analysis import SMALLEST_EFFECT, panels
from interface.hypotheses import ALL, Hypothesis, Verdict, judge

TESTS = Path(__file__).parents[1] / "tests"
nulls = SimpleNamespace(**runpy.run_path(str(TESTS / "nulls.py")))

FAMILY = 0.01
ON_PANELS = ("isotropic_label_directions", "common_time_trends", "autoregressive_runs")
OTHER_NULLS = {"equal_loss_different_transfer": "two_encoders", "stopping_at_the_best_loss_is_not_best": "late_turns",
               "the_probe_wins_with_few_labels": "label_counts",
               "probing_first_keeps_fine_tuning_right": "heads_out_of_domain",
               "the_earlier_split_transfers_better": "two_depths"}  # fmt: skip


def edge(claim) -> float:
    """theta at the smallest effect."""
    return -claim.smallest_effect if claim.direction == "below" else claim.smallest_effect


def size_cell(task: tuple) -> Rows:
    """One null: rejections at theta = the smallest effect, and false support at 0, by claim."""
    name, instances, tables = task
    rows: Rows = []
    built = ALL[:3]
    if name in ON_PANELS:
        for theta, what in ((SMALLEST_EFFECT, "size"), (0.0, "false support at 0")):
            p: dict[str, list[float]] = {h.claim.name: [] for h in built}
            for start in range(0, tables, 250):
                rng = np.random.default_rng([instances, start, int(theta > 0), ON_PANELS.index(name)])
                found: dict[str, dict] = {}
                frame = getattr(nulls, name)(theta, rng, tables=min(250, tables - start), instances=instances)
                for cell, here in panels(frame).items():
                    found.setdefault(cell.source, {})[cell] = here
                for table in found.values():
                    for h in built:
                        mean = h.test(table).theta
                        side = theta > 0 or mean.estimate > SMALLEST_EFFECT
                        p[h.claim.name].append(mean.p_value(SMALLEST_EFFECT) if side else 1.0)
            for claim, values in p.items():
                rows.append({"part": "size", "what": f"{what}: {claim} on {name}", "clusters": instances, "rate": reject(values),
                             "n": len(values), "most": LEVEL})  # fmt: skip
        return rows
    h = next(h for h in ALL if h.claim.name == name)
    for theta, what in ((edge(h.claim), "size"), (0.0, "false support at 0")):
        if what != "size" and h.claim.smallest_effect == 0:
            continue
        values = []
        for verdict in verdicts_on_null(h, theta, tables, instances):
            side = abs(verdict.estimate) if h.claim.direction == "either" else verdict.estimate * np.sign(edge(h.claim) or 1)
            values.append(verdict.p if what == "size" or side > h.claim.smallest_effect else 1.0)
        rows.append({"part": "size", "what": f"{what}: {name} on {OTHER_NULLS[name]}", "clusters": instances,
                     "rate": reject(values), "n": len(values), "most": LEVEL})  # fmt: skip
    return rows


def verdicts_on_null(h: Hypothesis, theta: float, tables: int, instances: int) -> Iterator[Verdict]:
    """Verdicts of one further claim on its shared null."""
    block = 250 if h.reads == "panels" else 50  # tables with several adaptations are long
    for start in range(0, tables, block):
        rng = np.random.default_rng([instances, h.claim.number, int(theta != 0), start])
        frame = getattr(nulls, OTHER_NULLS[h.claim.name])(theta, rng, tables=min(block, tables - start), instances=instances)
        if h.reads == "frame":
            for source, rows in frame.groupby("source", observed=True):
                yield judge(rows, [h], confirmation=str(source))[0]
            continue
        found: dict[str, dict] = {}
        for cell, here in panels(frame).items():
            found.setdefault(cell.source, {})[cell] = here
        yield from (judge(table, [h], confirmation=source)[0] for source, table in found.items())


def size(options: argparse.Namespace) -> Rows:
    """All claims, all nulls."""
    begin = time.perf_counter()
    further = [h.claim.name for h in ALL[3:]]
    tasks = [(name, g, options.tables) for name in ON_PANELS for g in INSTANCES]
    tasks += [(name, g, max(options.tables // (1 if g == 12 else 4), 1)) for name in further for g in INSTANCES]
    rows = [row for part in spread(size_cell, tasks, options.workers) for row in part]
    minutes = (time.perf_counter() - begin) / 60
    rows.append(
        {"part": "size", "what": f"minutes for {options.tables} nulls of every claim", "rate": minutes, "n": options.tables}
    )
    return rows


def planted_cell(task: tuple) -> Rows:
    """Verdicts on one claim's planted tables."""
    number, effect, tables = task
    h = ALL[number - 1]
    rng = np.random.default_rng([number, int(1000 * abs(effect))])
    sign = -1 if h.claim.direction == "below" else 1
    verdicts = [judge(h.plant(sign * effect, rng, between=0.1), [h])[0].outcome for _ in range(tables)]
    counts = {o: verdicts.count(o) for o in ("supported", "refuted", "undecided", "untestable")}
    false = counts["refuted"] if effect else counts["supported"]
    return [{"part": "planted", "what": f"{number} {h.claim.name}: effect {effect:g}", "clusters": 12, "rate": false / tables,
             "n": tables, "most": LEVEL, "detail": ", ".join(f"{k} {v}" for k, v in counts.items() if v)}]  # fmt: skip


def planted(options: argparse.Namespace) -> Rows:
    """Confusion of every claim on tables with and without its effect; the rate is that of verdicts the wrong way round."""
    tasks = [(h.claim.number, e, max(options.worlds, 1)) for h in ALL for e in (0.5, 0.0)]
    return [row for part in spread(planted_cell, tasks, options.workers) for row in part]


def world_cell(task: tuple) -> Rows:
    linked, worlds = task
    counts: dict[tuple[int, str], int] = {}
    for seed in range(worlds):
        for verdict in judge(exact_world(np.random.default_rng([seed, linked]), linked=linked), ALL[:3]):
            key = verdict.number, verdict.outcome
            counts[key] = counts.get(key, 0) + 1
    rows = []
    for number in (1, 2, 3):
        found = {o: counts.get((number, o), 0) for o in ("supported", "refuted", "undecided", "untestable")}
        false = found["refuted"] if linked else found["supported"]
        what = f"{number} {ALL[number - 1].claim.name}: {'true' if linked else 'false'}"
        rows.append({"part": "worlds", "what": what, "clusters": 12, "rate": false / worlds, "n": worlds, "most": LEVEL,
                     "detail": ", ".join(f"{k} {v}" for k, v in found.items() if v)})  # fmt: skip
    return rows


def worlds(options: argparse.Namespace) -> Rows:
    """Confusion on exact Gaussian worlds whose truth is known."""
    return [row for part in spread(world_cell, [(True, options.worlds), (False, options.worlds)], options.workers) for row in part]


def coverage_cell(task: tuple) -> Rows:
    which, g, tables = task
    hits: dict[str, list[bool]] = {}
    for index in range(tables):
        for name, hit in COVERING[which](np.random.default_rng([which, g, index]), g).items():
            hits.setdefault(name, []).append(hit)
    return [{"part": "coverage", "what": name, "clusters": g, "rate": float(np.mean(values)), "n": len(values),
             "least": SHORT.get(name, 0.95)} for name, values in hits.items()]  # fmt: skip


def coverage(options: argparse.Namespace) -> Rows:
    """Coverage of every printed 95% interval; `least` is what its documentation promises at few clusters."""
    n = max(options.simulations // 2, 1)
    tasks = [(which, g, n) for which in range(2) for g in INSTANCES] + [(2, 18, n // 4 or 1)]
    return [row for part in spread(coverage_cell, tasks, options.workers) for row in part]


def spread(function: Callable[[tuple], Rows], tasks: list[tuple], workers: int) -> list[Rows]:
    if workers <= 1:
        return [function(task) for task in tasks]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(function, tasks))


def judged(rows: Rows) -> pd.DataFrame:
    """Each row with its limit: family-wise over all rows that have one."""
    tried = sum(row.get("most") is not None or row.get("least") is not None for row in rows)
    for row in rows:
        tail = FAMILY / max(tried, 1)
        if row.get("most") is not None:
            row["limit"] = float(stats.binom.ppf(1 - tail, row["n"], row["most"]) / row["n"])
            row["ok"] = row["rate"] <= row["limit"]
        elif row.get("least") is not None:
            row["limit"] = float(stats.binom.ppf(tail, row["n"], row["least"]) / row["n"])
            row["ok"] = row["rate"] >= row["limit"]
    return pd.DataFrame(rows)


PARTS = {
    "checkpoints": checkpoints,
    "power": power,
    "size": size,
    "planted": planted,
    "worlds": worlds,
    "coverage": coverage,
    "noise": noise,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1_000, help="nulls a claim and cell")
    parser.add_argument("--simulations", type=int, default=2_000, help="of checkpoints, power, coverage and noise")
    parser.add_argument("--worlds", type=int, default=100, help="planted tables and exact worlds a truth")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, default=None, help="folder for calibration.csv and calibration.json")
    options = parser.parse_args()
    rows: Rows = []
    for name in options.only:
        begin = time.perf_counter()
        rows += PARTS[name](options)
        print(f"# {name}: {time.perf_counter() - begin:.0f} s", flush=True)
    table = judged(rows)
    for part, here in table.groupby("part", sort=False):
        print(f"\n{part}")
        for _, row in here.iterrows():
            clusters = "" if pd.isna(row.get("clusters")) else f"{int(row['clusters']):>3} clusters "
            limit = "" if pd.isna(row.get("limit", np.nan)) else f" limit {row['limit']:.3f}"
            mark = " SHORT" if row.get("ok") is False else ""
            detail = row.get("detail")
            print(f"  {row['what']:<72}{clusters:<13}{row['rate']:.3f} (n {row['n']}){limit}{mark}"
                  f"{'' if pd.isna(detail) else '; ' + detail}")  # fmt: skip
    short = int((table.get("ok") == False).sum()) if "ok" in table else 0  # noqa: E712 (None counts as untested)
    print(f"\n{short} of {int(table['ok'].notna().sum())} cells fell short")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        table.to_csv(options.out / "calibration.csv", index=False)
        (options.out / "calibration.json").write_text(json.dumps(json.loads(table.to_json(orient="records")), indent=1))


if __name__ == "__main__":
    main()
