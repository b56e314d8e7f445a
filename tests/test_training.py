import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from interface.core import Row
from interface.encoders import MLP, ConvNet, Linear, LinearEncoder, Recurrent, Transformer
from interface.populations import GaussianFactor, Glyphs, Pool
from interface.pretexts import (
    Autoencoding,
    Clustering,
    CrossView,
    FixedMask,
    InfoNCE,
    MaskedPrediction,
    MaskedTokens,
    NextToken,
    Pretext,
    SpectralContrastive,
    Supervised,
)
from interface.seeds import generator
from interface.training import (
    BLOCK,
    SGD,
    Adam,
    FixedBudget,
    Oracle,
    Patience,
    Plateau,
    Pretraining,
    Stack,
    pool_key,
    pretrain,
    stopping_rows,
)
from interface.training.loop import _parts

STEPS = (0, 3, 20)
VOCABULARY = 6
TOKENS = Pool(
    torch.randint(VOCABULARY, (60, 8), generator=generator("tokens")), [0, 1, 2] * 20, name="tokens", vocabulary=VOCABULARY
)
IMAGES = Pool(torch.randn(60, 4, 4, dtype=torch.float64, generator=generator("images")), [0, 1, 2] * 20, name="images")
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


def test_the_same_run_twice_is_refused():
    run = Pretraining(Glyphs(), Autoencoding(), MLP(8, 4), 100)
    with pytest.raises(ValueError, match="twice"):
        list(pretrain([run, run]))


# ---- other encoders, optimizers and data ----


@dataclass(frozen=True)
class OneByOne(MLP):
    """An MLP that is trained run by run."""

    stackable = False

    @property
    def name(self) -> str:
        return MLP(self.width, self.features).name  # which keys the initialisation


class Plain(nn.Module):
    """What a user may bring: layers and a bare parameter, drawn when it is built, and no run axis anywhere."""

    def __init__(self, input_dim: int, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(input_dim))
        self.inner = nn.Linear(input_dim, features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.inner(x * self.scale))


@dataclass(frozen=True)
class Users(LinearEncoder):
    stackable = False
    name = "Users"

    def build(self, input_dim: int) -> nn.Module:
        return Plain(input_dim, self.features)


OTHERS = [
    (IMAGES, ConvNet((16, 16), 16)),
    (IMAGES, Recurrent(16, 16, patch=4)),
    (IMAGES, Transformer(16, 1, 2, 16, patch=4)),
    (TOKENS, Transformer(16, 1, 2, 16, vocabulary=VOCABULARY, causal=True)),
    (TOKENS, Recurrent(16, 16, vocabulary=VOCABULARY)),
    (TOKENS, Recurrent(16, 16, vocabulary=VOCABULARY, layers=2), NextToken(VOCABULARY)),
    (TOKENS, Transformer(16, 1, 2, 16, vocabulary=VOCABULARY), MaskedTokens(VOCABULARY)),
    (IMAGES, MLP(16, 16, layers=2)),
    (IMAGES, Transformer(64, 1, 2, 16, patch=8)),  # from this width run by run
    (IMAGES, Users(4)),
]


def other_runs(source, encoder, pretext=Supervised(), optimizer=Adam, steps=(0, 2, 8)):
    return [Pretraining(source, pretext, encoder, 32, optimizer(lr, 16), steps, seed) for seed in (0, 1) for lr in (1e-3, 1e-2)]


@pytest.mark.parametrize("world", OTHERS, ids=lambda world: f"{world[0].name}-{world[1].name}")
def test_every_encoder_trains_and_no_run_depends_on_its_neighbours(world, monkeypatch):
    runs = other_runs(*world)
    together = states(runs)
    assert_same_bits(states(runs[2:3]), together)
    monkeypatch.setattr("interface.training.stack.PIECE", 1.0)  # a product a run
    assert_same_bits(states(runs), together)
    for run in runs:
        start, end = together[run.run, 0], together[run.run, 8]
        moved = [name for name in start if not torch.equal(start[name], end[name])]
        assert set(moved) == set(start), "a parameter did not move"
    equal_seed, other_seed = (together[runs[i].run, 0] for i in (1, 2))
    first = together[runs[0].run, 0]
    drawn = [name for name in first if first[name].any()]
    assert all(torch.equal(first[name], equal_seed[name]) for name in first)
    assert not any(torch.equal(first[name], other_seed[name]) for name in drawn)


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


