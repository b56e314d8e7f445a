"""A small, realistic long table without any training: two worlds, several instances, pretexts, runs, checkpoints and shifts.

The laws are planted: L*_adapt follows L_pre in-domain, not at all under full misalignment, against it under inversion.
"""

import numpy as np
import pandas as pd

from interface.core import Row, fingerprint

GAUSSIAN_SHIFTS = (("none", 0.0, "none"), ("misalignment", 0.5, "concept"), ("misalignment", 1.0, "concept"),
                   ("concept", 0.5, "concept"), ("concept", 1.0, "concept"), ("covariate", 1.0, "covariate"))  # fmt: skip
GLYPH_SHIFTS = (("none", 0.0, "none"), ("typeface", 1.0, "covariate"), ("script", 1.0, "mixed"), ("rotation", 1.0, "mixed"),
                ("inversion", 1.0, "mixed"), ("random_label", 1.0, "concept"))  # fmt: skip
GAIN = {"none": 1.0, "misalignment": -0.2, "concept": 0.4, "covariate": 0.9, "typeface": 0.7, "script": 0.8, "rotation": 1.1,
        "inversion": -0.3, "random_label": 0.0}  # fmt: skip


def rows(*, source="Glyphs", instances=2, pretexts=("Autoencoding", "InfoNCE"), encoders=("MLP(64,16)",), lrs=(3e-4, 3e-3),
         sizes=(30, 200, 8000), steps=(0, 4, 36, 300, 2700), shifts=None, replicates=1, code="c0ffee", seed=0):  # fmt: skip
    """Long rows of one world; "GaussianFactor" is exact and has a known floor, any other source is sampled."""
    rng, exact = np.random.default_rng(seed), source == "GaussianFactor"
    shifts = shifts or (GAUSSIAN_SHIFTS if exact else GLYPH_SHIFTS)
    out = []
    for instance in range(instances):
        for pretext in pretexts:
            for encoder in encoders:
                for lr in lrs:
                    for size in sizes:
                        run = fingerprint([source, instance, pretext, encoder, lr, size])
                        common = {
                            "run": run,
                            "instance": f"{source}-{instance}",
                            "seed": 0,
                            "source": source,
                            "pretext": pretext,
                            "encoder": encoder,
                            "n_params": 1000,
                            "n_unlabelled": size,
                            "views": 1,
                            "lr": lr,
                            "optimizer": "Adam",
                            "batch": 128,
                            "code": code,
                            "device": "cpu",
                            "spec": '{"kind":"Pretraining"}',
                        }
                        for step in steps:
                            overfit = 0.3 * (size == min(sizes)) * step / max(steps)
                            x = np.exp(-900 * lr * step / max(steps)) * (0.9 if step else 1.0) + overfit + 0.02 * rng.random()
                            out += _checkpoint(common | {"step": step}, float(x), exact, shifts, replicates, rng)
    return out


def _checkpoint(common, x, exact, shifts, replicates, rng):
    pre = dict(common, unit="squared" if exact else "nats", how="exact" if exact else "held_out", stderr=None if exact else 0.004)
    floor = 1.0
    out = [Row(**pre, quantity="l_pre", value=floor + x + 0.2), Row(**pre, quantity="l_pre_profiled", value=floor + x)]
    if exact:
        out.append(Row(**pre, quantity="l_pre_excess", value=x))
    else:
        out += [
            Row(**pre, quantity=f"l_pre_profiled_{side}", value=floor + x + d) for side, d in (("low", -0.003), ("high", 0.003))
        ]
    out.append(Row(**(pre | {"how": "plug_in", "stderr": None, "unit": "seconds"}), quantity="wall_s", value=1.5))
    for name, strength, kind in shifts:
        for replicate in range(replicates):
            y = (
                0.4
                + 0.02 * replicate
                + (0.0 if name == "random_label" else 1.0) * (0.5 + GAIN[name] * strength_of(name, strength) * x)
            )
            y = float(y + 0.01 * rng.normal())
            cell = dict(
                pre, target=f"{common['instance']}+{name}{strength}", shift=name, strength=strength, shift_kind=kind,
                adaptation="LinearProbe", readout="hidden", replicate=replicate,
            )  # fmt: skip
            out.append(Row(**cell, quantity="l_adapt", value=y))
            if exact and name == "none":  # the range that theory allows
                ends = (("low", 0.8 + 0.9 * x**1.3), ("high", 1.1 + 0.9 * x**0.5))
                out += [Row(**cell, quantity=f"l_adapt_band_{side}", value=value) for side, value in ends]
            if not exact:
                sides = (("low", y - 0.02), ("high", y + 0.02), ("lcb", y - 0.04), ("ucb", y + 0.04), ("gap", 1e-8))
                out += [Row(**cell, quantity=f"l_adapt_{side}", value=value) for side, value in sides]
    return out


