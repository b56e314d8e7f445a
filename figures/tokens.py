"""Where to read a language model: L_pre reaches its floor, and L*_adapt depends on the layer, the label and the shift."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from interface.report import over_instances
from interface.sweep import load

SWEEP = "tokens"
VARIANTS = {
    "tokens_recurrent": {"pretext": "NextToken", "encoder": "Recurrent"},
    "tokens_transformer": {"pretext": "NextToken", "encoder": "Transformer"},
    "tokens_masked": {"pretext": "MaskedTokens", "encoder": "Transformer"},
}
FILE = Path(__file__).parents[1] / "studies" / "sweeps" / "tokens.py"
READINGS = ("layer 1", "layer 2", "output", "output, mean", "probabilities")
PRETRAINING = "pretraining"


def draw(table: pd.DataFrame, *, pretext: str = "NextToken", encoder: str = "Recurrent") -> Figure:
    """Excess of L_pre over its floor, and of L*_adapt over the Bayes loss, by step; one line a reading. Many sequences only.

    The concept is also that of another language: its own transitions (as in the sweep, at full strength), or other words.
    """
    here = table[(table["pretext"] == pretext) & table["encoder"].str.startswith(encoder) & (table["step"] > 0)]
    here = here[here["n_unlabelled"] == here["n_unlabelled"].max()]
    here = here.assign(label=here["target"].map(_labels())).dropna(subset="label")
    if here.empty:
        raise ValueError(f"tokens: the table has no row of {pretext} with {encoder} and a target of the sweep")
    adapted = here.assign(panel=_panel(here), reading=_reading(here), above=here["l_adapt"] - here["l_adapt_bayes"])
    pretrained = here.assign(panel=PRETRAINING, reading=READINGS[-1] if pretext == "NextToken" else READINGS[2])
    both = pd.concat([pretrained.assign(above=here["l_pre_excess"]), adapted])
    panels = (PRETRAINING, "state", "concept", "concept, transition", "concept, vocabulary")
    shown = pd.concat([both[both["panel"] == panel] for panel in panels])
    return over_instances(
        shown, x="step", by="reading", y="above", facet="panel", levels=READINGS, log=True, xlabel="step",
        ylabel="nats above the least possible",
    )  # fmt: skip


@cache
def _labels() -> dict[str, str]:
    """target -> its label, of the languages of the sweep, twice as many as it has by default."""
    sweep = load(FILE, 2.0)
    cells = (transfer for run in sweep.pretrainings for transfer in sweep.transfers(run))
    return {cell.key()[0]: cell.target.label for cell in cells if hasattr(cell.target, "label")}


def _panel(table: pd.DataFrame) -> pd.Series:
    return table["label"].where(table["shift"] == "none", table["label"] + ", " + table["shift"])


def _reading(table: pd.DataFrame) -> pd.Series:
    """Layer and position that are read, as a reader calls them."""
    output = table["readout"].map({"last": "output", "mean": "output, mean", "probabilities": "probabilities"})
    return output.where(table["depth"].isna(), "layer " + table["depth"].map("{:g}".format))
