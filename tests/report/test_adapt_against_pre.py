import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection

from interface.report import adapt_against_pre, band_of


def marks(panel):
    """Coordinates of the marks of each shift, in drawing order."""
    return [np.asarray(c.get_offsets()) for c in panel.collections if isinstance(c, PathCollection)]


def test_one_mark_a_checkpoint_with_replicates_averaged(gaussian):
    one = gaussian[gaussian["instance"] == "GaussianFactor-0"]
    figure = adapt_against_pre(one, x="l_pre_excess")
    assert len(figure.axes) == 4  # two pretexts, two encoders
    here = one[(one["pretext"] == "Autoencoding") & (one["encoder"] == "LinearEncoder(4)") & (one["shift"] == "none")]
    wanted = here.groupby(["run", "step"])[["l_pre_excess", "l_adapt"]].mean().to_numpy()
    np.testing.assert_allclose(marks(figure.axes[0])[0], wanted)
    assert len(wanted) == len(here) / 2


def test_the_bracket_is_the_vertical_line_through_its_mark(glyphs):
    one = glyphs[(glyphs["instance"] == "Glyphs-0") & (glyphs["shift"] == "inversion")]
    panel = adapt_against_pre(one).axes[0]
    (lines,) = [c for c in panel.collections if isinstance(c, LineCollection)]
    here = one[one["pretext"] == "Autoencoding"].sort_values(["run", "step"])
    ends = np.array(lines.get_segments())
    np.testing.assert_allclose(ends[:, 0], here[["l_pre_profiled", "l_adapt_low"]])
    np.testing.assert_allclose(ends[:, 1], here[["l_pre_profiled", "l_adapt_high"]])


def test_a_vacuous_bracket_keeps_its_line_and_loses_its_mark(glyphs):
    one = glyphs[(glyphs["instance"] == "Glyphs-0") & (glyphs["shift"] == "none") & (glyphs["pretext"] == "InfoNCE")]
    vacuous = one["step"] == 2700
    panel = adapt_against_pre(one.assign(l_adapt_status=one["l_adapt_status"].mask(vacuous, "vacuous_lower"))).axes[0]
    (lines,) = [c for c in panel.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == len(one)
    shown = np.ma.masked_invalid(marks(panel)[0])
    assert shown[~shown.mask.any(axis=1)].shape == (int((~vacuous).sum()), 2)


def test_an_exact_loss_has_no_bracket_and_paths_join_a_run_in_time(gaussian):
    one = gaussian[(gaussian["instance"] == "GaussianFactor-0") & (gaussian["shift"] == "none")]
    assert not any(isinstance(c, LineCollection) for c in adapt_against_pre(one).axes[0].collections)
    (lines,) = [c for c in adapt_against_pre(one, paths=True).axes[0].collections if isinstance(c, LineCollection)]
    here = one[(one["pretext"] == "Autoencoding") & (one["encoder"] == "LinearEncoder(4)")]
    assert len(lines.get_segments()) == here["run"].nunique()
    first = here[here["run"] == min(here["run"])].groupby("step")[["l_pre_profiled", "l_adapt"]].mean()
    np.testing.assert_allclose(lines.get_segments()[0], first)


def test_the_band_is_drawn_where_it_belongs_and_nowhere_else(gaussian):
    band = pd.DataFrame({"pretext": "FixedMask", "shift": "none", "excess": [0.0, 1.0], "low": [0.5, 0.6], "high": [1.0, 1.5]})
    figure = adapt_against_pre(gaussian, x="l_pre_excess", instances=["GaussianFactor-0"], band=band)
    drawn = {index: [line.get_ydata().tolist() for line in panel.lines] for index, panel in enumerate(figure.axes)}
    assert drawn == {0: [], 1: [[0.5, 0.6], [1.0, 1.5]], 2: [], 3: [[0.5, 0.6], [1.0, 1.5]]}
    other = band.assign(instance="GaussianFactor-1")
    figure = adapt_against_pre(gaussian, x="l_pre_excess", instances=["GaussianFactor-0"], band=other)
    assert not any(panel.lines for panel in figure.axes)
    with pytest.raises(ValueError, match=r"band.*low"):
        adapt_against_pre(gaussian, band=band.drop(columns="low"))


def test_the_table_brings_its_own_band(gaussian, glyphs):
    band = band_of(gaussian)
    assert set(band["shift"]) == {"none"}
    assert (band["low"] < band["high"]).all()
    assert band["excess"].is_monotonic_increasing
    assert len(band) == len(gaussian.drop_duplicates(["run", "step"]))
    assert band_of(glyphs) is None


def test_what_is_shown_can_be_chosen(glyphs):
    figure = adapt_against_pre(glyphs, shifts=["none", "script"], instances=["Glyphs-1"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["in-domain", "script"]
    with pytest.raises(ValueError, match="no row left"):
        adapt_against_pre(glyphs, shifts=["no such shift"])


def test_strengths_of_one_shift_are_told_apart(gaussian):
    legend = [text.get_text() for text in adapt_against_pre(gaussian).legends[0].get_texts()]
    assert legend == ["in-domain", "misalignment 0.5", "misalignment 1", "concept 0.5", "concept 1", "covariate"]


def test_units_are_never_pooled(glyphs, gaussian):
    with pytest.raises(ValueError, match="nats, squared"):
        adapt_against_pre(pd.concat([glyphs, gaussian]))


def test_a_missing_column_is_named(glyphs):
    with pytest.raises(ValueError, match="l_pre_profiled"):
        adapt_against_pre(glyphs.drop(columns="l_pre_profiled"))


def test_a_pretext_that_an_encoder_lacks_is_said_to_be_missing(gaussian):
    partial = gaussian[(gaussian["pretext"] != "FixedMask") | (gaussian["encoder"] != "MLP(64,4)")]
    figure = adapt_against_pre(partial)
    assert [[text.get_text() for text in panel.texts if text.get_text() == "not measured"] for panel in figure.axes].count([]) == 3


def test_the_caller_s_table_is_left_alone(glyphs):
    before = glyphs.copy()
    adapt_against_pre(glyphs)
    pd.testing.assert_frame_equal(glyphs, before)
