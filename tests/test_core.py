import math
import pickle
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface.core import Bracket, Estimate, Shift, fingerprint, specification

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(finite, st.floats(0, 1e6))
def test_an_estimate_is_its_value_and_keeps_its_error(value, stderr):
    estimate = Estimate(value, stderr=stderr, how="held_out", n=3)
    assert estimate == value and estimate.stderr == stderr
    assert type(estimate + 1) is float  # a derived quantity has no claim to its part's error


def test_an_estimate_survives_pickling_and_cannot_be_changed():
    estimate = Estimate(0.5, stderr=0.1, how="exact", n=4, status="crossed")
    again = pickle.loads(pickle.dumps(estimate))
    assert (again, again.stderr, again.how, again.n, again.status) == (0.5, 0.1, "exact", 4, "crossed")
    with pytest.raises(AttributeError, match="immutable"):
        estimate.stderr = 0.2


@pytest.mark.parametrize("bad", [-0.1, math.nan])
def test_an_error_that_is_no_error_is_refused(bad):
    with pytest.raises(ValueError, match="stderr"):
        Estimate(1.0, stderr=bad, how="exact")


def side(value, status="ok", stderr=0.01):
    return Estimate(value, stderr=stderr, how="held_out", n=100, status=status)


def test_the_interval_is_ordered_even_where_the_points_cross():
    bracket = Bracket(side(0.32), side(0.30), gap=1e-8)
    low, high = bracket.interval()
    assert low < high and bracket.status == "crossed" and bracket.low > bracket.high  # never swapped


def test_solved_and_certified_are_two_words():
    assert Bracket(side(0.3), side(0.4), gap=1e-7).solved
    assert not Bracket(side(0.3), side(0.4), gap=1e-7).certified
    assert Bracket(side(0.3), side(0.4), gap=1e-7, lower_limit=0.2).certified
    assert not Bracket(side(0.3), side(0.4), gap=1e-5, lower_limit=0.2).certified


def test_the_status_of_a_bracket_names_the_first_doubt():
    assert Bracket(side(0.0, "vacuous_lower"), side(0.4), gap=1.0).status == "vacuous_lower"
    assert Bracket(side(0.3), side(0.4), gap=1.0).status == "not_converged"


def test_the_midpoint_carries_both_errors():
    middle = Bracket(side(0.3, stderr=0.03), side(0.5, stderr=0.04), gap=0.0).midpoint()
    assert middle == pytest.approx(0.4) and middle.stderr == pytest.approx(0.025)


def test_an_interval_needs_errors():
    with pytest.raises(ValueError, match="standard error"):
        Bracket(Estimate(0.3, how="held_out"), side(0.4), gap=0.0).interval()


@dataclass(frozen=True)
class Inner:
    a: int
    b: float = 2.0


@dataclass(frozen=True)
class Outer:
    inner: Inner
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grown:
    """`Inner` after a field with a default was added."""

    a: int
    b: float = 2.0
    c: str = "new"


def test_a_new_field_with_a_default_orphans_no_run():
    assert specification(Grown(1)) == {**specification(Inner(1)), "kind": "Grown"}
    assert specification(Grown(1, c="other"))["c"] == "other"


def test_fingerprints_tell_values_and_nesting_apart():
    things = [Outer(Inner(1)), Outer(Inner(2)), Outer(Inner(1, 3.0)), Outer(Inner(1), ("x",)), Inner(1)]
    names = [fingerprint(thing) for thing in things]
    assert len(set(names)) == len(names) and all(name[0] == "f" and len(name) == 12 for name in names)


def test_fingerprints_are_golden():
    assert fingerprint(Shift("rotation", 1.0, "mixed")) == "f7c225e277da"


def test_what_is_no_plain_value_has_no_fingerprint():
    with pytest.raises(TypeError, match="plain value"):
        fingerprint(Outer(Inner(1), names={1, 2}))


def test_without_a_lower_side_the_upper_one_is_the_value_and_the_floor_the_limit():
    low = Estimate(0.0, how="exact", status="no_lower_side")
    bracket = Bracket(low, Estimate(0.4, stderr=0.01, how="held_out", n=100), gap=0.4)
    middle = bracket.midpoint()
    assert (float(middle), middle.stderr, middle.status) == (0.4, 0.01, "no_lower_side")
    assert bracket.interval() == (0.0, pytest.approx(0.4 + 1.96 * 0.01, abs=1e-4)) and not bracket.solved
