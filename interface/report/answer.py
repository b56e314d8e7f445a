"""The answer so far, in three sentences made from the verdicts: what the first screen of a README says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interface.report import _base

BEGIN, END = "<!-- answer -->", "<!-- /answer -->"


def answer(verdicts: Sequence[Any] | pd.DataFrame) -> str:
    """Markdown: one sentence a claim, each with its numbers, its populations and its outcome; nothing is said of a missing one.

    Args:
        verdicts: verdict records, or a frame of their fields.
    """
    frame = _base.verdict_frame(verdicts)
    lead = {
        1: "**Does lower L_pre give lower L\\*_adapt?** In-domain, moved by unlabelled data alone, L\\*_adapt changes by",
        2: "**What does a concept shift leave?** It adds to what the lowest L_pre leaves of L\\*_adapt",
        3: "**Must the pretext see what the label needs?** From labels it sees to labels it does not, the slope falls by",
    }
    sentences = []
    for number, words in lead.items():
        tested = frame[(frame["number"] == number) & frame["estimate"].notna()]
        if len(tested):
            sentences.append(f"{words} {'; '.join(_one(verdict) for _, verdict in tested.iterrows())}.")
    unit = "Estimates are in adaptation ranges (claim 1, 3: per drop of L_pre), with 95% intervals over population instances."
    return "\n\n".join([*sentences, unit]) if sentences else "No claim could be tested on this table."


def _one(verdict: pd.Series) -> str:
    where = _base.where_in_words(verdict)
    number = f"{verdict['estimate']:.2f} [{verdict['low']:.2f}, {verdict['high']:.2f}]"
    return f"{number} in {where} ({verdict['n_clusters']:.0f} instances: {verdict['outcome']})"


def write_answer(text: str, path: str | Path) -> Path:
    """Puts the text between the two answer marks of a Markdown file.

    Raises:
        ValueError: if the file does not hold both marks, in order.
    """
    path = Path(path)
    content = path.read_text()
    start, stop = content.find(BEGIN), content.find(END)
    if not 0 <= start < stop:
        raise ValueError(f"{path} holds no {BEGIN} ... {END}; add the two marks where the answer belongs")
    path.write_text(content[: start + len(BEGIN)] + "\n" + text + "\n" + content[stop:])
    return path
