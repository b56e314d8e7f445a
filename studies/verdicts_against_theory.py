"""Do the verdicts agree with the exact world? Every cell of the Gaussian instances, judged alone, beside what theory says.

Command: `python studies/verdicts_against_theory.py out/default` (half a minute). Prints one line a cell and claim; the exit
code is 1 if a checkpoint lies outside its exact band, or a verdict has the opposite of a sign that theory fixes.

Exact counterparts, by the two-operator theorem: with S and Y of a cell, the floor of L_pre leaves E* = |(I - P*)Y|^2, where P*
projects on the top eigenvectors of S. Labels of overlap 1 lie in that eigenspace (mismatch 0, slope >= 0), those of overlap 0
outside it (mismatch |Y|^2, the largest that E* can be, slope <= 0); a concept shift raises the mismatch to |(I - P*)q|^2.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro

from interface import pretexts, table
from interface.hypotheses import judge
from interface.populations import GaussianFactor
from interface.seeds import rng
from interface.theory import overlap_label

TOLERANCE = 1e-6  # of the band, in squared units of the label
RANK, DIRECTIONS = 4, 8


@dataclass(frozen=True)
class Options:
    """Compare a finished default sweep with theory."""

    folder: tyro.conf.Positional[Path] = Path("out/default")
    """a sweep's folder"""


def outside_the_band(wide: pd.DataFrame) -> tuple[int, int]:
    """Checkpoints whose L*_adapt leaves its exact range, and checkpoints for which there is one."""
    known = wide[wide["l_adapt_band_low"].notna()]
    loss = known["l_adapt"]
    outside = (loss < known["l_adapt_band_low"] - TOLERANCE) | (loss > known["l_adapt_band_high"] + TOLERANCE)
    return int(outside.sum()), len(known)


def mismatch_rise(pretext: str, instances: list[str]) -> float:
    """Mean rise of |(I - P*)a|^2 under the full concept shift, in squared units of the label: over instances and directions."""
    rises = []
    for name in instances:
        source, task = GaussianFactor(index=int(name.rsplit("-", 1)[1])), getattr(pretexts, pretext)()
        moments = source.moments()
        operator = task.operator(moments)
        top = np.linalg.eigh(operator.S)[1][:, -RANK:]
        root = np.linalg.cholesky(moments.covariance).T
        for j in range(DIRECTIONS):
            label = overlap_label(moments, operator, RANK, rng=rng("label", name, pretext, j))
            left = []
            for concept in (0.0, 1.0):
                beta = np.linalg.solve(_symmetric_root(moments.covariance), label.direction(concept=concept))
                seen = top.T @ operator.target(moments.covariance @ beta)
                left.append(float(np.sum((root @ beta) ** 2) - seen @ seen))
            rises.append(left[1] - left[0])
    return float(np.mean(rises))


def _symmetric_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values)) @ vectors.T


def main(options: Options) -> int:
    wide = table.wide(table.read(options.folder))
    gaussian = wide[wide["source"] == "GaussianFactor"]
    outside, known = outside_the_band(gaussian)
    print(f"{outside} of {known} exact adaptation losses lie outside their band (tolerance {TOLERANCE:g})")
    conflicts = 0
    for (pretext, encoder), cell in gaussian.groupby(["pretext", "encoder"]):
        rise = mismatch_rise(pretext, sorted(cell["instance"].unique()))
        signs = {1: "slope >= 0", 2: f"rise {rise:+.2f} squared", 3: "slope >= 0 less slope <= 0"}
        for verdict in judge(cell):
            if verdict.number not in signs:
                continue
            conflict = verdict.outcome == "refuted" and (verdict.number != 2 or rise > 0)
            conflicts += conflict
            power = f" (detectable {verdict.minimal_detectable_effect:.2f})" if verdict.outcome == "undecided" else ""
            low, high = verdict.interval
            print(
                f"{pretext:20s} {encoder:17s} claim {verdict.number}: {verdict.outcome}{power} {verdict.estimate:+.2f} "
                f"[{low:+.2f}, {high:+.2f}]; exact: {signs[verdict.number]}{'  CONFLICT' if conflict else ''}"
            )
    glyphs = wide[(wide["source"] == "Glyphs") & (wide["shift"] == "random_label")]
    if len(glyphs):
        spread = glyphs.groupby(["pretext", "instance"])["l_adapt"].agg(np.ptp).max()
        print(f"random label per draw: L*_adapt moves by at most {spread:.3f} nats within an instance and pretext")
    return 1 if outside or conflicts else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
