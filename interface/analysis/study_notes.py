"""The numbered notes that a sweep calls for: what a reader of its table should doubt."""

from __future__ import annotations

import pandas as pd

from interface.analysis._notes import Note, note
from interface.analysis._user_table import listed, shown

ENOUGH = 6  # instances below which a t interval over them is wide and rests on normality


def study_notes(frame: pd.DataFrame) -> tuple[Note, ...]:
    """Few or one instance, unconverged probes, brackets to be read with care, versions of the measuring code, lost runs; by number.

    Args:
        frame: wide table; source and instance are needed, l_adapt, l_adapt_status and code are used where they are there.

    Raises:
        ValueError: if source or instance is missing.

    Example:
        >>> table = pd.DataFrame({"source": "Glyphs", "instance": ["Glyphs-0", "Glyphs-1"], "code": "c0ffee"})
        >>> [entry.name for entry in study_notes(table)]
        ['few_clusters']
    """
    missing = [name for name in ("source", "instance") if name not in frame.columns]
    if missing:
        raise ValueError(f"study_notes: the table lacks the column(s) {', '.join(missing)}; pass what interface.table.wide gives")
    notes: list[Note] = []
    for source, count in frame.groupby("source", observed=True)["instance"].nunique().items():
        if count == 1:
            notes.append(note(13))
        elif count < ENOUGH:
            notes.append(note(1, n=int(count), kind=f"instances of {shown(source)}", needed=ENOUGH))
    notes += _statuses(frame) + _versions(frame) + _diverged(frame)
    return tuple(sorted(dict.fromkeys(notes), key=lambda entry: entry.code))


def _statuses(frame: pd.DataFrame) -> list[Note]:
    if not {"l_adapt", "l_adapt_status"} <= set(frame.columns):
        return []
    measured = frame.loc[frame["l_adapt"].notna(), "l_adapt_status"].fillna("ok")
    counts = measured[measured != "ok"].value_counts()
    notes = []
    for code, part in ((18, counts[counts.index == "not_converged"]), (24, counts[counts.index != "not_converged"])):
        if len(part):
            kinds = ", ".join(f"{shown(status)} {count}" for status, count in part.items())
            notes.append(note(code, n=int(part.sum()), of=len(measured), kinds=kinds))
    return notes


def _diverged(frame: pd.DataFrame) -> list[Note]:
    columns = [str(name) for name in frame.columns if str(name).endswith("_status")]
    if "run" not in frame.columns or not columns:
        return []
    lost = sorted(map(str, frame.loc[(frame[columns] == "diverged").any(axis=1), "run"].unique()))
    return [note(25, n=len(lost), names=listed(lost))] if lost else []


def _versions(frame: pd.DataFrame) -> list[Note]:
    if "code" not in frame.columns:
        return []
    versions = sorted(map(str, frame["code"].dropna().unique()))
    return [note(23, n=len(versions), names=listed(versions))] if len(versions) > 1 else []
