import numpy as np
import pandas as pd
import pytest

from interface.report import trajectories


def test_one_line_a_run_in_the_order_of_time(glyphs):
    figure = trajectories(glyphs, shifts=("none", "inversion"))
    axes = np.array(figure.axes).reshape(3, 2)  # L_pre and two shifts; two pretexts
    here = glyphs[(glyphs["instance"] == "Glyphs-0") & (glyphs["pretext"] == "Autoencoding")]
    for panel, shift, quantity in ((axes[0, 0], "none", "l_pre_profiled"), (axes[2, 0], "inversion", "l_adapt")):
        wanted = here[here["shift"] == shift].sort_values(["lr", "n_unlabelled", "step"])
        lines = [line.get_xydata() for line in panel.lines]
        assert len(lines) == here["run"].nunique() == 6
        np.testing.assert_allclose(np.concatenate(lines), wanted[["step", quantity]])


def test_a_line_has_a_gap_where_the_bracket_is_vacuous(glyphs):
    vacuous = (glyphs["step"] == 2700) & (glyphs["shift"] == "none")
    figure = trajectories(glyphs.assign(l_adapt_status=glyphs["l_adapt_status"].mask(vacuous, "vacuous_lower")))
    assert all(np.isnan(line.get_ydata()).tolist() == [False, False, True] for line in figure.axes[2].lines)
    assert not any(np.isnan(line.get_ydata()).any() for line in figure.axes[0].lines)


def test_step_0_is_on_the_axis(glyphs):
    panel = trajectories(glyphs).axes[0]
    assert panel.get_xlim()[0] == 0
    assert panel.xaxis.get_majorticklocs()[0] == 0
    shown = panel.transData.transform(panel.lines[0].get_xydata())
    assert np.isfinite(shown).all()


def test_colour_is_the_amount_of_data_and_style_the_learning_rate(glyphs):
    panel = trajectories(glyphs).axes[0]
    looks = [(line.get_color(), line.get_linestyle()) for line in panel.lines]
    assert len(set(looks)) == 6
    assert len({colour for colour, _ in looks}) == 3
    assert len({style for _, style in looks}) == 2


def test_the_strongest_shift_of_the_chosen_instance_is_drawn_with_replicates_averaged(gaussian):
    figure = trajectories(
        gaussian, shifts=("misalignment",), instance="GaussianFactor-1", encoder="MLP(64,4)", pretexts=("FixedMask",)
    )
    here = gaussian[(gaussian["instance"] == "GaussianFactor-1") & (gaussian["encoder"] == "MLP(64,4)")]
    here = here[(here["pretext"] == "FixedMask") & (here["shift"] == "misalignment") & (here["strength"] == 1.0)]
    wanted = here.groupby(["lr", "n_unlabelled", "step"])["l_adapt"].mean()
    np.testing.assert_allclose(np.concatenate([line.get_ydata() for line in figure.axes[1].lines]), wanted)


def test_what_is_not_there_is_refused(glyphs, gaussian):
    with pytest.raises(ValueError, match="no row left"):
        trajectories(glyphs, instance="Glyphs-9")
    with pytest.raises(ValueError, match="lr"):
        trajectories(glyphs.drop(columns="lr"))
    both = pd.concat([glyphs, gaussian]).assign(instance="one", encoder="one")
    with pytest.raises(ValueError, match="nats, squared"):
        trajectories(both)
