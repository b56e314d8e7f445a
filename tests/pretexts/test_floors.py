"""Each pretext reaches its known floor, and does not go below it, when it is trained."""

from dataclasses import dataclass
from math import log

import numpy as np
import pytest
import torch

from interface.encoders import MLP, LinearEncoder, Recurrent, Transformer
from interface.populations import Examples, GaussianFactor, HiddenMarkov, Population
from interface.pretexts import (
    Clustering,
    MaskedTokens,
    NextToken,
    Permutation,
    Rotation,
    SelfDistillation,
    Supervised,
    VariationalAutoencoding,
)
from interface.seeds import generator
from interface.training import Adam, Pretraining, pretrain
from tests.pretexts.settings import EXACT, labelled, name, stacked

LANGUAGE = HiddenMarkov.from_matrices(
    [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]],
    [[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]],
    length=5,
)


def ends(run):
    """The modules before and after training."""
    return [checkpoint.load() for checkpoint in pretrain([run])]


def profile(pretext, model, source, n):
    embed, head = (stacked([m]) for m in (model.encoder, model.head))
    fit, test = (
        labelled(pretext, embed, head, pretext.draw(source.views(n, pretext.n_views, generator(role)), generator("noise", role)))
        for role in ("fit", "test")
    )
    with torch.no_grad():
        return pretext.evaluate(embed, head, test).double()[0], pretext.profile(embed, fit, test)[0]


@pytest.mark.parametrize("pretext", EXACT, ids=name)
def test_a_linear_encoder_reaches_the_floor(pretext):
    """Trained on much data, the exact excess of a linear encoder goes to 0, from far above."""
    world = GaussianFactor(index=2)
    run = Pretraining(world, pretext, LinearEncoder(4), 10_000, Adam(1e-2), (0, 600), views=pretext.n_views)
    moments = world.moments()
    seen = pretext.input_moments(moments)
    floor = pretext.floor(moments, 4, linear=True)
    start, end = (
        float(
            pretext.exact(
                LinearEncoder(4).embedding(
                    {"output.weight": model.encoder.output.weight.double().numpy()}, seen, pretext.visible(16)
                ),
                moments,
                {},
            ).profiled
        )
        - floor
        for model in ends(run)
    )
    assert 0 <= end < 0.04 * start


def test_variational_autoencoding_reaches_probabilistic_pca():
    """With a linear encoder; the profile is sampled, the floor a closed form."""
    world, pretext = GaussianFactor(index=2), VariationalAutoencoding(variance=0.3)
    start, end = ends(Pretraining(world, pretext, LinearEncoder(4), 10_000, Adam(1e-2), (0, 600)))
    floor = pretext.floor(world.moments(), 4, linear=True)
    before, after = (profile(pretext, model, world, 10_000) for model in (start, end))
    gain = float(before[1].midpoint()) - floor
    assert abs(float(after[1].midpoint()) - floor) < 0.04 * gain + 3 * after[1].midpoint().stderr
    assert after[0].mean() > floor - 3 * after[0].std() / len(after[0]) ** 0.5  # a bound: raw is above
    assert after[0].mean() - floor < 0.1 * (before[0].mean() - floor)


def test_next_token_reaches_the_forward_filter():
    """A recurrent encoder on a language whose floor is enumerated: chance, unigram and floor are .12 nats apart."""
    pretext = NextToken(4)
    floor = pretext.least_loss(LANGUAGE)
    assert floor.how == "exact" and float(floor) == pytest.approx(np.mean([1.288554, 1.274262, 1.270145, 1.268880]), abs=1e-6)
    _, model = ends(Pretraining(LANGUAGE, pretext, Recurrent(16, 6, vocabulary=4), 20_000, Adam(1e-2), (0, 250)))
    raw, bracket = profile(pretext, model, LANGUAGE, 20_000)
    best = -LANGUAGE.predictive(_sequences(pretext)).gather(-1, _sequences(pretext).unsqueeze(-1)).log()[:, 1:, 0].mean(1)
    assert abs(float(best.mean()) - floor) < 4 * float(best.std()) / len(best) ** 0.5
    excess = raw - best  # on equal sequences: nearly free of sampling error
    assert -3 * excess.std() / len(excess) ** 0.5 < excess.mean() < 0.012
    assert bracket.interval()[0] < floor + 0.012 and bracket.interval()[1] > floor


def _sequences(pretext):
    return pretext.draw(LANGUAGE.views(20_000, 1, generator("test")), generator("noise", "test")).x