def test_a_loop_over_runs_gives_the_stack_to_round_off():
    stacked, looped = (states(other_runs(IMAGES, kind(16, 16))) for kind in (MLP, OneByOne))
    for (a, step), state in zip(stacked, stacked.values(), strict=True):
        twin = next(
            b for (b, s), other in zip(looped, looped.values(), strict=True) if s == step and same_place(stacked, a, looped, b)
        )
        for name, value in state.items():
            torch.testing.assert_close(value, looped[twin, step][name], rtol=1e-4, atol=1e-5)


def same_place(some, a, others, b):
    return list(dict.fromkeys(r for r, _ in some)).index(a) == list(dict.fromkeys(r for r, _ in others)).index(b)


# ---- a teacher ----


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


def test_without_a_momentum_there_is_no_teacher():
    run = other_runs(IMAGES, MLP(16, 16))[0]
    assert Stack([run], "cpu").teacher is None and run.build().teacher is None
    assert not any(name.startswith("teacher") for name in run.build().state_dict())


# ---- robustness ----


def test_a_run_that_diverges_leaves_its_neighbours_alone():
    good = other_runs(IMAGES, MLP(16, 16))
    bad = replace(good[0], optimizer=Adam(1e30, 16))
    together = states([bad, *good])
    assert_same_bits(states(good), together)
    assert not all(torch.isfinite(value).all() for value in together[bad.run, 8].values())


def test_memory_counts_what_encoders_hold_and_splits_the_group_without_a_trace():
    for encoder in (MLP(16, 16), Transformer(16, 1, 2, 16, patch=4)):
        runs = other_runs(IMAGES, encoder)
        cut = states(runs, memory=2.5 * runs[0].saved_bytes())
        assert_same_bits(cut, states(runs))
    small, large = (other_runs(IMAGES, e) for e in (MLP(16, 16), Transformer(16, 4, 2, 16, patch=1)))
    assert len(list(_parts(small, 3e6))) == 1 < len(list(_parts(large, 3e6)))
    assert [run for part in _parts(large, 3e6) for run in part] == large


def test_numbers_that_are_not_parameters_are_refused():
    class Normed(Users):
        def build(self, input_dim):
            return nn.Sequential(nn.Linear(input_dim, self.features), nn.BatchNorm1d(self.features))

    with pytest.raises(ValueError, match=r"keeps encoder\.1\.num_batches_tracked, .* allowed: parameters only"):
        list(pretrain(other_runs(IMAGES, Normed(4))[:1]))


def test_a_pool_without_labels_can_be_pretrained_on():
    blind = Pool(IMAGES.x, name="blind")
    run = Pretraining(blind, Autoencoding(), MLP(16, 4), 32, Adam(1e-2, 16), (0, 3))
    first, last = (c.load().state_dict() for c in pretrain([run]))
    assert not torch.equal(first["encoder.output.weight"], last["encoder.output.weight"])


# ---- stopping rules ----

CHECKS = [0, 10, 20, 40, 80]


