"""What figures, numbers and pages share: names of things as a reader sees them, checks, and verdict records as a frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

LABELS = {
    "l_pre": r"$L_{\mathrm{pre}}$",
    "l_pre_profiled": r"head-profiled $L_{\mathrm{pre}}$",
    "l_pre_excess": r"excess $L_{\mathrm{pre}}$",
    "l_adapt": r"$L^*_{\mathrm{adapt}}$",
    "x": r"$L_{\mathrm{pre}}$, share of its drop left",
    "y": r"$L^*_{\mathrm{adapt}}$, adaptation ranges",
    "data_slope": "data slope",
    "progress_slope": "progress slope",
    "contrast": "contrast",
    "intercept": "intercept $I$",
    "slope": "slope $B$",
    "spread": "spread $V$",
}
NUMBERS = ("data_slope", "progress_slope", "contrast", "intercept", "slope", "spread")
CELL = ("source", "pretext", "encoder", "shift", "strength")
VERDICT_COLUMNS = (
    "number", "name", "role", "source", "target", "estimate", "low", "high", "n_clusters", "p", "p_holm", "outcome", "null_tag",
    "minimal_detectable_effect", "detail", "hash",
)  # fmt: skip


def label(quantity: str, unit: str | None = None) -> str:
    """A quantity as an axis title."""
    text = LABELS.get(quantity, quantity.replace("_", " "))
    return text if unit is None else f"{text} ({'squared units' if unit == 'squared' else unit})"


def shift_name(shift: str, strength: float, *, dial: bool) -> str:
    """A shift as a reader sees it: "in-domain", "inversion", and with its strength where the shift is a dial."""
    if shift == "none":
        return "in-domain"
    return f"{shift.replace('_', ' ')} {strength:g}" if dial else shift.replace("_", " ")


def shift_names(frame: pd.DataFrame) -> pd.DataFrame:
    """The distinct (shift, strength, name) of a frame; in-domain first, the rest in order of appearance, by strength."""
    present = frame[["shift", "strength"]].drop_duplicates()
    position = {name: index for index, name in enumerate(dict.fromkeys(["none", *present["shift"]]))}
    present = present.assign(position=present["shift"].map(position)).sort_values(["position", "strength"], kind="stable")
    dials = present["shift"].duplicated(keep=False)
    names = [
        shift_name(shift, strength, dial=dial)
        for shift, strength, dial in zip(present["shift"], present["strength"], dials, strict=True)
    ]
    return present.assign(name=names).drop(columns="position").reset_index(drop=True)


def without_vacuous(frame: pd.DataFrame, *quantities: str) -> pd.DataFrame:
    """The frame with point values removed whose bracket is vacuous: their midpoint says nothing, their ends stay."""
    vacuous = {q: frame[f"{q}_status"] == "vacuous_lower" for q in quantities if f"{q}_status" in frame}
    return frame.assign(**{q: frame[q].mask(where) for q, where in vacuous.items()})


def require(frame: pd.DataFrame, columns: Iterable[str], who: str) -> None:
    """Raises:
    ValueError: naming the columns that the frame lacks, or that it is empty.
    """
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{who}: the table lacks the column(s) {', '.join(missing)}; pass what interface.table.wide gives")
    if frame.empty:
        raise ValueError(f"{who}: the table has no row left; is the source, instance, pretext or shift misspelt?")


def one_unit(frame: pd.DataFrame, who: str) -> str | None:
    """The unit of the adaptation losses; nats and squared units are never pooled."""
    units = sorted({str(unit) for unit in frame["unit"].dropna()}) if "unit" in frame else []
    if len(units) > 1:
        raise ValueError(f"{who}: the table mixes the units {', '.join(units)}; choose one source")
    return units[0] if units else None


def verdict_frame(verdicts: Sequence[Any] | pd.DataFrame) -> pd.DataFrame:
    """Verdict records as a frame of VERDICT_COLUMNS, the interval in `low` and `high`; what a record lacks is missing."""
    frame = verdicts if isinstance(verdicts, pd.DataFrame) else pd.DataFrame([_fields(record) for record in verdicts])
    frame = frame.rename(columns={"population": "source", "null": "null_tag"}).reset_index(drop=True)
    if "interval" in frame:
        sides = [pair if isinstance(pair, (tuple, list)) else (np.nan, np.nan) for pair in frame["interval"]]
        ends = np.array(sides, dtype=float).reshape(-1, 2)
        frame = frame.assign(low=ends[:, 0], high=ends[:, 1])
    if "needs" in frame:  # what an untestable claim lacks is what a reader has to know
        detail = frame["detail"] if "detail" in frame else pd.Series("", index=frame.index)
        frame = frame.assign(detail=frame["needs"].where(frame["needs"].notna(), detail))
    frame = frame.reindex(columns=list(VERDICT_COLUMNS))
    named_as_file = ~frame["name"].astype(str).str.contains(" ")
    frame["name"] = frame["name"].mask(named_as_file, frame["name"].astype(str).str.replace("_", " "))
    numeric = ["estimate", "low", "high", "p", "p_holm", "n_clusters", "minimal_detectable_effect"]
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in numeric})


def summary_frame(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary with its verdict in the column `words`."""
    if "words" not in summary and "verdict" in summary:
        return summary.assign(words=summary["verdict"])
    return summary


def _fields(record: Any) -> dict[str, Any]:
    if isinstance(record, dict):
        return record
    if not is_dataclass(record) or isinstance(record, type):
        raise ValueError(f"verdicts hold a {type(record).__name__}; allowed: verdict records, or a DataFrame of their fields")
    return asdict(record)


def where_in_words(verdict: pd.Series) -> str:
    """The population that a verdict is about, with the shift looked at where the claim is repeated over several."""
    return ", ".join(part for part in (verdict["source"], verdict["target"]) if isinstance(part, str) and part)


def outcome_in_words(verdict: pd.Series) -> str:
    """The outcome with what has to stand beside it: the detectable effect of an undecided one, what an untestable one lacks."""
    text = str(verdict["outcome"])
    if text == "undecided" and pd.notna(verdict["minimal_detectable_effect"]):
        text += f" (detectable: {verdict['minimal_detectable_effect']:.2f})"
    if text == "untestable" and isinstance(verdict["detail"], str) and verdict["detail"]:
        text += f": {verdict['detail']}"
    null = verdict["null_tag"]
    return f"{text}, null" if null is True or null == "null" or (isinstance(null, np.bool_) and bool(null)) else text


def with_interval(value: float, low: float, high: float, *, plus_minus: str = "±", minus: str = "-", missing: str = "n/a") -> str:
    """A value with its half-width where the interval is centred on it, else with both ends; 'n/a' where there is none.

    Example:
        >>> with_interval(0.53, 0.34, 0.72), with_interval(0.5, 0.1, 0.6), with_interval(float("nan"), 0.0, 1.0)
        ('0.53 ± 0.19', '0.50 [0.10, 0.60]', 'n/a')
    """
    if not np.isfinite(value):
        return missing
    number = lambda v: f"{v + 0.0:.2f}".replace("-0.00", "0.00").replace("-", minus)  # noqa: E731
    if not (np.isfinite(low) and np.isfinite(high)):
        return number(value)
    if abs((high - value) - (value - low)) <= 0.005 + 0.02 * (high - low):
        return f"{number(value)} {plus_minus} {number((high - low) / 2)}"
    return f"{number(value)} [{number(low)}, {number(high)}]"
