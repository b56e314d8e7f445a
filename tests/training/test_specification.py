"""A pretraining run as it is specified: its operations counted by hand, and what is refused."""

from dataclasses import replace

import pytest
from torch import nn

from interface.encoders import MLP, Recurrent, Transformer
from interface.populations import Glyphs
from interface.pretexts import Autoencoding, Clustering, CrossView, InfoNCE, MaskedTokens, NextToken, Supervised
from interface.training import Adam, Pretraining
from tests.training.runs import TOKENS, VOCABULARY


def test_only_encoder_and_head_have_parameters_and_flops_count_them():
    run = Pretraining(Glyphs(), Autoencoding(), MLP(64, 16), 100, Adam(1e-3, batch=128))
    per_example = 2 * (256 * 64 + 64 * 16 + 16 * 256)
    assert run.flops(10) == 3 * per_example * 128 * 10
    assert run.encoder.n_params(256) == 256 * 64 + 64 + 64 * 16 + 16
    assert sum(isinstance(m, nn.Linear) for m in run.build().modules()) == 3


@pytest.mark.parametrize(("pretext", "predictions"), [(NextToken(VOCABULARY), 7), (MaskedTokens(VOCABULARY, rate=0.4), 3)])
def test_flops_count_every_position_that_the_head_acts_on(pretext, predictions):
    """A recurrent encoder on 8 tokens by hand: its output is computed at every one, the head at those that are predicted."""
    width, features, length = 6, 5, 8
    run = Pretraining(TOKENS, pretext, Recurrent(width, features, vocabulary=VOCABULARY), 40, Adam(1e-3, batch=16))
    recurrent = length * 2 * (2 * width * 3 * width) + length * 2 * width * features
    assert run.flops(10) == 3 * (recurrent + predictions * 2 * features * VOCABULARY) * 16 * 10


def test_flops_count_the_views_that_are_encoded():
    dense = 2 * (256 * 8 + 8 * 4)
    for pretext, head, encoded in ((InfoNCE(), 2 * (4 * 4 + 4 * 32), 2), (CrossView(), 2 * 4 * 256, 1), (Supervised(), 80, 1)):
        run = Pretraining(Glyphs(), pretext, MLP(8, 4), 40, Adam(1e-3, batch=16), views=2)
        assert run.flops(1) == 3 * encoded * (dense + head) * 16
    run = Pretraining(Glyphs(), Clustering(prototypes=12), MLP(8, 4), 40, Adam(1e-3, batch=16), views=2)
    assert run.flops(1) == 4 * 2 * (dense + 2 * (4 * 4 + 4 * 32 + 32 * 12)) * 16  # the teacher, too


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": (0, 5, 5)}, "steps"),
        ({"steps": ()}, "steps"),
        ({"n_unlabelled": 1}, "n_unlabelled"),
        ({"pretext": InfoNCE()}, "views"),
        ({"encoder": Transformer(8, 1, 2, 4, vocabulary=6)}, "is 6; allowed: None, for real input"),
        (
            {"source": TOKENS, "encoder": Transformer(8, 1, 2, 4, vocabulary=6), "pretext": NextToken(6)},
            "allowed: a causal encoder",
        ),
        ({"source": TOKENS}, "is None; allowed: at least the 6 tokens"),
        ({"source": TOKENS, "encoder": Recurrent(8, 4, vocabulary=5)}, "is 5; allowed: at least the 6 tokens"),
    ],
)
def test_a_bad_specification_is_refused_before_any_work(change, word):
    good = Pretraining(Glyphs(), Autoencoding(), MLP(8, 4), 100)
    with pytest.raises(ValueError, match=word):
        replace(good, **change)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_a_bad_learning_rate_is_refused(bad):
    with pytest.raises(ValueError, match="lr"):
        Adam(bad)