@pytest.mark.parametrize(
    ("rule", "losses", "step", "status"),
    [
        (FixedBudget(25), [5, 4, 3, 2, 1], 20, "ok"),
        (FixedBudget(0), [5, 4, 3, 2, 1], 0, "ok"),
        (Patience(1), [5, 3, 4, 2, 1], 10, "ok"),  # gives up before the second descent
        (Patience(2), [5, 3, 4, 2, 1], 80, "not_reached"),
        (Patience(2), [5, 3, 4, 3.5, 1], 10, "ok"),
        (Patience(2, 0.5), [5, 4, 3.8, 3.6, 3.4], 10, "ok"),  # improvements of .2 and .4 count as none
        (Patience(2), [5, math.nan, math.nan, 1, 0], 0, "ok"),
        (Patience(9), [math.nan] * 5, 80, "diverged"),
        (Plateau(1, 0.1), [5, 4, 3.9, 3.89, 0], 40, "ok"),
        (Plateau(3, 0.1), [5, 4, 3.9, 3.89, 0], 80, "not_reached"),
        (Plateau(1, 0.0), [5, 4, 3, 2, 2.1], 80, "ok"),
        (Plateau(1, 0.1), [5, 4, math.nan, 2, 1], 20, "diverged"),
        (Oracle(), [5, 2, 3, 2, 4], 10, "ok"),
        (Oracle(), [math.nan, 2, 3, 1, 4], 40, "ok"),
        (Oracle(), [math.inf] * 5, 0, "diverged"),
    ],
)
def test_each_rule_picks_the_checkpoint_that_its_definition_names(rule, losses, step, status):
    chosen = rule.chosen(CHECKS, losses)
    assert (chosen, chosen.status, chosen.how) == (step, status, "exact")


def test_the_plateau_slope_is_loss_an_e_fold_of_steps():
    losses = [1 - 0.2 * math.log1p(step) for step in CHECKS]  # falls by .2 an e-fold throughout
    assert Plateau(2, 0.19).chosen(CHECKS, losses).status == "not_reached"
    assert Plateau(2, 0.21).chosen(CHECKS, losses) == 20


def measured(run, step, quantity, value, **cell):
    return Row(run=run, step=step, quantity=quantity, value=value, how="held_out", stderr=0.1, n=5, unit="nats", lr=0.1, **cell)


def test_rows_say_what_was_picked_a_run_and_for_the_oracle_a_cell():
    rows = [measured("a", s, "l_pre", v) for s, v in zip(CHECKS[::-1], [1, 2, 4, 3, 5], strict=True)]  # in any order
    rows += [measured("b", s, "l_pre_profiled", v) for s, v in zip(CHECKS, [5, 4, 3, 2, 1], strict=True)]  # no head: no l_pre
    rows += [measured("a", s, "l_pre_profiled", 0.0) for s in CHECKS]
    rows += [measured("a", s, "l_adapt", abs(s - best), target=t) for t, best in (("t", 20), ("u", 80)) for s in CHECKS]
    found = {(r.run, r.target, r.quantity): r for r in stopping_rows(rows, [Patience(1), FixedBudget(40), Oracle()])}
    assert {key: r.value for key, r in found.items()} == {
        ("a", None, "stop_patience_1"): 10,
        ("a", None, "stop_budget_40"): 40,
        ("b", None, "stop_patience_1"): 80,
        ("b", None, "stop_budget_40"): 40,
        ("a", "t", "stop_oracle"): 20,
        ("a", "u", "stop_oracle"): 80,
    }
    first = found["a", None, "stop_patience_1"]
    assert (first.step, first.unit, first.how, first.stderr, first.n, first.lr) == (80, "step", "exact", None, None, 0.1)
    assert found["b", None, "stop_patience_1"].status == "not_reached"
    with pytest.raises(ValueError, match="different ones"):
        list(stopping_rows(rows, [Oracle(), Oracle()]))


@pytest.mark.parametrize("bad", [lambda: Patience(0), lambda: Patience(1, -1.0), lambda: Plateau(0, 0.1), lambda: Plateau(1, -0.1)])
def test_a_bad_rule_is_refused(bad):
    with pytest.raises(ValueError, match="allowed"):
        bad()


@pytest.mark.parametrize("steps", [[], [0, 0], [0, 1]])
def test_a_bad_trajectory_is_refused(steps):
    with pytest.raises(ValueError, match="increasing steps"):
        FixedBudget(1).chosen(steps, [1.0] * 3)
