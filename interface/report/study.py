"""What a finished sweep leaves for its reader: verdicts, summary, figures, macros, one page; and where they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from interface import report as parts
from interface import table
from interface.analysis import study_notes, summarize
from interface.core import SOLVED
from interface.hypotheses import judge
from interface.report import _base


def report(rows: pd.DataFrame, folder: str | Path, *, name: str) -> str:
    """Judges and draws a table, writes everything into the sweep's folder, and returns what to tell the user.

    Args:
        rows: the long table.
        folder: gets verdicts.csv, summary.csv, numbers.tex, report.html and figures/.
        name: the sweep's name, for the page's title.

    Raises:
        ValueError: if the table holds no adaptation losses to judge.
    """
    folder = Path(folder)
    wide = table.wide(rows)
    verdicts, summary = judge(wide), summarize(wide)
    folder.mkdir(parents=True, exist_ok=True)
    _base.verdict_frame(verdicts).to_csv(folder / "verdicts.csv", index=False)
    summary.to_csv(folder / "summary.csv", index=False)
    parts.write_numbers(parts.numbers(wide, verdicts=verdicts, summary=summary), folder / "numbers.tex")

    drawn, notes = {}, _notes(wide)
    figures = _figures(wide, summary) | {"Verdicts": ("verdicts", partial(parts.verdicts, verdicts))}
    for caption, (file, draw) in figures.items():
        try:
            drawn[caption] = draw()
        except ValueError as reason:  # a small sweep cannot feed every figure; the page says which and why
            notes.append(f"Not drawn: {caption} ({reason}).")
            continue
        parts.save(drawn[caption], folder / "figures", file)
    places = {
        "table, one row a quantity": folder / "table.parquet",
        "verdicts": folder / "verdicts.csv",
        "numbers by cell": folder / "summary.csv",
        "figures": folder / "figures",
        "macros of the paper": folder / "numbers.tex",
    }
    shown = {what: str(where) for what, where in places.items()}
    page = parts.write_page(
        folder / "report.html", title=f"Sweep {name}", verdicts=verdicts, summary=summary, figures=drawn, notes=notes, places=shown
    )
    lines = [*_solved(rows), *(str(verdict) for verdict in verdicts), *_in_words(summary)]
    return "\n".join([*lines, *(f"{what}: {where}" for what, where in shown.items()), f"report: {page}"])


def _solved(rows: pd.DataFrame) -> list[str]:
    """The share of probes whose empirical problem is minimised to a proven gap, and what became of the others."""
    gaps = rows[rows["quantity"] == "l_adapt_gap"]
    if gaps.empty:
        return []
    solved = (gaps["value"] <= SOLVED).mean()
    brackets = rows[(rows["quantity"] == "l_adapt") & (rows["how"] != "exact")]
    words = brackets["status"].value_counts()
    others = ", ".join(f"{count} {word}" for word, count in words.items() if word != "ok" and count)
    return [
        f"probes solved to a proven gap of {SOLVED:g}: {solved:.2%} of {len(gaps)}" + (f" (brackets: {others})" if others else "")
    ]


def _in_words(summary: pd.DataFrame) -> list[str]:
    """The verdict in words of every cell, pretexts down and shifts across: one short table a source."""
    tables = []
    for source, cells in summary.groupby("source", sort=False):
        names = _base.shift_names(cells)
        named = cells.merge(names, on=["shift", "strength"])
        words = named.pivot_table(index=["pretext", "encoder"], columns="name", values="word", aggfunc="first").reindex(
            columns=list(names["name"])
        )
        words.columns.name = None
        tables.append(f"{source}, in words:\n{words.reset_index().to_string(index=False, justify='left')}")
    return tables


def _figures(wide: pd.DataFrame, summary: pd.DataFrame) -> dict[str, tuple[str, Callable[[], Figure]]]:
    """Caption -> (file name, how to draw it), for every source in the table."""
    out: dict[str, tuple[str, Callable[[], Figure]]] = {}
    for source in sorted(wide["source"].dropna().unique()):
        here = wide[wide["source"] == source]
        instance = min(here["instance"])
        one = here[here["instance"] == instance]
        x = "l_pre_excess" if "l_pre_excess" in one and one["l_pre_excess"].notna().any() else "l_pre_profiled"
        shifts = list(_base.shift_names(one)["shift"].unique())
        draw = partial(parts.adapt_against_pre, one, x=x, band=parts.band_of(one), paths=True)
        out[f"L*_adapt against L_pre, {instance}"] = (f"adapt_against_pre_{source}", draw)
        out[f"Along training, {instance}"] = (
            f"trajectories_{source}",
            partial(parts.trajectories, here, shifts=shifts, instance=instance),
        )
        out[f"Numbers by cell, {source}"] = (f"numbers_{source}", partial(parts.numbers_by_cell, summary, source=source))
    return out


def _notes(wide: pd.DataFrame) -> list[str]:
    """What a reader should doubt, numbered, with what would settle it."""
    return [f"{entry}. To settle it: {entry.advice}." for entry in study_notes(wide)]
