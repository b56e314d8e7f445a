import runpy
from pathlib import Path

import numpy as np
import pytest

from interface.analysis import cluster_mean, panel, sufficiency, verdict_words

cell = runpy.run_path(str(Path(__file__).parent / "curves.py"))["cell"]


def near(value, width=1e-3):
    return cluster_mean([value - width, value, value + width, value], "abcd")


NEAR_0 = near(0.0)


@pytest.mark.parametrize(
    ("slope", "spread", "intercept", "word"),
    [
        (near(-0.3), NEAR_0, NEAR_0, "inverse"),
        (near(0.0), NEAR_0, NEAR_0, "no link"),
        (near(-0.05, 0.02), NEAR_0, NEAR_0, "no link"),  # below Delta, not below -Delta
        (near(0.6), near(0.09), NEAR_0, "insufficient"),
        (near(0.6, 5.0), near(0.09), NEAR_0, "insufficient"),  # the slope need not be settled
        (near(0.6), NEAR_0, near(0.02), "sufficient"),
        (near(0.6), NEAR_0, near(0.4), "sufficient up to an intercept"),
    ],
)
def test_every_word_is_reached(slope, spread, intercept, word):
    assert verdict_words(slope, spread, intercept).word == word


def test_the_rules_apply_in_their_order():
    assert verdict_words(near(-0.3), near(0.5), near(0.5), no_range=True).word == "no range"
    assert verdict_words(near(-0.3), near(0.5), near(0.5)).word == "inverse"
    assert verdict_words(near(0.0), near(0.5), near(0.5)).word == "no link"


def test_the_spread_is_compared_by_its_root():
    assert verdict_words(near(0.6), near(0.02, 1e-4), NEAR_0).word == "insufficient", "root .14 is above .10"
    assert verdict_words(near(0.6), near(0.008, 1e-4), NEAR_0).word == "sufficient", "root .09 is below .10"


@pytest.mark.parametrize(
    ("slope", "spread", "intercept", "open_questions"),
    [
        (near(0.6, 1.0), NEAR_0, NEAR_0, "slope"),
        (near(0.6), near(0.01, 0.02), NEAR_0, "spread"),
        (near(0.6), NEAR_0, near(0.1, 0.1), "intercept"),
        (near(0.6, 1.0), near(0.01, 0.02), near(0.1, 0.1), "slope, spread, intercept"),
        (near(0.6), cluster_mean([np.nan], "a"), NEAR_0, "spread"),
    ],
)
def test_undecided_names_what_is(slope, spread, intercept, open_questions):
    words = verdict_words(slope, spread, intercept)
    assert (words.word, words.detail, str(words)) == ("undecided", open_questions, f"undecided ({open_questions})")


def test_a_contrast_beyond_its_margin_is_insufficient():
    rng = np.random.default_rng(0)
    beyond, within, open_ = (
        sufficiency(panel(cell(rng, contrast=c, spread=v))) for c, v in ((-0.3, 1e-4), (0.0, 1e-4), (0.0, 0.5))
    )
    assert verdict_words(near(0.6), NEAR_0, NEAR_0, beyond).word == "insufficient"
    assert verdict_words(near(0.6), NEAR_0, NEAR_0, within).word == "sufficient"
    words = verdict_words(near(0.6), NEAR_0, NEAR_0, open_)
    assert words.word == "sufficient" and "contrast not shown" in words.detail
