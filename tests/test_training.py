from dataclasses import replace

import pytest
import torch
from torch import nn

from interface.encoders import MLP, LinearEncoder
from interface.populations import GaussianFactor, Glyphs
from interface.pretexts import Autoencoding, FixedMask, InfoNCE, MaskedPrediction, SpectralContrastive, Supervised
from interface.seeds import generator
from interface.training import Adam, Pretraining, pretrain

STEPS = (0, 3, 20)
GLYPHS = [(Autoencoding(), 1), (MaskedPrediction(), 1), (InfoNCE(), 4), (Supervised(), 1)]
GAUSSIAN = [(Autoencoding(), 1), (FixedMask(), 1), (SpectralContrastive(), 2)]


def glyph_runs(pretext, views, encoder=MLP(32, 16), batch=32):
    return [
        Pretraining(Glyphs(index=i), pretext, encoder, n, Adam(lr, batch), STEPS, views=views)
        for i in (0, 2)
        for lr in (1e-3, 1e-2)
        for n in (20, 50)
    ]


def gaussian_runs(pretext, views, encoder):
    return [
        Pretraining(GaussianFactor(index=i), pretext, encoder, 40, Adam(lr, batch=16), STEPS, seed, views=views)
        for i in (0, 1)
        for seed, lr in enumerate((1e-3, 1e-2, 1e-3))
    ]


ODD = [glyph_runs(*task, MLP(13, 5), 15) for task in GLYPHS if not isinstance(task[0], InfoNCE)]  # it amplifies round-off
ALL = [glyph_runs(*task) for task in GLYPHS] + [
    gaussian_runs(*task, encoder) for task in GAUSSIAN for encoder in (LinearEncoder(3), MLP(8, 3, bias=False))
]


def states(runs, **options):
    return {(c.run, c.step): c.load().state_dict() for c in pretrain(runs, **options)}


def assert_same_bits(some, all_of_them):
    for key, state in some.items():
        for name, value in state.items():
            assert torch.equal(value, all_of_them[key][name]), (key, name)


@pytest.mark.parametrize("runs", ALL, ids=lambda runs: f"{runs[0].pretext.name}-{runs[0].encoder.name}")
def test_a_run_does_not_depend_on_its_neighbours_bit_for_bit(runs):
    together = states(runs)
    assert_same_bits(states(runs[3:4]), together)
    assert_same_bits(states(runs[1:4][::-1]), together)
    assert_same_bits(states(runs, memory=3e5), together)  # memory cuts the group


@pytest.mark.parametrize("runs", ODD, ids=lambda runs: f"{runs[0].pretext.name}-{runs[0].encoder.name}")
def test_at_odd_sizes_a_run_depends_on_its_neighbours_by_round_off_only(runs):
    together = states(runs)
    for key, state in states(runs[3:4]).items():
        for name, value in state.items():
            torch.testing.assert_close(value, together[key][name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("runs", ALL[:5], ids=lambda runs: f"{runs[0].pretext.name}-{runs[0].encoder.name}")
def test_stacked_training_is_plain_training(runs):
    """The same batches through a plain module and torch's own Adam, one run at a time, give the same parameters."""
    run = runs[1]
    model = run.build()
    start = next(c for c in pretrain([run]) if c.step == 0)
    model.load_state_dict(start.load().state_dict())
    from interface.training import BLOCK, pool_key

    pool = run.source.views(run.n_unlabelled, run.views, generator("pool", *pool_key(run)))
    key = (pool_key(run)[0], run.seed)
    uniform = torch.rand(BLOCK, run.optimizer.batch, 3, generator=generator("batches", *key))
    noise = generator("noise", run.pretext.name, *key)
    optimizer = torch.optim.Adam(model.parameters(), lr=run.optimizer.lr)
    for step in range(STEPS[-1]):
        u = uniform[step].double()
        base = (u[:, 0] * run.n_unlabelled).long()
        first = (u[:, 1] * run.views).long()
        other = (first + 1 + (u[:, 2] * (run.views - 1)).long()) % run.views
        chosen = torch.stack([first, other][: run.pretext.n_views], dim=1)
        examples = type(pool)(pool.x[base.unsqueeze(1), chosen], pool.y[base])
        optimizer.zero_grad()
        run.pretext.loss(model.encoder, model.head, run.pretext.draw(examples, noise)).mean().backward()
        optimizer.step()
    end = next(c for c in pretrain([run]) if c.step == STEPS[-1]).load()
    for mine, plain in zip(end.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=2e-4, atol=2e-6)


def test_equal_seeds_share_the_initialisation_and_other_seeds_do_not():
    first, second, other = (
        Pretraining(GaussianFactor(), Autoencoding(), LinearEncoder(3), 30, Adam(lr), (0, 1), seed)
        for lr, seed in ((1e-3, 0), (1e-2, 0), (1e-3, 1))
    )
    found = {c.run: c.load().encoder.output.weight for c in pretrain([first, second, other]) if c.step == 0}
    assert torch.equal(found[first.run], found[second.run]) and not torch.equal(found[first.run], found[other.run])


def test_training_lowers_the_loss_that_it_trains():
    run = Pretraining(Glyphs(), Autoencoding(), MLP(32, 8), 500, Adam(3e-3), (0, 300))
    views = run.pretext.draw(Glyphs().views(500, 1, generator("fresh")), generator("none"))
    before, after = (run.pretext.loss(m.encoder, m.head, views).mean() for m in (c.load() for c in pretrain([run])))
    assert after < 0.8 * before


def test_only_encoder_and_head_have_parameters_and_flops_count_them():
    run = Pretraining(Glyphs(), Autoencoding(), MLP(64, 16), 100, Adam(1e-3, batch=128))
    per_example = 2 * (256 * 64 + 64 * 16 + 16 * 256)
    assert run.flops(10) == 3 * per_example * 128 * 10
    assert run.encoder.n_params(256) == 256 * 64 + 64 + 64 * 16 + 16
    assert sum(isinstance(m, nn.Linear) for m in run.build().modules()) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": (0, 5, 5)}, "steps"),
        ({"steps": ()}, "steps"),
        ({"n_unlabelled": 1}, "n_unlabelled"),
        ({"pretext": InfoNCE()}, "views"),
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


def test_the_same_run_twice_is_refused():
    run = Pretraining(Glyphs(), Autoencoding(), MLP(8, 4), 100)
    with pytest.raises(ValueError, match="twice"):
        list(pretrain([run, run]))
