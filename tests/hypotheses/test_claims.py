"""The built claims recover what is planted, keep their level on nulls that they did not write, and say what is missing."""

import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interface.analysis import panels
from interface.hypotheses import concept_shift_raises_the_intercept, lower_loss_gives_better_transfer, the_link_needs_overlap

nulls = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "nulls.py")))

BUILT = [lower_loss_gives_better_transfer, concept_shift_raises_the_intercept, the_link_needs_overlap]
NULLS = ["isotropic_label_directions", "common_time_trends", "autoregressive_runs"]
TABLES = 250
CELLS = len(BUILT) * len(NULLS)
LIMIT = stats.binom.ppf(1 - 0.01 / CELLS, TABLES, 0.05) / TABLES  # one-sided, family-wise 99% over all cells tried
each = pytest.mark.parametrize("hypothesis", BUILT, ids=lambda h: h.claim.name)


@cache
def tables_of(name, theta, seed):
    """Panels of each null table; one draw serves all claims."""
    found = {}
    for cell, panel in panels(getattr(nulls, name)(theta, np.random.default_rng(seed), tables=TABLES)).items():
        found.setdefault(cell.source, {})[cell] = panel
    return list(found.values())


@each
@pytest.mark.parametrize("name", NULLS)
def test_a_claim_keeps_its_level_where_theta_is_exactly_the_smallest_effect(hypothesis, name):
    thetas = [hypothesis.test(found).theta for found in tables_of(name, 0.05, 1)]
    assert len(thetas) == TABLES
    assert np.mean([theta.p_value(0.05) <= 0.05 for theta in thetas]) <= LIMIT
    assert stats.ttest_1samp([theta.estimate for theta in thetas], 0.05).pvalue > 0.01 / CELLS, "the null is not where it says"


@each
def test_a_claim_is_hardly_ever_supported_where_there_is_nothing(hypothesis):
    thetas = [hypothesis.test(found).theta for found in tables_of("isotropic_label_directions", 0.0, 2)]
    assert np.mean([theta.p_value(0.05) <= 0.05 and theta.estimate > 0.05 for theta in thetas]) <= LIMIT


def test_the_nulls_would_catch_a_test_over_checkpoints():
    """Least squares over all late checkpoints of an instance-pooled table, with lr x step dummies: no cluster in sight."""
    rejected = []
    for found in tables_of("isotropic_label_directions", 0.05, 1)[:100]:
        panel = next(panel for cell, panel in found.items() if cell.in_domain)
        x, y = panel.x[..., 1:], panel.y()[..., 1:, 0]
        x, y = (v - v.mean(axis=2, keepdims=True) for v in (x, y))
        slope = (x * y).sum() / (x * x).sum()
        error = np.sqrt(((y - slope * x) ** 2).sum() / (x.size - 1) / (x * x).sum())
        rejected.append(abs(slope - 0.05) > 1.96 * error)
    assert np.mean(rejected) > 2 * LIMIT


def test_labels_outside_x_have_no_range_and_test_nothing():
    found = {}
    for cell, panel in panels(nulls.labels_outside_x(np.random.default_rng(3), tables=50)).items():
        found.setdefault(cell.source, {})[cell] = panel
    results = [lower_loss_gives_better_transfer.test(table) for table in found.values()]
    assert all(result.needs == "no range" and result.theta.p_value(0.05) == 1.0 for result in results)


@each
@pytest.mark.parametrize("effect", [-0.4, 0.05, 0.6])
def test_a_planted_effect_is_covered(hypothesis, effect):
    rng, covered, tables = np.random.default_rng(4), 0, 10
    for _ in range(tables):
        low, high = hypothesis.test(hypothesis.plant(effect, rng, instances=8)).theta.interval(0.99)
        covered += low <= effect <= high
    assert covered >= tables - 2  # P(more than 2 misses of 10 at 1%) = 1e-4


@each
def test_effects_are_shown_in_the_losses_own_units(hypothesis):
    """D is between 1 and 2 and R is 1 in the planted tables: slopes shrink by D, levels do not."""
    result = hypothesis.test(hypothesis.plant(0.8, np.random.default_rng(5), between=0.0))
    assert result.unit == "squared"
    is_slope = hypothesis is not concept_shift_raises_the_intercept
    assert (
        (0.5 < result.raw / result.theta.estimate < 0.85)
        if is_slope
        else result.raw == pytest.approx(result.theta.estimate, rel=0.05)
    )


def test_supervised_pretraining_has_no_say():
    frame = lower_loss_gives_better_transfer.plant(0.5, np.random.default_rng(6), instances=6)
    supervised = frame[frame.pretext == "FixedMask"].assign(pretext="Supervised", l_adapt=lambda t: t.l_adapt + t.l_pre_profiled)
    supervised["run"] = supervised.run + "s"
    supervised["target"] = supervised.target + "s"
    one, two = (lower_loss_gives_better_transfer.test(f).theta for f in (frame, pd.concat([frame, supervised], ignore_index=True)))
    np.testing.assert_allclose(two.estimate, one.estimate)
    assert "self-supervised" in lower_loss_gives_better_transfer.test(supervised).needs


def test_cells_are_averaged_inside_instances_and_listed():
    result = lower_loss_gives_better_transfer.test(lower_loss_gives_better_transfer.plant(0.5, np.random.default_rng(7)))
    assert len(result.cells) == 2 and result.theta.n_clusters == 12
    by_cell = np.array([cell.mean.values for cell in result.cells])
    np.testing.assert_allclose(result.theta.values, by_cell.mean(axis=0), rtol=1e-12)
    assert all(cell.p_bh >= cell.p for cell in result.cells)


@each
def test_a_claim_names_what_is_missing(hypothesis):
    frame = hypothesis.plant(0.5, np.random.default_rng(8), instances=6)
    assert hypothesis.test(frame).needs is None
    few = frame[frame.instance.isin(frame.instance.unique()[:3])]
    assert hypothesis.test(few).needs == "3 instances, needs 6"
    away = (
        frame[frame["shift"] != "none"] if hypothesis is not lower_loss_gives_better_transfer else frame[frame.n_unlabelled == 32]
    )
    needs = hypothesis.test(away).needs if len(away) else ""
    assert needs.startswith("needs ") and hypothesis.test(away).theta.p_value(0.05) == 1.0


def test_populations_are_never_pooled():
    rng = np.random.default_rng(9)
    both = pd.concat(
        [lower_loss_gives_better_transfer.plant(0.5, rng, instances=3).assign(source=s) for s in "ab"], ignore_index=True
    )
    both["run"] = both.source + both.run
    with pytest.raises(ValueError, match=r"2 kinds of source \(a, b\)"):
        lower_loss_gives_better_transfer.test(both)
    mixed = both.assign(source="a", unit=np.where(both.source == "a", "nats", "squared"))
    with pytest.raises(ValueError, match=r"2 kinds of unit \(nats, squared\)"):
        lower_loss_gives_better_transfer.test(mixed)
