"""The lines of the figure are means over instances, its bars Student intervals, its second row paired differences."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interface.report import over_instances
from interface.report.over_instances import mean_and_interval

GAIN = {"LinearProbe": 0.0, "FineTuning": -0.2}


def learning_curves(instances=5, counts=(8, 32, 128)):
    rng = np.random.default_rng(0)
    rows = []
    for instance in range(instances):
        level = rng.normal()  # what an instance's losses share
        for adaptation, gain in GAIN.items():
            for n in counts:
                for replicate in range(3):
                    rows.append(
                        {
                            "instance": f"G-{instance}",
                            "run": f"r{instance}",
                            "pretext": "InfoNCE",
                            "adaptation": adaptation,
                            "n_labels": n,
                            "replicate": replicate,
                            "unit": "nats",
                            "l_adapt": level + 1 / n + gain * (n > 8) + 1e-3 * rng.normal(),
                        }
                    )
    return pd.DataFrame(rows)


def bars(panel):
    """[(x, low, high)] of a panel's error bars."""
    found = []
    for container in panel.containers:
        for segment in container.lines[2][0].get_segments():
            found.append((segment[0, 0], *sorted(segment[:, 1])))
    return sorted(found)


def test_bars_are_student_intervals_over_instances():
    frame = learning_curves()
    figure = over_instances(frame, x="n_labels", by="adaptation", against="LinearProbe", log=True)
    upper, lower = figure.axes
    one = frame[(frame["adaptation"] == "LinearProbe") & (frame["n_labels"] == 32)].groupby("instance")["l_adapt"].mean()
    expected = stats.ttest_1samp(one, 0).confidence_interval(0.95)
    assert any(np.allclose((low, high), expected) for _, low, high in bars(upper))
    assert len(bars(upper)) == 6 and len(bars(lower)) == 3  # the reference has no difference from itself
    widths = [high - low for _, low, high in bars(lower)]
    assert max(widths) < 0.01 < min(high - low for _, low, high in bars(upper))  # pairs drop what an instance shares
    middles = [(low + high) / 2 for _, low, high in bars(lower)]
    assert middles == pytest.approx([0.0, -0.2, -0.2], abs=5e-3)


def test_the_axis_counts_the_units_behind_one_interval():
    frame = learning_curves()
    apart = frame.assign(run=frame["run"] + frame["adaptation"])  # runs of one line are not those of another
    figure = over_instances(apart, x="n_labels", by="adaptation", unit="run")
    assert "over 5 runs" in figure._supxlabel.get_text()


def test_more_replicates_add_no_evidence():
    frame = learning_curves()
    again = pd.concat([frame, frame.assign(replicate=frame["replicate"] + 3)])
    widths = [
        [high - low for _, low, high in bars(over_instances(f, x="n_labels", by="adaptation").axes[0])] for f in (frame, again)
    ]
    assert widths[0] == pytest.approx(widths[1])


def test_a_name_on_the_axis_can_be_the_reference():
    frame = learning_curves().assign(domain="plain")
    moved = frame.assign(domain="rotated", l_adapt=frame["l_adapt"] + 0.3)
    figure = over_instances(pd.concat([frame, moved]), x="domain", by="adaptation", against="plain")
    middles = [(low + high) / 2 for _, low, high in bars(figure.axes[1])]
    assert middles == pytest.approx([0.3, 0.3], abs=1e-9)
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["plain", "rotated"]


def test_what_cannot_be_drawn_is_named():
    frame = learning_curves()
    with pytest.raises(ValueError, match="lacks the column"):
        over_instances(frame, x="depth", by="adaptation")
    with pytest.raises(ValueError, match="no row left"):
        over_instances(frame, x="n_labels", by="adaptation", levels=("LoRA",))
    with pytest.raises(ValueError, match="mixes the units"):
        over_instances(pd.concat([frame, frame.assign(unit="squared")]), x="n_labels", by="adaptation")


def test_one_unit_has_no_interval():
    mean, low, high = mean_and_interval(pd.Series([0.4]))
    assert mean == 0.4 and np.isnan(low) and np.isnan(high)
