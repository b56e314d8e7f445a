"""Every number of the manuscript as a macro, made from the table and nothing else: the text holds names, this file the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interface.report import _base

MISSING = "n/a"
WORLDS = {"Gaussian": "GaussianFactor", "Glyphs": "Glyphs"}
SAMPLED = ("Glyphs",)  # worlds whose L*_adapt is a bracket
CLAIMS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")
_LINEAR = ("GaussianFactor", "Autoencoding", "LinearEncoder(4)")
_RELU = ("GaussianFactor", "Autoencoding", "MLP(64,4)")
_GLYPHS = {name: ("Glyphs", name, "MLP(64,16)") for name in ("Autoencoding", "InfoNCE", "Supervised")}
# name in the manuscript: the cell (source, pretext, encoder, shift, strength) and the numbers quoted there
CELLS: dict[str, tuple[tuple[str, str, str, str, float], tuple[str, ...]]] = {
    "GaussianLinear": ((*_LINEAR, "none", 0.0), ("DataSlope", "Intercept", "Words")),
    "GaussianLinearMisaligned": ((*_LINEAR, "misalignment", 1.0), ("DataSlope", "Intercept", "Words")),
    "GaussianRelu": ((*_RELU, "none", 0.0), ("DataSlope",)),
    "GaussianReluMisaligned": ((*_RELU, "misalignment", 1.0), ("DataSlope",)),
    "GlyphsAutoencoding": ((*_GLYPHS["Autoencoding"], "none", 0.0), ("DataSlope", "Intercept", "Words")),
    "GlyphsAutoencodingInverted": ((*_GLYPHS["Autoencoding"], "inversion", 1.0), ("DataSlope", "Intercept", "Words")),
    "GlyphsContrastive": ((*_GLYPHS["InfoNCE"], "none", 0.0), ("DataSlope", "Contrast", "Intercept", "Words")),
    "GlyphsContrastiveInverted": ((*_GLYPHS["InfoNCE"], "inversion", 1.0), ("DataSlope", "Contrast", "Intercept", "Words")),
    "GlyphsSupervised": ((*_GLYPHS["Supervised"], "none", 0.0), ("DataSlope", "Intercept", "Words")),
    "GlyphsRandomLabel": ((*_GLYPHS["Autoencoding"], "random_label", 1.0), ("Words",)),
}
COLUMN = {"DataSlope": "data_slope", "Contrast": "contrast", "Intercept": "intercept", "Words": "words"}
_ESCAPES = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "*": r"$^{*}$", "±": r"$\pm$",
    "…": r"\dots{}", "<": r"$<$", ">": r"$>$",
}  # fmt: skip


def numbers(
    table: pd.DataFrame, *, verdicts: Sequence[Any] | pd.DataFrame | None = None, summary: pd.DataFrame | None = None
) -> dict[str, str]:
    """Macro name -> LaTeX text: counts and bracket widths from the table, outcomes from the verdicts, cells from the summary.

    The set of names never depends on the data: what was not measured is "n/a". Rows of tables are macros too.

    Args:
        table: wide frame.
        verdicts: verdict records, or a frame of their fields.
        summary: one row per source, pretext, encoder, shift and strength: each number n with n_low and n_high, words, n_instances.

    Returns:
        Names of letters only, each starting with Num, and LaTeX-safe values.

    Raises:
        ValueError: if the table lacks identity columns or is empty.
    """
    _base.require(table, ("run", "step", "source", "instance", "shift", "lr", "n_unlabelled", "code"), "numbers")
    summary = pd.DataFrame(columns=list(_base.CELL)) if summary is None else _base.summary_frame(summary)
    records = _base.verdict_frame([] if verdicts is None else verdicts)
    values = {
        "Runs": _count(table["run"].nunique()),
        "Checkpoints": _count(len(table.drop_duplicates(["run", "step"]))),
        "Transfers": _count(len(table)),
        "Code": escape(", ".join(sorted(table["code"].dropna().unique()))) or MISSING,
    }
    for name, source in WORLDS.items():
        values |= {name + key: value for key, value in _world(table[table["source"] == source]).items()}
        values |= {name + key: value for key, value in _brackets(table[table["source"] == source]).items() if name in SAMPLED}
        values[name + "Rows"] = _summary_rows(summary[summary["source"] == source])
    confirmatory = records[records["role"].isin(["confirmation", "confirmatory"])].drop_duplicates("number")
    claims = {int(verdict["number"]): verdict for _, verdict in confirmatory.iterrows()}
    for number, name in enumerate(CLAIMS, start=1):
        values |= {f"Claim{name}{key}": value for key, value in _claim(claims.get(number)).items()}
    values["ReplicationRows"] = _replication_rows(records[records["role"] == "replication"])
    for name, (cell, quoted) in CELLS.items():
        row = summary[np.logical_and.reduce([summary[column] == part for column, part in zip(_base.CELL, cell, strict=True)])]
        values |= {name + number: _cell(row, COLUMN[number]) for number in quoted}
    return {"Num" + name: value for name, value in values.items()}


def write_numbers(values: Mapping[str, str], path: str | Path) -> Path:
    r"""Writes the macros as \newcommand definitions, one a line, by name.

    Raises:
        ValueError: if a name holds anything but letters: TeX would end the name there.
    """
    wrong = [name for name in values if not (name.isascii() and name.isalpha())]
    if wrong:
        raise ValueError(f"write_numbers: {wrong[0]!r} is not a macro name; allowed: letters only")
    lines = ["% Generated from the table of measurements; change the table, not this file."]
    lines += [f"\\newcommand{{\\{name}}}{{{values[name]}}}" for name in sorted(values)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def escape(text: str) -> str:
    """Text that LaTeX prints as it is.

    Example:
        >>> escape("L*_adapt & 5%")
        'L$^{*}$\\\\_adapt \\\\& 5\\\\%'
    """
    return "".join(_ESCAPES.get(character, character) for character in text)


def _world(table: pd.DataFrame) -> dict[str, str]:
    """Design and measurement quality of one source."""
    here = not table.empty
    out = {
        "Instances": _count(table["instance"].nunique()) if here else MISSING,
        "Runs": _count(table["run"].nunique()) if here else MISSING,
        "Steps": _count(table["step"].nunique()) if here else MISSING,
        "LearningRates": _listed(sorted(table["lr"].dropna().unique()), _scientific),
        "Unlabelled": _listed(sorted(table["n_unlabelled"].dropna().unique()), _count),
    }
    return out


def _brackets(table: pd.DataFrame) -> dict[str, str]:
    """In-domain: median width of the bracket in nats, how often its point values cross, how often it is not solved."""
    out = dict.fromkeys(("BracketWidth", "Crossed", "Unsolved"), MISSING)
    if {"l_adapt_low", "l_adapt_high", "l_adapt_status"} <= set(table.columns):
        inside = table[(table["shift"] == "none") & table["l_adapt_low"].notna() & table["l_adapt_high"].notna()]
        if len(inside):
            gap, status = inside["l_adapt_high"] - inside["l_adapt_low"], inside["l_adapt_status"]
            values = (f"{gap.median():.3f}", _percent((gap < 0).mean()), _percent((~status.isin(["ok", "crossed"])).mean()))
            out = dict(zip(out, values, strict=True))
    return out


def _claim(verdict: pd.Series | None) -> dict[str, str]:
    if verdict is None:
        return dict.fromkeys(("Outcome", "Estimate", "Clusters", "Adjusted"), MISSING)
    return {
        "Outcome": escape(_base.outcome_in_words(verdict)),
        "Estimate": _with_interval(verdict["estimate"], verdict["low"], verdict["high"]),
        "Clusters": _count(verdict["n_clusters"]),
        "Adjusted": _p_value(verdict["p_holm"]),
    }


def _replication_rows(records: pd.DataFrame) -> str:
    rows = []
    for _, verdict in records.sort_values("number", kind="stable").iterrows():
        place, claim, outcome = _base.where_in_words(verdict), str(verdict["name"]), _base.outcome_in_words(verdict)
        estimate = _with_interval(verdict["estimate"], verdict["low"], verdict["high"])
        rows.append(
            [_count(verdict["number"]), escape(claim), escape(place), _count(verdict["n_clusters"]), estimate, escape(outcome)]
        )
    return _table_rows(rows, 6)


def _summary_rows(summary: pd.DataFrame) -> str:
    if summary.empty:
        return _table_rows([], 8)
    names = _base.shift_names(summary)
    ranked = names.assign(rank=range(len(names)))
    summary = summary.merge(ranked, on=["shift", "strength"]).sort_values(["pretext", "encoder", "rank"], kind="stable")
    shown = ("data_slope", "contrast", "intercept", "slope", "spread")
    rows = []
    for _, row in summary.iterrows():
        cells = [_with_interval(*(row.get(f"{number}{side}", np.nan) for side in ("", "_low", "_high"))) for number in shown]
        words = row.get("words")
        rows.append(
            [
                escape(f"{row['pretext']}, {row['encoder']}"),
                escape(row["name"]),
                *cells,
                escape(words) if isinstance(words, str) else MISSING,
            ]
        )
    return _table_rows(rows, 8)


def _cell(row: pd.DataFrame, column: str) -> str:
    if row.empty or column not in row:
        return MISSING
    first = row.iloc[0]
    if column == "words":
        return escape(first[column]) if isinstance(first[column], str) else MISSING
    return _with_interval(*(first.get(f"{column}{side}", np.nan) for side in ("", "_low", "_high")))


def _table_rows(rows: Sequence[Sequence[str]], columns: int) -> str:
    rows = rows or [[MISSING] * columns]
    return " ".join(" & ".join(row) + r" \\" for row in rows)


def _with_interval(value: float, low: float, high: float) -> str:
    return _base.with_interval(float(value), float(low), float(high), plus_minus=r"$\pm$", minus="$-$", missing=MISSING)


def _p_value(p: float) -> str:
    if not np.isfinite(p):
        return MISSING
    return "$<$.001" if p < 0.001 else f"{p:.3f}"


def _count(value: float) -> str:
    return f"{value:,.0f}".replace(",", r"\,") if np.isfinite(value) else MISSING


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\\%"


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.0e}".split("e")
    return rf"${mantissa}\cdot 10^{{{int(exponent)}}}$"


def _listed(values: Sequence[float], form: Any) -> str:
    return ", ".join(form(value) for value in values) or MISSING
