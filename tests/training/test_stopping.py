"""Stopping rules: which checkpoint each picks, and the rows that say so."""

import math

import pytest

from interface.core import Row
from interface.training import FixedBudget, Oracle, Patience, Plateau, stopping_rows

CHECKS = [0, 10, 20, 40, 80]


@pytest.mark.parametrize(
    ("rule", "losses", "step", "status"),
    [
        (FixedBudget(25), [5, 4, 3, 2, 1], 20, "ok"),
        (FixedBudget(0), [5, 4, 3, 2, 1], 0, "ok"),
        (Patience(1), [5, 3, 4, 2, 1], 10, "ok"),  # gives up before the second descent
        (Patience(2), [5, 3, 4, 2, 1], 80, "not_reached"),
        (Patience(2), [5, 3, 4, 3.5, 1], 10, "ok"),
        (Patience(2, 0.5), [5, 4, 3.8, 3.6, 3.4], 10, "ok"),  # improvements of .2 and .4 count as none
        (Patience(2), [5, math.nan, math.nan, 1, 0], 0, "ok"),
        (Patience(9), [math.nan] * 5, 80, "diverged"),
        (Plateau(1, 0.1), [5, 4, 3.9, 3.89, 0], 40, "ok"),
        (Plateau(3, 0.1), [5, 4, 3.9, 3.89, 0], 80, "not_reached"),
        (Plateau(1, 0.0), [5, 4, 3, 2, 2.1], 80, "ok"),
        (Plateau(1, 0.1), [5, 4, math.nan, 2, 1], 20, "diverged"),
        (Oracle(), [5, 2, 3, 2, 4], 10, "ok"),
        (Oracle(), [math.nan, 2, 3, 1, 4], 40, "ok"),
        (Oracle(), [math.inf] * 5, 0, "diverged"),
    ],
)
def test_each_rule_picks_the_checkpoint_that_its_definition_names(rule, losses, step, status):
    chosen = rule.chosen(CHECKS, losses)
    assert (chosen, chosen.status, chosen.how) == (step, status, "exact")


def test_the_plateau_slope_is_loss_an_e_fold_of_steps():
    losses = [1 - 0.2 * math.log1p(step) for step in CHECKS]  # falls by .2 an e-fold throughout
    assert Plateau(2, 0.19).chosen(CHECKS, losses).status == "not_reached"
    assert Plateau(2, 0.21).chosen(CHECKS, losses) == 20


def measured(run, step, quantity, value, **cell):
    return Row(run=run, step=step, quantity=quantity, value=value, how="held_out", stderr=0.1, n=5, unit="nats", lr=0.1, **cell)


def test_rows_say_what_was_picked_a_run_and_for_the_oracle_a_cell():
    rows = [measured("a", s, "l_pre", v) for s, v in zip(CHECKS[::-1], [1, 2, 4, 3, 5], strict=True)]  # in any order
    rows += [measured("b", s, "l_pre_profiled", v) for s, v in zip(CHECKS, [5, 4, 3, 2, 1], strict=True)]  # no head: no l_pre
    rows += [measured("a", s, "l_pre_profiled", 0.0) for s in CHECKS]
    rows += [measured("a", s, "l_adapt", abs(s - best), target=t) for t, best in (("t", 20), ("u", 80)) for s in CHECKS]
    found = {(r.run, r.target, r.quantity): r for r in stopping_rows(rows, [Patience(1), FixedBudget(40), Oracle()])}
    assert {key: r.value for key, r in found.items()} == {
        ("a", None, "stop_patience_1"): 10,
        ("a", None, "stop_budget_40"): 40,
        ("b", None, "stop_patience_1"): 80,
        ("b", None, "stop_budget_40"): 40,
        ("a", "t", "stop_oracle"): 20,
        ("a", "u", "stop_oracle"): 80,
    }
    first = found["a", None, "stop_patience_1"]
    assert (first.step, first.unit, first.how, first.stderr, first.n, first.lr) == (80, "step", "exact", None, None, 0.1)
    assert found["b", None, "stop_patience_1"].status == "not_reached"
    with pytest.raises(ValueError, match="different ones"):
        list(stopping_rows(rows, [Oracle(), Oracle()]))


@pytest.mark.parametrize("bad", [lambda: Patience(0), lambda: Patience(1, -1.0), lambda: Plateau(0, 0.1), lambda: Plateau(1, -0.1)])
def test_a_bad_rule_is_refused(bad):
    with pytest.raises(ValueError, match="allowed"):
        bad()


@pytest.mark.parametrize("steps", [[], [0, 0], [0, 1]])
def test_a_bad_trajectory_is_refused(steps):
    with pytest.raises(ValueError, match="increasing steps"):
        FixedBudget(1).chosen(steps, [1.0] * 3)
