"""Claims 4 to 8: they recover what is planted, keep their level at its edge, and say what is missing."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interface.analysis import SkewedMean, cluster_mean, panels
from interface.hypotheses import (
    ALL,
    equal_loss_different_transfer,
    judge,
    lower_loss_gives_better_transfer,
    probing_first_keeps_fine_tuning_right,
    stopping_at_the_best_loss_is_not_best,
    the_earlier_split_transfers_better,
    the_probe_wins_with_few_labels,
)
from interface.hypotheses._planted import planted_adaptations

ROOT = Path(__file__).parents[2]
nulls = SimpleNamespace(**runpy.run_path(str(ROOT / "tests" / "nulls.py")))
worlds = SimpleNamespace(**runpy.run_path(str(ROOT / "studies" / "exact_worlds.py")))

EDGE = {
    equal_loss_different_transfer: 0.05,
    stopping_at_the_best_loss_is_not_best: 0.05,
    probing_first_keeps_fine_tuning_right: 0.0,
    the_earlier_split_transfers_better: -0.05,
}
each = pytest.mark.parametrize("hypothesis", EDGE, ids=lambda h: h.claim.name)


@each
@pytest.mark.parametrize("effect", [0.05, 0.4])
def test_a_planted_effect_is_covered(hypothesis, effect):
    effect = -effect if hypothesis.claim.direction == "below" else effect
    rng, covered, tables = np.random.default_rng(0), 0, 12
    for _ in range(tables):
        result = hypothesis.test(hypothesis.plant(effect, rng, instances=8))
        assert result.needs is None and result.unit == "squared"
        low, high = result.theta.interval(0.99)
        # choosing the best checkpoint on noisy draws loses up to a noise deviation (.01) of the regret
        covered += low - 0.01 <= effect <= high + 0.01
    assert covered >= tables - 2


@pytest.mark.parametrize(
    ("hypothesis", "null"),
    [
        (equal_loss_different_transfer, "two_encoders"),
        (stopping_at_the_best_loss_is_not_best, "late_turns"),
        (the_earlier_split_transfers_better, "two_depths"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("at_edge", [True, False])
def test_the_level_holds_on_nulls_that_the_claims_did_not_write(hypothesis, null, at_edge):
    tables, edge = 150, EDGE[hypothesis]
    found = {}
    frame = getattr(nulls, null)(edge if at_edge else 0.0, np.random.default_rng(12), tables=tables, instances=8)
    for cell, panel in panels(frame).items():
        found.setdefault(cell.source, {})[cell] = panel
    verdicts = [judge(table, [hypothesis], confirmation=source)[0] for source, table in found.items()]
    assert len(verdicts) == tables and all(v.needs is None for v in verdicts)
    limit = stats.binom.ppf(1 - 0.01 / 6, tables, 0.05)  # one-sided family-wise 99% over the six cells tried
    if at_edge:
        assert sum(v.p <= 0.05 for v in verdicts) <= limit
        # a two-sided claim is tested on the side of its estimate; choosing on noisy draws costs a regret up to .005
        assert abs(np.mean([v.estimate for v in verdicts]) - edge) < 4 * np.mean([v.stderr for v in verdicts]) / tables**0.5 + 0.005
    else:
        assert sum(v.p <= 0.05 and v.outcome != "refuted" and abs(v.estimate) > abs(edge) for v in verdicts) <= limit


ABOUT_ROWS = pytest.mark.parametrize(
    ("hypothesis", "null"),
    [(the_probe_wins_with_few_labels, "label_counts"), (probing_first_keeps_fine_tuning_right, "heads_out_of_domain")],
    ids=lambda value: value if isinstance(value, str) else "",
)


def judged_tables(hypothesis, frame):
    """One verdict a table."""
    return [judge(rows, [hypothesis], confirmation=source)[0] for source, rows in frame.groupby("source", observed=True)]


@ABOUT_ROWS
@pytest.mark.parametrize("instances", [6, 12])
def test_the_level_of_claims_about_rows_holds_on_nulls_that_they_did_not_write(hypothesis, null, instances):
    tables = 60
    frame = getattr(nulls, null)(0.0, np.random.default_rng([13, instances]), tables=tables, instances=instances)
    verdicts = judged_tables(hypothesis, frame)
    assert len(verdicts) == tables and all(v.needs is None for v in verdicts)
    assert sum(v.p <= 0.05 for v in verdicts) <= stats.binom.ppf(1 - 0.01 / 4, tables, 0.05)  # family-wise 99% over four cells
    assert abs(np.mean([v.estimate for v in verdicts])) < 4 * np.mean([v.stderr for v in verdicts]) / tables**0.5


@ABOUT_ROWS
def test_claims_about_rows_find_what_those_tables_hold(hypothesis, null):
    verdicts = judged_tables(hypothesis, getattr(nulls, null)(0.6, np.random.default_rng(14), tables=8))
    assert {v.outcome for v in verdicts} == {"supported"}
    assert np.mean([abs(v.estimate) for v in verdicts]) == pytest.approx(0.6, abs=0.1)
    against = judged_tables(hypothesis, getattr(nulls, null)(-0.6, np.random.default_rng(15), tables=8))
    assert {v.outcome for v in against} == {"refuted"}


def test_the_nulls_about_rows_would_catch_pairs_of_runs_taken_for_units():
    frame = nulls.heads_out_of_domain(0.0, np.random.default_rng(16), tables=60)
    here = frame[(frame.strength == 1) & (frame.step == frame.step.max()) & frame.n_labels.notna()]
    keys = ["source", "run", "target", "n_labels"]
    sides = [here[here.adaptation == kind].set_index(keys)["l_adapt"] for kind in ("FineTuning", "ProbeThenFineTuning")]
    p = (sides[0] - sides[1]).groupby(level="source", observed=True).agg(lambda gaps: stats.ttest_1samp(gaps, 0.0).pvalue)
    assert len(p) == 60 and np.mean(p <= 0.05) > 0.3


@pytest.mark.parametrize("linked", [True, False])
def test_exact_worlds_whose_truth_is_known_are_judged_right(linked):
    outcomes = []
    for seed in range(6):
        frame = worlds.exact_world(np.random.default_rng(seed), linked=linked, instances=8, directions=2)
        outcomes += [verdict.outcome for verdict in judge(frame, ALL[:3])]
    assert set(outcomes) == {"supported"} if linked else "supported" not in outcomes


@pytest.mark.parametrize("hypothesis", [*EDGE, the_probe_wins_with_few_labels], ids=lambda h: h.claim.name)
def test_the_judge_supports_and_refutes_them(hypothesis):
    rng = np.random.default_rng(2)
    sign = -1 if hypothesis.claim.direction == "below" else 1
    assert judge(hypothesis.plant(0.5 * sign, rng), [hypothesis])[0].outcome == "supported"
    nothing = judge(hypothesis.plant(0.0, rng, between=0.01), [hypothesis])[0]
    if hypothesis.claim.smallest_effect:
        assert nothing.outcome == "refuted" and nothing.null
    if hypothesis not in (stopping_at_the_best_loss_is_not_best, equal_loss_different_transfer):
        assert judge(hypothesis.plant(-0.5 * sign, rng), [hypothesis])[0].outcome == "refuted"


def test_a_two_sided_claim_is_supported_on_either_side():
    verdicts = [judge(equal_loss_different_transfer.plant(e, np.random.default_rng(3)), ALL[3:4])[0] for e in (0.4, -0.4)]
    assert [v.outcome for v in verdicts] == ["supported"] * 2 and verdicts[0].estimate > 0 > verdicts[1].estimate


def test_a_conjunction_needs_both_ends_and_reports_the_weaker():
    rng = np.random.default_rng(4)
    test = the_probe_wins_with_few_labels.test
    both, one, wrong = (
        test(planted_adaptations(rng, few=f, many=m, instances=12, between=0.1)) for f, m in ((0.5, -0.1), (0.5, 0.0), (0.5, 0.4))
    )
    assert both.favours and both.p < 0.02 and both.theta.estimate == pytest.approx(-0.1, abs=0.1)
    assert one.p > 0.01
    assert not wrong.favours and wrong.p < 1e-3 and "1000 labels" in wrong.detail


def test_the_regret_is_tested_with_its_skewness_and_all_numbers_belong_together():
    """On the shared null, where plain t over instances refutes too often; support is hardly lost where there is a regret."""
    hypothesis, found = stopping_at_the_best_loss_is_not_best, {}
    for cell, panel in panels(nulls.late_turns(0.05, np.random.default_rng(17), tables=400)).items():
        found.setdefault(cell.source, {})[cell] = panel
    thetas = [hypothesis.test(table).theta for table in found.values()]
    plain = [cluster_mean(theta.values, theta.clusters) for theta in thetas]
    refuted = [sum(t.p_value(0.05) <= 0.05 and t.estimate < 0.05 for t in of) for of in (thetas, plain)]
    assert refuted[0] < refuted[1]
    for theta in thetas[:20]:
        low, high = theta.interval()
        assert (theta.p_value(0.05) <= 0.05) == (not low <= 0.05 <= high)

    verdict = judge(hypothesis.plant(0.2, np.random.default_rng(18), between=0.5), [hypothesis])[0]
    theta = hypothesis.test(hypothesis.plant(0.2, np.random.default_rng(18), between=0.5)).theta
    assert verdict.outcome == "supported" and isinstance(theta, SkewedMean)
    assert (verdict.interval, verdict.p) == (theta.interval(), theta.p_value(0.05))
    assert verdict.minimal_detectable_effect == theta.minimal_detectable_effect(level=verdict.level)
    assert all(isinstance(cell.mean, SkewedMean) for cell in verdict.cells)


def test_a_regret_well_above_the_smallest_effect_is_supported_as_often_as_by_the_plain_test():
    rng, tables = np.random.default_rng(19), 40
    hypothesis = stopping_at_the_best_loss_is_not_best
    thetas = [hypothesis.test(hypothesis.plant(0.1, rng, between=0.7)).theta for _ in range(tables)]
    plain = [cluster_mean(theta.values, theta.clusters) for theta in thetas]
    found = [sum(t.p_value(0.05) <= 0.05 and t.estimate > 0.05 for t in of) for of in (thetas, plain)]
    assert found[0] >= found[1] - 2 and found[0] > 0.4 * tables


def test_noise_alone_makes_no_regret():
    frame = stopping_at_the_best_loss_is_not_best.plant(0.0, np.random.default_rng(6), between=0.0)
    flat = frame[frame.step.isin([0, 900])]
    late = flat[flat.step == 900]
    rng = np.random.default_rng(7)
    copies = [late.assign(step=900 + k, l_pre_profiled=late.l_pre_profiled - k) for k in range(1, 10)]
    both = pd.concat([flat, *copies], ignore_index=True)
    for side in ("l_adapt_low", "l_adapt_high"):
        both[side] = both[side] + 0.1 * rng.normal(size=len(both))
    both["l_adapt"] = 0.5 * (both.l_adapt_low + both.l_adapt_high)
    theta = stopping_at_the_best_loss_is_not_best.test(both).theta
    assert abs(theta.estimate) < 0.02, "a minimum over the valued draws themselves would be off by .15"


@pytest.mark.parametrize("hypothesis", ALL[3:], ids=lambda h: h.claim.name)
def test_each_names_what_is_missing(hypothesis):
    frame = lower_loss_gives_better_transfer.plant(0.5, np.random.default_rng(8), instances=6)
    result = hypothesis.test(frame)
    assert result.needs.startswith("needs ") and result.theta.p_value(0.05) == 1.0
    few = hypothesis.plant(0.3, np.random.default_rng(9), instances=3)
    assert hypothesis.test(few).needs == "3 instances, needs 6"


def test_claims_about_rows_need_the_frame():
    frame = probing_first_keeps_fine_tuning_right.plant(0.5, np.random.default_rng(10))
    frame = frame[frame.adaptation == "LinearProbe"]
    verdict = judge(panels(frame), ALL[6:7])[0]
    assert verdict.outcome == "untestable" and "frame" in verdict.needs


def test_equal_loss_pairs_without_a_common_loss_are_counted():
    frame = equal_loss_different_transfer.plant(0.3, np.random.default_rng(11), instances=6)
    apart = frame.assign(l_pre_profiled=frame.l_pre_profiled - 10 * (frame.encoder == "A"))
    assert equal_loss_different_transfer.test(apart).needs is not None
    assert "36 pairs" not in equal_loss_different_transfer.test(frame).detail
    assert equal_loss_different_transfer.test(frame).detail.startswith("18 pairs of runs, 0 without")
