"""Oracle checks hold where theory does and catch what is planted; questions recover what is planted and stay quiet without it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from interface.hypotheses import EXPLORATIONS, ORACLES, check_oracles, explore, lower_loss_gives_better_transfer
from interface.hypotheses.ssl_gains_over_scratch_until_the_excess import crossover, expected_gain

by_oracle = pytest.mark.parametrize("check", ORACLES, ids=lambda c: c.oracle.name)
by_question = pytest.mark.parametrize("exploration", EXPLORATIONS, ids=lambda e: e.question.name)


@by_oracle
def test_an_oracle_holds_on_its_plant_and_sees_a_violation(check):
    good, bad = (check.test(check.plant(off, np.random.default_rng(0))) for off in (0.0, 0.01))
    assert good.holds and good.rows >= 20 and good.violated == 0 and "holds" in str(good)
    assert not bad.holds and bad.violated > 0 and bad.worst >= 0.0099 and "VIOLATED" in str(bad)


@by_oracle
def test_sampling_error_is_allowed_for_and_missing_columns_are_named(check):
    frame = check.plant(0.01, np.random.default_rng(1))
    assert check.test(frame.assign(stderr=0.01)).holds and not check.test(frame.assign(stderr=1e-4)).holds
    column = check.oracle.columns[-1]
    assert column in check.test(frame.drop(columns=column)).needs and not check.test(frame.drop(columns=column)).holds
    assert check.test(frame.assign(**{column: np.nan})).needs is not None


def test_statements_are_frozen_and_hashed():
    things = [c.oracle for c in ORACLES] + [e.question for e in EXPLORATIONS]
    assert len({thing.hash for thing in things}) == len(things) == 12
    for thing in things:
        assert dataclasses.replace(thing, name="other").hash != thing.hash == dataclasses.replace(thing).hash
        with pytest.raises(dataclasses.FrozenInstanceError):
            thing.name = "other"


def test_the_gain_of_features_is_that_of_least_squares():
    """Closed form against a simulation of least squares with Gaussian features."""
    rng, n, d, r, tau, tables = np.random.default_rng(2), 40, 10, 3, 0.5, 1_500
    a = np.zeros(d)
    a[:4] = 0.6  # the fourth direction is lost with three features
    gains = []
    for _ in range(tables):
        x = rng.normal(size=(n, d))
        y = x @ a + tau * rng.normal(size=n)
        full = np.linalg.lstsq(x, y, rcond=None)[0]
        kept = np.linalg.lstsq(x[:, :r], y, rcond=None)[0]
        loss = tau**2 + ((full - a) ** 2).sum()
        gains.append(loss - (tau**2 + ((kept - a[:r]) ** 2).sum() + (a[r:] ** 2).sum()))
    case = pd.DataFrame({"n_labels": [n], "dim": [r], "input_dim": [d], "l_star": [tau**2 + 0.36], "l_bayes": [tau**2]})
    np.testing.assert_allclose(np.mean(gains), expected_gain(case)[0], atol=4 * np.std(gains) / tables**0.5)
    n_star = crossover(tau**2 + 0.36, tau**2, r, d)
    assert expected_gain(case.assign(n_labels=n_star - 1))[0] > 0 > expected_gain(case.assign(n_labels=n_star + 1))[0]


def test_many_oracles_on_one_table():
    frame = ORACLES[-1].plant(0.0, np.random.default_rng(3))
    assert [c.needs is None for c in check_oracles(frame)] == [False] * 4 + [True]


@by_question
def test_a_question_recovers_what_is_planted(exploration):
    planted = 1.0 if exploration.question.name == "emergence_is_in_the_metric" else 0.3
    answer = exploration.explore(exploration.plant(planted, np.random.default_rng(4)))[0]
    assert answer.needs is None and answer.theta.n_clusters == 8
    if exploration.question.name in ("scores_say_more_than_the_loss", "emergence_is_in_the_metric"):
        assert answer.theta.interval()[0] > 0 and answer.p < 1e-3
    else:
        low, high = answer.theta.interval(0.999)
        assert low - 0.01 <= 0.3 <= high + 0.01 and answer.p < 1e-3


@by_question
def test_a_question_without_an_answer_stays_quiet(exploration):
    answers = [a for seed in range(2) for a in exploration.explore(exploration.plant(0.0, np.random.default_rng(seed)))]
    assert all(answer.p > 0.002 or abs(answer.theta.estimate) < 0.02 for answer in answers)


def test_everything_that_is_asked_is_adjusted_together_and_what_is_lacking_is_named():
    frame = next(e for e in EXPLORATIONS if e.question.columns == ("flatness",)).plant(0.3, np.random.default_rng(5))
    answers = explore(frame)
    expected = multipletests([a.p for a in answers], method="fdr_bh")[1]
    np.testing.assert_allclose([a.p_bh for a in answers], expected)
    flat = next(a for a in answers if a.name == "flatter_transfers_better")
    assert flat.notable and "exploratory" in str(flat) and flat.hash in str(flat)
    lacking = [a for a in answers if a.needs]
    assert {"size_works_through_the_loss", "emergence_is_in_the_metric"} <= {a.name for a in lacking}
    assert all(a.needs.startswith("needs ") and not a.notable for a in lacking)


def test_questions_that_need_nothing_more_are_answered_on_a_plain_frame():
    frame = lower_loss_gives_better_transfer.plant(0.5, np.random.default_rng(6), instances=3)
    answered = {a.name for a in explore(frame) if a.needs is None}
    assert "the_loss_to_loss_exponent" in answered
