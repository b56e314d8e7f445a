"""Where to read a language model: L_pre reaches its floor, and L*_adapt depends on the layer, the label and the shift."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from interface.report import over_instances

SWEEP = "tokens"
VARIANTS = {
    "tokens_recurrent": {"pretext": "NextToken", "encoder": "Recurrent"},
    "tokens_transformer": {"pretext": "NextToken", "encoder": "Transformer"},
    "tokens_masked": {"pretext": "MaskedTokens", "encoder": "Transformer"},
}
LABELS = {0: "state", 1: "concept"}  # by replicate
READINGS = ("layer 1", "layer 2", "output", "output, mean", "probabilities")
PANELS = ("pretraining", "state", "concept", "concept, transition", "concept, vocabulary")


def draw(table: pd.DataFrame, *, pretext: str = "NextToken", encoder: str = "Recurrent") -> Figure:
    """Excess of L_pre over its floor, and of L*_adapt over the Bayes loss, by step; one line a reading. Many sequences only.

    The concept is also that of another language: its own transitions (as in the sweep, at full strength), or other words.
    """
    here = table[(table["pretext"] == pretext) & table["encoder"].str.startswith(encoder) & (table["step"] > 0)]
    here = here[here["n_unlabelled"] == here["n_unlabelled"].max()]
    here = here.assign(label=here["replicate"].map(LABELS)).dropna(subset="label")
    if here.empty:
        raise ValueError(f"tokens: the table has no row of {pretext} with {encoder} and a numbered label")
    adapted = here.assign(panel=_panel(here), reading=_reading(here), above=here["l_adapt"] - here["l_adapt_bayes"])
    head = "probabilities" if pretext == "NextToken" else "output"
    both = pd.concat([here.assign(panel=PANELS[0], reading=head, above=here["l_pre_excess"]), adapted])
    return over_instances(
        both[both["panel"].isin(PANELS)], x="step", by="reading", y="above", facet="panel", levels=READINGS,
        names={panel: panel for panel in PANELS}, log=True, xlabel="step", ylabel="nats above the least possible",
    )  # fmt: skip


def _panel(table: pd.DataFrame) -> pd.Series:
    return table["label"].where(table["shift"] == "none", table["label"] + ", " + table["shift"])


def _reading(table: pd.DataFrame) -> pd.Series:
    """Layer and position that are read, as a reader calls them; at its output a model that sees all tokens has the mean."""
    own = table["pretext"].map({"NextToken": "last", "MaskedTokens": "mean"})
    names = {"last": "output", "mean": "output, mean", "probabilities": "probabilities"}
    output = table["readout"].fillna(own).map(names)
    return output.where(table["depth"].isna(), "layer " + table["depth"].map("{:g}".format))