def strength_of(name, strength):
    return 1.0 if name == "none" else 0.5 + 0.5 * strength


def summary():
    """As `interface.analysis.summarize` gives it: one row per source, pretext, encoder, shift and strength; some cells missing."""
    rng, records = np.random.default_rng(1), []
    worlds = (("Glyphs", ("Autoencoding", "MaskedPrediction", "InfoNCE", "Supervised"), ("MLP(64,16)",), GLYPH_SHIFTS, 6),
              ("GaussianFactor", ("Autoencoding", "FixedMask", "SpectralContrastive"), ("LinearEncoder(4)", "MLP(64,4)"),
               GAUSSIAN_SHIFTS, 12))  # fmt: skip
    for source, pretexts, encoders, shifts, instances in worlds:
        for pretext in pretexts:
            for encoder in encoders:
                for name, strength, _ in shifts:
                    record = {
                        "source": source,
                        "pretext": pretext,
                        "encoder": encoder,
                        "shift": name,
                        "strength": strength,
                        "n_instances": instances,
                    }
                    silent = name == "random_label"
                    for number in ("data_slope", "progress_slope", "contrast", "intercept", "slope", "spread"):
                        value = np.nan if silent else GAIN[name] * (0.1 if number in ("contrast", "spread") else 1.0)
                        half = 0.05 + 0.1 * rng.random()
                        record |= {number: value, f"{number}_low": value - half, f"{number}_high": value + half}
                    record["words"] = "no range" if silent else "inverse" if GAIN[name] < -0.05 else "sufficient up to an intercept"
                    records.append(record)
    return pd.DataFrame(records)


CLAIMS = (
    "lower_loss_gives_better_transfer", "concept shift raises the intercept", "the pretext must see what the label needs",
    "equal L_pre, different L*_adapt", "stopping at the best validation L_pre is not best", "the frozen probe wins with few labels",
    "probing first keeps fine-tuning right out of domain", "the earlier split transfers better",
)  # fmt: skip


def verdicts():
    """As `interface.hypotheses.judge` gives them, after dataclasses.asdict: eight claims and three replications."""
    outcomes = ("supported", "supported", "supported", "undecided", "refuted", "untestable", "untestable", "untestable")
    records = []
    for index, (name, outcome) in enumerate(zip(CLAIMS, outcomes, strict=True)):
        missing, estimate = outcome == "untestable", 1.0 - 0.3 * index
        records.append(
            {
                "number": index + 1,
                "name": name,
                "role": "confirmatory",
                "source": "GaussianFactor",
                "estimate": np.nan if missing else estimate,
                "stderr": np.nan if missing else 0.1,
                "interval": None if missing else (estimate - 0.2, estimate + 0.2),
                "n_clusters": 12,
                "p": 1.0 if missing else 0.0004,
                "p_holm": 1.0 if missing else 0.003,
                "outcome": outcome,
                "null_tag": False,
                "minimal_detectable_effect": 0.2 if outcome == "undecided" else np.nan,
                "detail": "needs fine_tuning rows" if missing else "mean of 6 cells",
                "hash": "f0123456789a",
            }
        )
    for number in (1, 2, 5):
        records.append(records[number - 1] | {"role": "replication", "source": "Glyphs", "n_clusters": 6, "p_holm": np.nan})
    return pd.DataFrame(records)
