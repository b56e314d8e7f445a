"""One self-contained HTML page of a study: verdicts, numbers, figures, notes, where things are; nothing is fetched."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interface.report import _base, _style

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid #555; } tbody tr:nth-child(even) { background: #f6f6f6; }
.scroll { overflow-x: auto; } figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { color: #555; }
h1 + p { font-size: 1.15rem; font-weight: 600; }
.supported { color: #0072b2; } .refuted { color: #b35900; } .undecided, .untestable { color: #666; }
"""


def page(
    *,
    title: str,
    answer: Sequence[str] = (),
    table: pd.DataFrame | None = None,
    verdicts: Sequence[Any] | pd.DataFrame | None = None,
    summary: pd.DataFrame | None = None,
    figures: Mapping[str, Figure] | None = None,
    notes: Sequence[str] = (),
    places: Mapping[str, str] | None = None,
) -> str:
    """The page as HTML text; figures are inline SVG, every text is escaped, an empty part is left out.

    Args:
        title: heading of the page.
        answer: paragraphs below it; the first stands out.
        table: numbers as texts, shown as they are.
        verdicts: verdict records, or a frame of their fields.
        summary: one row per source, pretext, encoder, shift and strength, as for `numbers`.
        figures: caption -> figure.
        notes: what is doubtful about the study, one line each.
        places: what -> where it lies (table, figures, command).
    """
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(text)}</p>" for text in answer)]
    if table is not None and len(table):
        cells = [[escape(str(value)) for value in row] for row in table.itertuples(index=False)]
        parts += ["<h2>Numbers</h2>", _html_table(list(table.columns), cells)]
    if verdicts is not None and len(verdicts):
        parts += ["<h2>Verdicts</h2>", _verdict_table(_base.verdict_frame(verdicts))]
    if summary is not None and len(summary):
        parts += ["<h2>Numbers by pretext, encoder and shift</h2>", _summary_table(_base.summary_frame(summary))]
    if figures:
        parts.append("<h2>Figures</h2>")
        parts += [
            f"<figure>{inline_svg(figure, f'figure{index}')}<figcaption>{escape(caption)}</figcaption></figure>"
            for index, (caption, figure) in enumerate(figures.items())
        ]
    if notes:
        parts += ["<h2>Notes</h2>", "<ol>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ol>"]
    if places:
        rows = [[escape(what), f"<code>{escape(where)}</code>"] for what, where in places.items()]
        parts += ["<h2>Where things are</h2>", _html_table(["what", "where"], rows)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{escape(title)}</title><style>{STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def write_page(path: str | Path, **content: Any) -> Path:
    """Writes `page(**content)` and returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(**content), encoding="utf-8")
    return path


def inline_svg(figure: Figure, prefix: str) -> str:
    """The figure as an SVG element whose ids start with `prefix`, so that several fit on one page."""
    buffer = io.StringIO()
    with _style.house(), mpl.rc_context({"svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg")
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML declaration and the address of a DTD
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)  # the date
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)


def _verdict_table(frame: pd.DataFrame) -> str:
    rows = []
    for _, verdict in frame.sort_values(["role", "number"], kind="stable").iterrows():
        outcome = str(verdict["outcome"])
        rows.append(
            [
                _number(verdict["number"], "{:g}"),
                escape(str(verdict["name"])),
                escape(f"{verdict['role']}, {_base.where_in_words(verdict)}"),
                escape(_base.with_interval(verdict["estimate"], verdict["low"], verdict["high"])),
                _number(verdict["n_clusters"], "{:g}"),
                _number(verdict["p_holm"], "{:.4f}"),
                f'<span class="{escape(outcome.split()[0])}">{escape(_base.outcome_in_words(verdict))}</span>',
                f"<code>{escape(str(verdict['hash']))}</code>" if isinstance(verdict["hash"], str) else "",
            ]
        )
    head = ["", "claim", "role", "estimate (interval over instances)", "instances", "p (Holm)", "outcome", "claim's hash"]
    return _html_table(head, rows)


def _summary_table(summary: pd.DataFrame) -> str:
    shown = [number for number in _base.NUMBERS if number in summary]
    rows = []
    for _, row in summary.iterrows():
        cells = [
            _base.with_interval(*(float(row.get(f"{number}{side}", np.nan)) for side in ("", "_low", "_high"))) for number in shown
        ]
        shift = _base.shift_name(str(row["shift"]), float(row["strength"]), dial=True)
        words = row.get("words")
        texts = [
            str(row["source"]),
            str(row["pretext"]),
            str(row["encoder"]),
            shift,
            *cells,
            words if isinstance(words, str) else "n/a",
        ]
        rows.append([escape(text) for text in texts])
    head = ["source", "pretext", "encoder", "shift", *(number.replace("_", " ") for number in shown), "in words"]
    return _html_table(head, rows)


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells of `rows` are HTML already, those of `head` are text."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(value: float, form: str) -> str:
    return form.format(value) if pd.notna(value) else "n/a"
