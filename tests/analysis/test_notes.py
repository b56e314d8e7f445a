"""Every note of the catalogue: a table that calls for it, one that does not, and its place in printout, page and data."""

import re

import numpy as np
import pandas as pd
import pytest

from interface.analysis import CATALOGUE, Note, analyze, study_notes
from interface.report import analysis_page

NAMES = {"pre": "loss", "adapt": "err", "run": "model", "adapt_is": "loss"}
ALL = NAMES | {"step": "step", "size": "params", "cluster": "data", "draws": "independent"}


def runs(n=12, steps=6, seed=0):
    """Clean trajectories: twelve runs in six data sets, two sizes, steps named."""
    rng, rows = np.random.default_rng(seed), []
    for k in range(n):
        rate, own = rng.uniform(0.8, 1.2), 0.02 * rng.normal()
        for step in range(steps):
            loss = 1 + 2 * np.exp(-rate * step)
            err = 0.1 + 0.2 * (loss - 1) + own + 0.003 * rng.normal()
            rows.append((f"m{k}", step, loss, err, f"d{k // 2}", f"f{k % 3}", 10.0 ** (6 + k % 2), "ok"))
    return pd.DataFrame(rows, columns=["model", "step", "loss", "err", "data", "family", "params", "state"])


def models(seed=1, families=8, each=4):
    """A clean cross-section: eight families of four models over the same range of losses."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(families), each)
    loss = 2 + np.tile(np.linspace(0, 1, each), families) + 0.05 * rng.random(len(family))
    table = pd.DataFrame({"model": [f"m{i}" for i in range(len(family))], "family": [f"f{f}" for f in family], "loss": loss})
    return table.assign(
        err=0.1 + 0.2 * (loss - 2) + 0.02 * rng.normal(size=len(family)), params=1e6 * 3.0 ** rng.integers(0, 4, len(family))
    )


def still(table):
    return table.assign(loss=table.loss.where(table.data != "d1", 1.5))


def stopped(table):
    return table.assign(state=table.state.where(table.step > 0, "maximum iterations"))


BY_FAMILY = NAMES | {"family": "family"}
alone = models(each=1, families=12)

# code: (table that calls for the note, its keywords, table that does not, its keywords)
CASES = {
    1: (runs(6), ALL, runs(12), ALL),
    2: (runs(), ALL, models(), NAMES),
    3: (runs(), ALL | {"draws": "unknown"}, runs(), ALL),
    4: (pd.concat([runs(), runs().query("model == 'm0'").assign(model="copy")]), ALL, runs(), ALL),
    5: (runs().assign(err=lambda t: np.where(t.loss > 1.1, 0.9, t.err)), ALL, runs(), ALL),
    6: (runs().assign(err=lambda t: 1 - t.err), ALL | {"adapt_is": "accuracy"}, runs(), ALL | {"adapt_is": "error"}),
    7: (runs(), {k: v for k, v in ALL.items() if k != "step"}, runs(), ALL),
    8: (runs().assign(loss=lambda t: t.loss + 9 * (t.model == "m1")), ALL, runs(), ALL),
    9: (runs(), ALL, None, None),
    10: (models(), NAMES, None, None),
    11: (pd.concat([runs(), runs().head(1).assign(model="one", loss=2.7)]), ALL, runs(), ALL),
    12: (still(runs()), ALL, runs(), ALL),
    13: (runs(), {k: v for k, v in ALL.items() if k != "cluster"}, runs(), ALL),
    14: (models(), NAMES, models(), BY_FAMILY),
    15: (alone.assign(loss=alone.loss + np.arange(12) / 9), BY_FAMILY, models(), BY_FAMILY),
    16: (models(), NAMES, runs(), ALL),
    17: (runs(), {k: v for k, v in ALL.items() if k != "size"}, runs(), ALL),
    18: (stopped(runs()), ALL | {"status": "state"}, runs(), ALL | {"status": "state"}),
    19: (runs(), ALL | {"draws": "shared"}, runs(), ALL),
    20: (models().assign(loss=lambda t: t.loss + (t.family != "f0")), BY_FAMILY, models(), BY_FAMILY),
    21: (runs().assign(err=lambda t: 0.1 + 0.2 * t.loss), ALL, runs(), ALL),
    22: (runs(26).assign(params=lambda t: 1e6 + t.model.str[1:].astype(int)), ALL, runs(), ALL),
}  # fmt: skip


def codes(result):
    return {entry.code for entry in result.notes}


@pytest.mark.parametrize("code", sorted(CASES))
def test_a_note_comes_when_it_is_due_and_not_otherwise(code):
    table, keywords, clean, clean_keywords = CASES[code]
    result = analyze(table, **keywords)
    found = [entry for entry in result.notes if entry.code == code]
    assert len(found) == 1
    entry = found[0]
    assert (entry.name, entry.severity) == CATALOGUE[code][:2]
    assert str(entry) in str(result).splitlines() and str(entry).startswith(f"N{code:02d} {entry.severity}: ")
    page = analysis_page(result, title="t")
    assert f"N{code:02d} {entry.severity}" in page and "To settle it" in page
    if clean is not None:
        assert code not in codes(analyze(clean, **clean_keywords))


def test_every_note_of_the_catalogue_is_tested_and_documented():
    assert set(CATALOGUE) == set(CASES) | set(STUDY)
    assert sorted(CATALOGUE) == list(range(1, len(CATALOGUE) + 1))
    assert len({kind.name for kind in CATALOGUE.values()}) == len(CATALOGUE)
    for kind in CATALOGUE.values():
        assert kind.severity in ("info", "warning") and len(kind.advice) > 10 and not kind.advice.endswith(".")


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (1, {"n": 3, "kind": "data", "needed": 6}),
        (4, {"n": 6, "where": "0 inside a run, 6 in another"}),
        (12, {"n": 1, "names": "d1"}),
        (18, {"n": 12, "of": 72, "kinds": "maximum iterations 12"}),
        (22, {"n": 26, "most": 12}),
    ],
)
def test_a_note_counts(code, details):
    entry = next(entry for entry in analyze(CASES[code][0], **CASES[code][1]).notes if entry.code == code)
    assert dict(entry.details) == details
    assert all(str(value) in entry.message for value in details.values())
    assert hash(entry) == hash(Note(code, entry.name, entry.severity, entry.message, entry.details))


def wide(instances=8, code="a", status="ok"):
    rows = [
        (f"run-{i}-{step}", step, "Glyphs", f"Glyphs-{i}", status if i == 0 else "ok", code if i == 0 else "a", 1.0)
        for i in range(instances)
        for step in (0, 9)
    ]
    return pd.DataFrame(rows, columns=["run", "step", "source", "instance", "l_adapt_status", "code", "l_adapt"])


STUDY = {
    1: (wide(instances=3), wide()),
    13: (wide(instances=1), wide()),
    18: (wide(status="not_converged"), wide()),
    23: (wide(code="b"), wide()),
    24: (wide(status="vacuous_lower"), wide()),
    25: (wide(status="diverged"), wide()),
}


@pytest.mark.parametrize("code", sorted(STUDY))
def test_the_notes_of_a_sweep(code):
    doubtful, clean = STUDY[code]
    entry = next(entry for entry in study_notes(doubtful) if entry.code == code)
    assert not re.search(r"[{}]", entry.message)
    assert study_notes(clean) == ()


def test_a_sweep_without_status_or_code_columns_has_its_notes_too():
    assert {entry.code for entry in study_notes(wide(instances=2)[["source", "instance", "l_adapt"]])} == {1}
    with pytest.raises(ValueError, match="instance"):
        study_notes(wide().drop(columns="instance"))


def test_diverged_runs_are_counted():
    frame = pd.DataFrame(
        {
            "source": "Glyphs",
            "instance": [f"Glyphs-{i}" for i in range(6)],
            "run": [f"r{i}" for i in range(6)],
            "l_adapt": [0.5] * 5 + [np.nan],
            "l_adapt_status": ["ok"] * 5 + ["diverged"],
        }
    )
    found = {entry.code: entry for entry in study_notes(frame)}
    assert dict(found[25].details) == {"n": 1, "names": "r5"}
    assert 25 not in {entry.code for entry in study_notes(frame.iloc[:5])}
