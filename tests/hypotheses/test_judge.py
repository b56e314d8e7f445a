import dataclasses

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from interface.hypotheses import ALL, concept_shift_raises_the_intercept, judge, lower_loss_gives_better_transfer
from interface.hypotheses._planted import Target, planted

TARGETS = [Target(), Target("misalignment", 1.0, slope=-0.2), Target("concept", 1.0, intercept=0.8)]


@pytest.fixture(scope="module")
def gaussian():
    return planted(np.random.default_rng(0), TARGETS)


@pytest.fixture(scope="module")
def glyphs():
    targets = [
        Target(slope=0.6),
        Target("inversion", 1.0, slope=0.1, intercept=0.5),
        Target("rotation", 1.0),
        Target("typeface", 1.0),
    ]
    return planted(np.random.default_rng(1), targets, source="Glyphs", instances=6, replicates=1)


def test_the_family_is_always_eight(gaussian, glyphs):
    for frame in (gaussian, glyphs, gaussian[gaussian["shift"] == "none"]):
        verdicts = [v for v in judge(frame) if v.role == "confirmation"]
        assert [v.number for v in verdicts] == list(range(1, 9))
        assert len({v.name for v in verdicts}) == len({v.hash for v in verdicts}) == 8


def test_planted_claims_are_supported_and_unbuilt_ones_name_their_needs(gaussian):
    verdicts = judge(gaussian)
    assert [v.outcome for v in verdicts] == ["supported"] * 3 + ["untestable"] * 5
    assert [round(v.estimate, 1) for v in verdicts[:3]] == [1.0, 0.8, 1.2]
    assert all(v.needs and v.needs.startswith("needs ") and v.p == v.p_holm == 1.0 for v in verdicts[3:])
    assert "fine_tuning rows" in verdicts[5].needs and "untestable: needs fine_tuning" in str(verdicts[5])
    for v in verdicts[:3]:
        assert v.interval[0] < v.estimate < v.interval[1] and v.n_clusters == 12 and v.hash in str(v)


def test_p_values_are_adjusted_over_all_eight(gaussian):
    weak = gaussian.assign(l_adapt=gaussian.l_adapt + np.random.default_rng(2).normal(size=len(gaussian)) * 0.3)
    verdicts = judge(weak)
    np.testing.assert_allclose([v.p_holm for v in verdicts], multipletests([v.p for v in verdicts], method="holm")[1], rtol=1e-12)
    order = sorted(verdicts, key=lambda v: v.p)
    assert [v.level for v in order] == [0.05 / k for k in range(8, 0, -1)]
    alone = judge(weak, ALL[:1])
    assert len(alone) == 1 and alone[0].p_holm == pytest.approx(min(1.0, 8 * alone[0].p))


@pytest.mark.parametrize(
    ("slope", "outcome", "null"), [(0.8, "supported", False), (-0.8, "refuted", False), (0.0, "refuted", True)]
)
def test_outcomes_follow_the_sign_and_null_is_a_tag(slope, outcome, null):
    frame = lower_loss_gives_better_transfer.plant(slope, np.random.default_rng(3), between=0.02)
    verdict = judge(frame)[0]
    assert (verdict.outcome, verdict.null) == (outcome, null)


def test_undecided_comes_with_what_could_have_been_detected():
    frame = lower_loss_gives_better_transfer.plant(0.1, np.random.default_rng(4), between=1.0)
    verdict = judge(frame)[0]
    assert verdict.outcome == "undecided" and not verdict.null
    # at 12 instances and .05/8: 1.2 to 1.25 standard deviations of an instance
    assert 1.2 < verdict.minimal_detectable_effect / (verdict.stderr * 12**0.5) < 1.25
    assert "detectable at 80% power" in str(verdict)


def test_other_populations_replicate_at_the_plain_level(gaussian, glyphs):
    verdicts = judge(pd.concat([gaussian, glyphs], ignore_index=True))
    assert [v.number for v in verdicts[:8]] == list(range(1, 9))
    again = verdicts[8:]
    assert [(v.number, v.target) for v in again] == [(1, ""), (2, "inversion"), (2, "rotation"), (3, "")]
    assert all(v.role == "replication" and v.population == "Glyphs" and v.level == 0.05 and v.p_holm == v.p for v in again)
    assert [v.outcome for v in again] == ["supported", "supported", "refuted", "untestable"]
    assert "overlap" in again[3].needs
    np.testing.assert_allclose(
        [v.p_holm for v in verdicts[:8]], [v.p_holm for v in judge(gaussian)], err_msg="replications are no family"
    )


def test_without_the_confirmation_population_nothing_is_confirmed(glyphs):
    verdicts = judge(glyphs)
    assert all(v.outcome == "untestable" for v in verdicts[:8]) and verdicts[0].needs == "needs rows of GaussianFactor"
    assert verdicts[8].outcome == "supported" and verdicts[8].n_clusters == 6


def test_claims_are_about_one_adaptation(gaussian):
    other = gaussian.assign(adaptation="BoundedProbe", l_adapt=gaussian.l_adapt * 3)
    both = judge(pd.concat([gaussian, other], ignore_index=True))
    assert [v.estimate for v in both[:3]] == [v.estimate for v in judge(gaussian)[:3]]
    with pytest.raises(ValueError, match="BoundedProbe, LinearProbe"):
        judge(pd.concat([gaussian, other]), adaptation="Tuning")


def test_a_claim_is_its_fields():
    claim = concept_shift_raises_the_intercept.claim
    assert claim.hash == dataclasses.replace(claim).hash
    assert claim.hash != dataclasses.replace(claim, smallest_effect=0.1).hash
    assert len({h.claim.hash for h in ALL}) == len(ALL) == 8
    with pytest.raises(dataclasses.FrozenInstanceError):
        claim.smallest_effect = 0.0


def test_categories_and_nullable_integers_change_nothing(gaussian):
    text = gaussian.select_dtypes(exclude="number").columns
    typed = gaussian.astype(dict.fromkeys(text, "category")).astype({"n_unlabelled": "Int64", "replicate": "Int64"})
    assert [v.estimate for v in judge(typed)[:3]] == [v.estimate for v in judge(gaussian)[:3]]


def test_claims_about_the_output_do_not_see_other_depths():
    from interface.hypotheses.the_earlier_split_transfers_better import HYPOTHESIS as SPLIT

    frame = SPLIT.plant(-0.5, np.random.default_rng(0))
    output = frame[frame["depth"] == frame["depth"].max()].assign(depth=np.nan)
    both = pd.concat([frame, output], ignore_index=True)
    alone = {v.number: v for v in judge(output)}
    together = {v.number: v for v in judge(both)}
    for number in (1, 2, 3, 4, 5):
        assert together[number].estimate == alone[number].estimate or (
            np.isnan(together[number].estimate) and np.isnan(alone[number].estimate)
        )
    assert together[8].outcome == "supported" and alone[8].outcome == "untestable"
