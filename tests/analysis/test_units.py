import numpy as np
import pandas as pd
import pytest

from interface.analysis import coordinates

BASE = {
    "source": "w",
    "pretext": "P",
    "encoder": "E",
    "shift": "none",
    "strength": 0.0,
    "n_unlabelled": 100,
    "lr": 0.1,
    "target": "t",
}


def rows(instance, losses, *, run=None, **facts):
    """One run: losses is [(step, l_pre, l_adapt), ...]."""
    name = run or f"{instance}-{'-'.join(map(str, facts.values()))}"
    return [
        BASE
        | {"run": name, "instance": instance, "step": s, "l_pre_profiled": pre, "l_adapt": adapt, "target": f"t-{instance}"}
        | facts
        for s, pre, adapt in losses
    ]


def two_instances():
    """Instance a: D = 10 - 4 = 6, M = 1 (supervised), U = 3. Instance b: D = 8 - 6 = 2, M = 2 (its own), U = 6."""
    return pd.DataFrame(
        rows("a", [(0, 10.0, 3.0), (9, 4.0, 2.0)])
        + rows("a", [(0, 10.0, 3.0), (9, 3.0, 0.5)], n_unlabelled=10)  # lower, but on little data: sets neither L_ref nor M
        + rows("a", [(0, 5.0, 4.0), (9, 1.0, 1.0)], pretext="Supervised")
        + rows("b", [(0, 8.0, 6.0), (9, 6.0, 2.0)])
    )


def pick(table, **facts):
    for column, value in facts.items():
        table = table[table[column] == value]
    return table.set_index("step")


def test_the_units_are_those_worked_out_by_hand():
    table = coordinates(two_instances())
    a = pick(table, instance="a", pretext="P", n_unlabelled=100)
    assert a.x.tolist() == [1.0, 0.0] and set(a["drop"]) == {6.0}
    assert set(a.floor) == {1.0}, "M is the lowest over all pretexts, supervised ones too, at the largest n_unlabelled"
    assert set(a.range) == {4.0}, "R comes from the other instance: U - M = 6 - 2"
    assert a.y.tolist() == [0.5, 0.25]
    b = pick(table, instance="b")
    assert b.x.tolist() == [1.0, 0.0] and set(b.range) == {2.0} and b.y.tolist() == [2.0, 0.0]
    small = pick(table, instance="a", n_unlabelled=10)
    assert small.x.tolist() == [1.0, pytest.approx(-1 / 6)], "x is not clipped"
    assert small.y.tolist() == [0.5, -0.125]


def test_without_others_the_range_is_its_own_and_says_so():
    table = coordinates(two_instances())
    supervised = pick(table, pretext="Supervised")
    assert set(supervised.range_status) == {"own_range"} and supervised.y.tolist() == [1.0, 0.0]


def test_a_known_bayes_loss_is_the_floor():
    table = coordinates(two_instances().assign(l_adapt_bayes=0.5))
    assert set(table.floor) == {0.5}
    assert pick(table, instance="a", pretext="P", n_unlabelled=100).y.tolist() == [2.5 / 5.5, 1.5 / 5.5]


@pytest.mark.parametrize(("stderr", "status"), [(0.49, "ok"), (0.51, "no_range")])
def test_a_range_below_four_standard_errors_is_none(stderr, status):
    table = coordinates(two_instances().assign(l_adapt_stderr=stderr))
    b = pick(table, instance="b")  # R = 2
    assert set(b.range_status) == {status} and b.y.isna().all() == (status == "no_range")


def test_targets_are_compared_on_the_in_domain_scale():
    home = two_instances()
    away = home.assign(shift="rotation", strength=1.0, target=home.target + "r", l_adapt=home.l_adapt * 2 + 5)
    table = coordinates(pd.concat([home, away], ignore_index=True))
    a = pick(table, instance="a", pretext="P", n_unlabelled=100, shift="rotation")
    assert a.y.tolist() == [0.5, 0.25], "a target's own floor and range hide the shift"
    assert a.y_in_domain.tolist() == [(11 - 1) / 4, (9 - 1) / 4]
    assert set(coordinates(away).range_in_domain_status) == {"no in-domain rows"}


def test_replicates_keep_their_own_floor_and_share_a_range():
    home = two_instances().assign(replicate=0)
    other = home.assign(replicate=1, target=home.target + "1", l_adapt=home.l_adapt * 3)
    table = coordinates(pd.concat([home, other], ignore_index=True))
    a = pick(table, instance="a", pretext="P", n_unlabelled=100)
    assert set(a.range) == {8.0}, "mean of 4 and 12 over the replicates of the other instance"
    assert a[a.replicate == 1].floor.unique().tolist() == [3.0] and a[a.replicate == 0].floor.unique().tolist() == [1.0]
    assert set(a.floor_in_domain) == {2.0}


def test_learning_curves_and_empty_rows_are_left_out():
    frame = two_instances()
    curve = frame.assign(n_labels=10, l_adapt=99.0)
    empty = frame.assign(n_labels=None, l_adapt=np.nan)
    together = pd.concat([frame.assign(n_labels=None).astype({"n_labels": "Int64"}), curve.astype({"n_labels": "Int64"}), empty])
    pd.testing.assert_series_equal(coordinates(together).y, coordinates(frame).y)


def test_no_pretraining_drop_gives_no_x():
    frame = two_instances()
    frame.loc[(frame.instance == "b"), "l_pre_profiled"] = [8.0, 9.0]
    table = coordinates(frame)
    b = pick(table, instance="b")
    assert set(b.drop_status) == {"no_drop"} and b.x.isna().all()
    later = coordinates(frame[frame.step > 0])
    assert set(later.drop_status) == {"no_step_0"} and later.x.isna().all() and set(later.range_status) == {"no_step_0"}


def test_row_order_and_dtypes_do_not_matter():
    frame = two_instances()
    shuffled = frame.sample(frac=1.0, random_state=1).astype({"run": "category", "n_unlabelled": "Int64", "source": "category"})
    expected, found = (coordinates(f).set_index(["run", "step"]).sort_index() for f in (frame, shuffled))
    pd.testing.assert_series_equal(found.y, expected.y, check_index=False)
    pd.testing.assert_series_equal(found.x, expected.x, check_index=False)


def test_bad_frames_are_refused_in_words():
    frame = two_instances()
    with pytest.raises(ValueError, match=r"lacks the column.*l_adapt"):
        coordinates(frame.drop(columns="l_adapt"))
    with pytest.raises(ValueError, match=r"twice.*merged"):
        coordinates(pd.concat([frame, frame.iloc[:1]]))
    with pytest.raises(ValueError, match="no row"):
        coordinates(frame.assign(l_adapt=np.nan))
    with pytest.raises(ValueError, match="'lr' holds 'fast'"):
        coordinates(frame.assign(lr="fast"))
    with pytest.raises(ValueError, match="l_pre_profiled is not finite in run"):
        coordinates(frame.assign(l_pre_profiled=np.nan))
