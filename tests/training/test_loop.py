"""Training is that of a plain loop over plain modules, whatever the encoder, the optimizer and the teacher."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from interface.encoders import MLP, Linear, LinearEncoder
from interface.populations import GaussianFactor, Glyphs, Pool
from interface.pretexts import Autoencoding, Pretext, Supervised
from interface.seeds import generator
from interface.training import BLOCK, SGD, Adam, Pretraining, pool_key, pretrain
from tests.training.runs import ALL, IMAGES, OTHERS, STEPS, OneByOne, other_runs, states


@pytest.mark.parametrize("runs", ALL[:5], ids=lambda runs: f"{runs[0].pretext.name}-{runs[0].encoder.name}")
def test_stacked_training_is_plain_training(runs):
    """The same batches through a plain module and torch's own Adam, one run at a time, give the same parameters."""
    run = runs[1]
    model = run.build()
    start = next(c for c in pretrain([run]) if c.step == 0)
    model.load_state_dict(start.load().state_dict())
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


def plainly(run, optimizer, teach=None):
    """The run through its own modules and torch's optimizer, on the draws that the streams of its seed give."""
    model = run.build()
    model.load_state_dict(next(c for c in pretrain([run]) if c.step == 0).load().state_dict())
    key = pool_key(run)
    pool = run.source.views(run.n_unlabelled, 1, generator("pool", *key))
    uniform = torch.rand(BLOCK, run.optimizer.batch, 3, generator=generator("batches", key[0], run.seed))
    noises = generator("noise", run.pretext.name, key[0], run.seed)
    optimizer = optimizer([value for value in model.parameters() if value.requires_grad])
    for step in range(run.steps[-1]):
        base = (uniform[step, :, 0].double() * run.n_unlabelled).long()
        x = pool.x[base].flatten(2)
        noise = run.pretext.noise(run.optimizer.batch, run.source.input_dim, noises)
        views = run.pretext.view(type(pool)(x if x.dtype == torch.int64 else x.float(), pool.y[base]), noise)
        if model.teacher is not None:
            with torch.no_grad():
                views = run.pretext.labelled(model.teacher.encoder, model.teacher.head, views)
        optimizer.zero_grad()
        run.pretext.loss(model.encoder, model.head, views).mean().backward()
        optimizer.step()
        if model.teacher is not None:
            student = dict(model.named_parameters())
            with torch.no_grad():
                for name, value in model.teacher.named_parameters():
                    value.mul_(run.pretext.momentum).add_(student[name], alpha=1 - run.pretext.momentum)
    return model.state_dict()


def assert_plain(run, optimizer, **tolerance):
    trained, plain = states(run if isinstance(run, list) else [run])[run.run, run.steps[-1]], plainly(run, optimizer)
    assert list(trained) == list(plain)
    for name, value in trained.items():
        torch.testing.assert_close(value, plain[name], **tolerance)


@pytest.mark.parametrize("world", OTHERS, ids=lambda world: f"{world[0].name}-{world[1].name}")
def test_every_encoder_is_trained_as_its_plain_module(world):
    run = other_runs(*world)[1]
    assert_plain(run, lambda values: torch.optim.Adam(values, lr=run.optimizer.lr), rtol=1e-3, atol=1e-4)


def test_stochastic_gradient_descent_is_that_of_torch():
    run = other_runs(IMAGES, MLP(16, 16), Supervised(), lambda lr, batch: SGD(10 * lr, batch, momentum=0.9))[1]
    assert_plain(run, lambda values: torch.optim.SGD(values, lr=0.1, momentum=0.9), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="momentum is 1"):
        SGD(momentum=1)


class Pair(NamedTuple):
    x: Tensor
    label: Tensor


@dataclass(frozen=True)
class OwnFuture(Pretext):
    """The pseudolabel is the teacher's own output, plus the input's mean."""

    keep: float = 0.75

    @property
    def momentum(self):
        return self.keep

    def view(self, examples, noise):
        return Pair(examples.x[..., 0, :], examples.x[..., 0, :].mean(-1, keepdim=True))

    def head(self, input_dim, features, n_classes):
        return Linear(features, 1)

    def labelled(self, embed, head, views):
        assert not torch.is_grad_enabled()
        return Pair(views.x, views.label + head(embed(views.x)))

    def loss(self, embed, head, views):
        return (head(embed(views.x)) - views.label).square().sum(-1)

    def profile(self, embed, fit, test):
        raise NotImplementedError


@pytest.mark.parametrize("kind", [MLP, OneByOne])
def test_a_teacher_labels_and_follows_as_in_a_plain_loop(kind):
    run = Pretraining(IMAGES, OwnFuture(), kind(16, 16), 32, Adam(1e-2, 16), tuple(range(7)))
    assert_plain(run, lambda values: torch.optim.Adam(values, lr=1e-2), rtol=1e-4, atol=1e-5)
    kept = [c.load() for c in pretrain([run])]
    start = kept[0].state_dict()
    assert all(torch.equal(start[f"teacher.{name}"], start[name]) for name in start if not name.startswith("teacher."))
    for before, after in zip(kept, kept[1:], strict=False):
        student = dict(after.named_parameters())
        old = dict(before.teacher.named_parameters())
        for name, value in after.teacher.named_parameters():
            torch.testing.assert_close(value, 0.75 * old[name] + 0.25 * student[name], rtol=1e-5, atol=1e-7)
    assert run.flops(1) == 4 * (run.encoder.flops(16) + 2 * 16) * 16  # the teacher adds a forward pass


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


def test_the_same_run_twice_is_refused():
    run = Pretraining(Glyphs(), Autoencoding(), MLP(8, 4), 100)
    with pytest.raises(ValueError, match="twice"):
        list(pretrain([run, run]))


def test_a_pool_without_labels_can_be_pretrained_on():
    blind = Pool(IMAGES.x, name="blind")
    run = Pretraining(blind, Autoencoding(), MLP(16, 4), 32, Adam(1e-2, 16), (0, 3))
    first, last = (c.load().state_dict() for c in pretrain([run]))
    assert not torch.equal(first["encoder.output.weight"], last["encoder.output.weight"])
