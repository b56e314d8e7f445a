"""Tables that a user might bring by mistake: a good table, spoilt in one to three ways; written apart from what reads it."""

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

UNICODE = ("naïve ünïcode", "模型", "مدل", "\u202eevil", "a\u0301", "emoji 🧪", "zero\u200bwidth", "nul\x00l", "two\nlines", "a\tb")
SQL = ("'; DROP TABLE runs; --", '" OR 1=1 --', "Robert'); DELETE FROM students;--", "run`; SELECT 1", "%s%d{x}{0}", "$x^2$ \\frac")
NUMBERLIKE = ("12e4567", "007", "1e5", "NA", "nan", "None", "inf", "0x1F", "1_000", "TRUE")
COLUMNS = ("model", "step", "loss", "error", "data", "params", "state")


def good(rng):
    """Trajectories or a cross-section in which the error follows the loss."""
    runs, steps = int(rng.integers(2, 15)), int(rng.choice([1, 1, 2, 5, 9]))
    rows = []
    for run in range(runs):
        own, rate, data = 0.05 * rng.normal(), rng.uniform(0.5, 1.5), int(rng.integers(1 + runs // 3))
        for step in range(steps):
            loss = 1 + 2 * np.exp(-rate * (step + 1)) + 0.1 * rng.random()
            rows.append(
                (f"m{run}", step, loss, 0.3 + 0.1 * loss + own + 0.01 * rng.normal(), f"d{data}", 10.0 ** (6 + data % 3), "ok")
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def roles(rng):
    """Keywords of analyze, with or without the optional columns."""
    out = {"pre": "loss", "adapt": "error", "run": "model", "adapt_is": str(rng.choice(["loss", "error", "accuracy"]))}
    optional = {"cluster": "data", "family": "data", "size": "params", "step": "step", "status": "state"}
    return out | {role: column for role, column in optional.items() if rng.random() < 0.4}


def _column(rng, *, numeric=False):
    return str(rng.choice(["loss", "error"] if numeric or rng.random() < 0.6 else list(COLUMNS)))


def _put(table, rng, column, value, share=0.2):
    """The value in a share of the rows of a column."""
    values = list(table[column])
    for row in np.flatnonzero(rng.random(len(table)) < share) if len(table) else []:
        values[row] = value
    return table.assign(**{column: pd.Series(values, index=table.index, dtype=object)})


def drop_column(t, rng):
    return t.drop(columns=_column(rng), errors="ignore")


def rename_column(t, rng):
    return t.rename(columns={_column(rng): str(rng.choice(UNICODE + SQL))})


def double_column(t, rng):
    return pd.concat([t, t[[_column(rng)]]], axis=1) if set(COLUMNS) <= set(t.columns) and t.columns.is_unique else t


def mistype(t, rng):
    values = (
        "high",
        "",
        "1,5",
        True,
        [1, 2],
        {"a": 1},
        1 + 2j,
        Decimal("0.5"),
        b"x",
        None,
        10**400,
        "12e4567",
        datetime(2024, 1, 1),
    )
    return _put(t, rng, _column(rng), values[int(rng.integers(len(values)))], share=float(rng.choice([0.1, 1.0])))


def mistype_whole(t, rng):
    column, n = _column(rng), len(t)
    kinds = {
        "bool": pd.Series(rng.random(n) < 0.5, index=t.index),
        "date": pd.Series([datetime(2024, 1, 1) + timedelta(days=i) for i in range(n)], index=t.index, dtype="datetime64[ns]"),
        "complex": pd.Series(rng.random(n) + 1j, index=t.index),
        "category": pd.Series(rng.choice(["x", "y"], n), index=t.index, dtype="category"),
        "text": t[column].astype(str),
        "nullable": pd.Series([None] * n, index=t.index, dtype="Float64"),
    }
    return t.assign(**{column: kinds[str(rng.choice(list(kinds)))]})


def infinite(t, rng):
    return _put(t, rng, _column(rng, numeric=True), float(rng.choice([np.inf, -np.inf])))


def missing(t, rng):
    return _put(t, rng, _column(rng), float("nan"), share=float(rng.choice([0.05, 0.5, 1.0])))


def constant(t, rng):
    column = _column(rng)
    return t.assign(**{column: t[column].iloc[0]}) if len(t) else t


def constant_in_runs(t, rng):
    column = _column(rng, numeric=True)
    try:
        return t.assign(**{column: t.groupby("model")[column].transform("first")})
    except (TypeError, ValueError):  # what another spoiler left cannot be grouped
        return t


def nearly_constant(t, rng):
    noise = float(rng.choice([1e-16, 1e-13, 1e-9])) * rng.random(len(t))
    return t.assign(**{_column(rng, numeric=True): 0.5 + noise})


def extreme(t, rng):
    column, factor = _column(rng, numeric=True), float(rng.choice([1e300, 1e160, 1e90, 1e-90, 1e-160, 1e-320, -1.0]))
    return t.assign(**{column: pd.to_numeric(t[column], errors="coerce") * factor}) if t[column].dtype.kind == "f" else t


def duplicate_rows(t, rng):
    return pd.concat([t, t.sample(frac=float(rng.choice([0.1, 1.0])), random_state=int(rng.integers(99)))]) if len(t) else t


def copy_run(t, rng):
    return pd.concat([t, t[t["model"] == t["model"].iloc[0]].assign(model="copy")]) if len(t) else t


def one_run(t, rng):
    return t.assign(model="m0")


def two_runs(t, rng):
    return t.head(2)


def one_checkpoint(t, rng):
    return t.drop_duplicates("step")


def no_rows(t, rng):
    return t.iloc[:0]


def exact(t, rng):
    return t.assign(error=0.2 + 0.1 * t["loss"]) if t["loss"].dtype.kind == "f" else t


def strange_names(t, rng):
    column = str(rng.choice(["model", "data", "state"]))
    names = rng.choice(UNICODE + SQL + NUMBERLIKE, len(t))
    return t.assign(**{column: pd.Series(names, index=t.index, dtype=object)}) if rng.random() < 0.5 else _prefixed(t, rng, column)


def _prefixed(t, rng, column):
    odd = str(rng.choice(UNICODE + SQL + NUMBERLIKE))
    return t.assign(**{column: odd + t[column].astype(str)})


def mixed_names(t, rng):
    return _put(t, rng, "model", 1, share=0.3).pipe(_put, rng, "model", "1", share=0.3)


def percentages(t, rng):
    return t.assign(error=100 * pd.to_numeric(t["error"], errors="coerce")) if t["error"].dtype.kind == "f" else t


def odd_index(t, rng):
    return t.set_axis(rng.integers(0, 3, len(t)), axis=0)


SPOILERS = (
    drop_column, rename_column, double_column, mistype, mistype_whole, infinite, missing, constant, constant_in_runs,
    nearly_constant, extreme, duplicate_rows, copy_run, one_run, two_runs, one_checkpoint, no_rows, exact, strange_names,
    mixed_names, percentages, odd_index,
)  # fmt: skip


def bad_table(seed):
    """(table, keywords of analyze, names of what spoilt it); the first spoiler runs through the list, so that each occurs."""
    rng = np.random.default_rng([2_000, seed])
    table, keywords = good(rng), roles(rng)
    chosen = [SPOILERS[seed % len(SPOILERS)], *rng.choice(np.array(SPOILERS, dtype=object), int(rng.integers(3)))]
    used = []
    for spoil in chosen:
        if not set(COLUMNS) <= set(table.columns) or not table.columns.is_unique:
            break  # a table without its columns is bad enough
        table = spoil(table, rng)
        used.append(spoil.__name__)
    if rng.random() < 0.3:  # strange names that the user does mean
        odd = dict(zip(COLUMNS, rng.permutation(np.array(UNICODE + SQL + NUMBERLIKE, dtype=object)), strict=False))
        table = table.rename(columns=odd)
        keywords = {role: value if role == "adapt_is" else odd.get(value, value) for role, value in keywords.items()}
        used.append("odd column names")
    return table, keywords, used
