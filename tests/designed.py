"""Small wide tables shaped like those of the sweeps that ask one question each: one axis moved, everything else planted."""

from itertools import product

import numpy as np
import pandas as pd

ADAPTATIONS = ("LinearProbe", "FineTuning", "ProbeThenFineTuning", "FromScratch")


def frame(fixed=None, instances=4, seed=0, **axes):
    """Every combination of the axes in every instance; losses are an instance's level, plus a little for each later choice."""
    rng = np.random.default_rng(seed)
    rows = []
    for instance in range(instances):
        level = 1 + 0.3 * rng.normal()
        for place in product(*(range(len(values)) for values in axes.values())):
            row = {"instance": f"G-{instance}", "unit": "nats", "shift": "none", "strength": 0.0, "step": 2700}
            row |= {"source": "Glyphs", "encoder": "MLP(64,16)", "pretext": "InfoNCE", "adaptation": "LinearProbe", "target": "t"}
            row |= (fixed or {}) | {name: values[i] for (name, values), i in zip(axes.items(), place, strict=True)}
            row["run"] = f"r{instance}-{row['pretext']}-{row['source']}-{row['encoder']}"
            row["l_adapt"] = level + 0.1 * sum(place) + 0.01 * rng.normal()
            row["l_pre_profiled"] = level / (1 + sum(place))
            rows.append(row)
    return pd.DataFrame(rows)


def tokens():
    """Language models read in every way on two labels of one language, in-domain and shifted."""
    models = (("NextToken", "Recurrent"), ("NextToken", "Transformer"), ("MaskedTokens", "Transformer"))
    readings = ((1.0, None), (2.0, None), (np.nan, None))
    others = {"NextToken": ((np.nan, "mean"), (np.nan, "probabilities")), "MaskedTokens": ((np.nan, "last"),)}
    parts = [
        frame(
            {"source": "HiddenMarkov", "pretext": pretext, "encoder": f"{encoder}(width=16)", "n_unlabelled": 30_000}
            | {"depth": depth, "readout": readout},
            step=(0, 10, 100, 1000),
            replicate=(0, 1),
            shift=("none", "transition", "emission", "vocabulary"),
        )
        for pretext, encoder in models
        for depth, readout in (*readings, *others[pretext])
    ]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(l_adapt_bayes=0.5, l_pre_excess=1 / (1 + found["step"]))


def tables():
    """{sweep: wide table} for every sweep that has figures of its own."""
    pretexts = ("Autoencoding", "InfoNCE", "Supervised")
    regimes = frame(pretext=pretexts, adaptation=ADAPTATIONS, n_labels=(8, 32, 128, 512, 2048, 8192))
    for share, part in ((0.5, "representation"), (0.3, "generalisation"), (0.2, "optimisation"), (1.0, "excess")):
        regimes[f"adapt_{part}"] = share * regimes["l_adapt"]
    moved = frame(
        {"strength": 1.0, "n_labels": 512},
        pretext=pretexts,
        adaptation=ADAPTATIONS[:3],
        shift=("typeface", "noise", "occlusion", "rotation"),
    )
    shifts = ("none", "typeface", "script", "rotation", "inversion")
    split = frame(pretext=pretexts, shift=shifts, depth=(1.0, 2.0, 3.0, np.nan))
    gaussian = frame({"source": "GaussianFactor", "unit": "squared"}, pretext=("Autoencoding", "InfoNCE"), depth=(1.0, 2.0, np.nan))
    sizes = {"n_params": (300, 1000, 3000, 10_000), "n_unlabelled": (200, 8000), "pretext": pretexts[:2]}
    domains = ("Glyphs", *(f"Glyphs+{name}" for name in ("typeface", "script", "noise", "occlusion", "rotation", "inversion")))
    stopping = frame(pretext=pretexts, shift=("none", "inversion", "script"), step=(0, 300, 2700))
    stopping = stopping.assign(l_adapt_low=stopping["l_adapt"] - 0.01, l_adapt_high=stopping["l_adapt"] + 0.01)
    for rule, step in {"budget_300": 300, "budget_2700": 2700, "plateau_2_0": 300, "patience_2": 0, "oracle": 0}.items():
        stopping[f"stop_{rule}"] = np.where(stopping["step"] == 2700, step, np.nan)
    return {
        "stopping": stopping.assign(target=stopping["shift"]),
        "regimes": pd.concat([regimes, moved], ignore_index=True),
        "shifts": frame(source=domains, pretext=pretexts),
        "split": pd.concat([split.assign(strength=1.0 * (split["shift"] != "none")), gaussian], ignore_index=True),
        "size": pd.concat([frame(**sizes), frame({"source": "GaussianFactor"}, **sizes)], ignore_index=True),
        "tokens": tokens(),
        "overcomplete": frame(encoder=("MLP(256,16)", "MLP(256,96)"), step=(0, 10, 30, 100, 300, 1000, 3000)),
        "supervised_vs_ssl": frame(
            {"unit": "squared", "shift": "concept"},
            pretext=("MultiTask", "Autoencoding", "SpectralContrastive"),
            encoder=("LinearEncoder(4)", "MLP(64,4)"),
            strength=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        ),
    }