def test_masked_tokens_reach_the_entropy_given_the_others():
    pretext = MaskedTokens(4)
    floor = pretext.least_loss(LANGUAGE)
    _, model = ends(Pretraining(LANGUAGE, pretext, Transformer(16, 1, 2, 8, vocabulary=4), 20_000, Adam(1e-2), (0, 300)))
    raw, _ = profile(pretext, model, LANGUAGE, 20_000)
    error = float(raw.std()) / len(raw) ** 0.5
    assert floor - 3 * error < raw.mean() < floor + 0.03 + 3 * error
    assert floor < 1.346996 - 0.1  # the entropy of a token on its own


def test_floors_of_tokens_are_unknown_elsewhere():
    assert NextToken(4).least_loss(GaussianFactor()) is None and MaskedTokens(4).least_loss(GaussianFactor()) is None
    assert MaskedTokens(4).least_loss(HiddenMarkov(length=30)) is None  # too many sequences to enumerate
    assert Rotation().least_loss(LANGUAGE) is None
    assert Supervised().least_loss(LANGUAGE) == LANGUAGE.bayes_risk()


@dataclass(frozen=True)
class Marks(Population):
    """Images of 4 x 4 with a mark in one corner, or, half of the time, in none. Views differ in their noise."""

    noise: float = 0.05

    @property
    def instance(self):
        return "Marks"

    @property
    def input_dim(self):
        return 16

    @property
    def n_classes(self):
        return 2

    def views(self, n, k, generator):
        y = torch.randint(2, (n,), generator=generator)
        x = torch.zeros(n, 16)
        x[:, 0] = 2.0 * y
        return Examples(x[:, None] + self.noise * torch.randn(n, k, 16, generator=generator), y)


@pytest.mark.parametrize(
    ("pretext", "undecided"), [(Rotation(), log(4)), (Permutation(image=True), log(8))], ids=["rotation", "jigsaw"]
)
def test_images_that_say_nothing_keep_the_floor_up(pretext, undecided):
    """Half of the images are blank: they cost chance. A mark in a corner tells all turns, and the place of its piece only."""
    occupied = 0.0
    if isinstance(pretext, Permutation):  # marked orders are told apart by where the first piece goes
        places = pretext.orders(16).eq(0).float().argmax(1)
        shares = torch.unique(places, return_counts=True)[1] / 8.0
        occupied = undecided + float((shares * shares.log()).sum())
    floor = 0.5 * undecided + 0.5 * occupied
    _, model = ends(Pretraining(Marks(), pretext, MLP(16, 8), 4000, Adam(1e-2), (0, 300)))
    raw, bracket = profile(pretext, model, Marks(), 4000)
    error = float(raw.std()) / len(raw) ** 0.5
    assert floor - 3 * error < raw.mean() < floor + 0.03 + 3 * error
    assert bracket.high > floor - 3 * bracket.high.stderr


@dataclass(frozen=True)
class Blobs(Population):
    """Four well separated clusters in the plane of the first two of six coordinates."""

    @property
    def instance(self):
        return "Blobs"

    @property
    def input_dim(self):
        return 6

    @property
    def n_classes(self):
        return 4

    def views(self, n, k, generator):
        y = torch.randint(4, (n,), generator=generator)
        centres = 4.0 * torch.eye(4, 6)
        return Examples(centres[y][:, None] + 0.2 * torch.randn(n, k, 6, generator=generator), y)


@pytest.mark.parametrize(
    "pretext", [Clustering(prototypes=4, projection=8), SelfDistillation(prototypes=4, projection=8)], ids=["c", "d"]
)
def test_prototypes_find_the_clusters_without_collapse(pretext):
    """No cross-entropy is below the entropy of its pseudolabels; on four clusters it comes near, with more than two in use."""
    _, model = ends(Pretraining(Blobs(), pretext, MLP(16, 4), 4000, Adam(1e-2), (0, 400), views=2))
    raw, bracket = profile(pretext, model, Blobs(), 2048)
    task = pretext.canonical
    teacher = labelled(pretext, model.encoder, model.head, pretext.draw(Blobs().views(2048, 2, generator("test")), generator("x")))
    entropies = []
    for scores in (teacher.first_scores, teacher.second_scores):
        q = task.assigned(scores.unflatten(0, (-1, 128)))
        entropies.append(float(-torch.xlogy(q, q).sum(-1).mean()))
        used = q.mean((0, 1))
        assert float(-torch.xlogy(used, used).sum()) > log(2)  # collapse is 0, all alike is ln 4
    floor = float(np.mean(entropies))
    assert floor - 1e-4 < raw.mean() < floor + 0.1 < log(4) - 0.8
    assert bracket.low > floor - 0.02
