"""Laws over every exported tuning: budgets, frozen inputs, common random numbers, neighbours, and what each one moves."""

import inspect
import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch import nn

from interface import adaptations
from interface.adaptations import (
    BiasOnly,
    FineTuning,
    FromScratch,
    GradientProbe,
    LinearProbe,
    LoRA,
    PartialTuning,
    ProbeThenFineTuning,
    Tuning,
    local_certificate,
)
from interface.core import fingerprint
from interface.encoders import MLP, initialise
from interface.seeds import generator

TUNINGS = [
    kind()
    for _, kind in inspect.getmembers(adaptations, inspect.isclass)
    if issubclass(kind, Tuning) and kind is not Tuning and not inspect.isabstract(kind)
]
UNITS = ["nats", "squared"]
CLASSES = {"nats": 3, "squared": None}
PROBLEMS = 4


def encoders(problems=PROBLEMS):
    """A module and the states of several random encoders, biases included."""
    modules = [initialise(MLP(16, 5).build(6), generator("encoder", e)) for e in range(problems)]
    states = {name: torch.stack([m.state_dict()[name] for m in modules]) for name in modules[0].state_dict()}
    return modules[0], {name: value + 0.1 if name.endswith("bias") else value for name, value in states.items()}


def sample(unit, n, seed=0):
    g = generator("sample", unit, seed)
    x = torch.randn(n, 6, generator=g)
    score = x @ torch.randn(6, 3, generator=generator("direction"))
    score = score + 0.5 * score.abs()
    return x, score[:, 0] + 0.1 * torch.randn(n, generator=g) if unit == "squared" else score.argmax(1)


def tuned(tuning, unit, n=64, *, steps=20, problems=PROBLEMS, **fields):
    module, states = encoders(problems)
    x, y = sample(unit, n)
    tuning = replace(tuning, steps=steps, **fields)
    return tuning.tune(module, states, x, y, n_classes=CLASSES[unit], generator=generator("tuning"))


def test_every_tuning_is_here():
    kinds = {FineTuning, ProbeThenFineTuning, LoRA, BiasOnly, PartialTuning, FromScratch, GradientProbe}
    assert {type(tuning) for tuning in TUNINGS} == kinds


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
@pytest.mark.parametrize("unit", UNITS)
def test_what_it_was_given_stays_as_it_was(tuning, unit):
    module, states = encoders()
    before = {name: value.clone() for name, value in states.items()}
    own = {name: value.clone() for name, value in module.state_dict().items()}
    x, y = sample(unit, 30)
    replace(tuning, steps=5).tune(module, states, x, y, n_classes=CLASSES[unit], generator=generator("tuning"))
    assert all(torch.equal(states[name], before[name]) for name in before)
    assert all(torch.equal(module.state_dict()[name], own[name]) for name in own)
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
@pytest.mark.parametrize("unit", UNITS)
def test_the_generator_decides_and_the_global_stream_does_not(tuning, unit):
    x, y = sample(unit, 200, seed=1)
    torch.manual_seed(1)
    first = tuned(tuning, unit, 100).loss(x, y)
    torch.manual_seed(2)
    torch.testing.assert_close(tuned(tuning, unit, 100).loss(x, y), first, rtol=0, atol=0)
    assert first.shape == (PROBLEMS, 200) and first.dtype == torch.float64 and torch.isfinite(first).all()


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
@pytest.mark.parametrize("unit", UNITS)
def test_a_problem_does_not_depend_on_its_neighbours(tuning, unit):
    x, y = sample(unit, 200, seed=1)
    together, alone = tuned(tuning, unit, 100), tuned(tuning, unit, 100, problems=1)
    torch.testing.assert_close(together.loss(x, y)[:1], alone.loss(x, y), rtol=1e-6, atol=1e-6)
    assert together.part(0, 1).status == alone.status


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
def test_samples_tuned_together_are_those_tuned_alone(tuning):
    module, states = encoders()
    samples = [sample("nats", 100, seed) for seed in (0, 1)]
    x, y = (torch.stack(parts) for parts in zip(*samples, strict=True))
    tuning = replace(tuning, steps=10)
    both = tuning.tune(module, states, x, y, n_classes=3, generator=[generator("tuning", g) for g in (0, 1)])
    test = sample("nats", 200, seed=2)
    for g in (0, 1):
        own = {name: value[2 * g : 2 * g + 2] for name, value in states.items()}
        alone = tuning.tune(module, own, x[g], y[g], n_classes=3, generator=generator("tuning", g))
        torch.testing.assert_close(both.part(2 * g, 2 * g + 2).loss(*test), alone.loss(*test), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
@pytest.mark.parametrize("unit", UNITS)
def test_without_updates_it_is_the_head_that_it_starts_from(tuning, unit):
    module, states = encoders()
    start = tuned(tuning, unit, steps=0)
    if not isinstance(tuning, FromScratch):
        for name, value in start.states.items():
            torch.testing.assert_close(value, states[name], rtol=0, atol=0)
    else:  # fresh, and the same for every checkpoint
        assert not torch.equal(start.states["hidden.weight"], states["hidden.weight"])
        assert torch.equal(start.states["hidden.weight"][0], start.states["hidden.weight"][1])
    x, y = sample(unit, 200, seed=1)
    losses = start.loss(x, y)
    if isinstance(tuning, GradientProbe):
        expected = y.double().square() if unit == "squared" else torch.full((200,), math.log(3)).double()
        torch.testing.assert_close(losses, expected.expand(PROBLEMS, -1), rtol=1e-6, atol=1e-6)
    if isinstance(tuning, ProbeThenFineTuning):
        z = torch.func.functional_call(module, states, (sample(unit, 64)[0],))
        head = LinearProbe().learn(z, sample(unit, 64)[1], n_classes=CLASSES[unit])
        expected = head.loss(torch.func.functional_call(module, states, (x,)), y)
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)
    assert start.status == ["ok"] * PROBLEMS


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
@pytest.mark.parametrize("unit", UNITS)
def test_with_many_labels_it_beats_the_constant(tuning, unit):
    x, y = sample(unit, 1000, seed=1)
    constant = y.double().var() if unit == "squared" else torch.distributions.Categorical(torch.bincount(y) / 1000).entropy()
    found = tuned(tuning, unit, 1000, steps=150, lr=1e-2)
    assert found.status == ["ok"] * PROBLEMS
    assert (found.loss(x, y).mean(1) < 0.97 * constant).all(), (found.loss(x, y).mean(1), constant)


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
def test_radius_zero_is_the_given_head_and_a_wider_ball_fits_no_worse(tuning):
    x, y = sample("nats", 48)
    radii = (0.0, 0.03, 0.3, None)
    fits = [tuned(tuning, "nats", 48, steps=80, lr=5e-3, radius=radius, optimizer="adam") for radius in radii]
    start = tuned(tuning, "nats", 48, steps=0)
    torch.testing.assert_close(fits[0].loss(x, y), start.loss(x, y), rtol=0, atol=0)
    own = torch.stack([fit.loss(x, y).mean(1) for fit in fits])
    assert (own[1:] <= own[:-1] + 2e-3).all(), own
    if not isinstance(tuning, ProbeThenFineTuning | GradientProbe):
        assert (own[-1] < own[0] - 0.05).all()


def test_the_ball_is_kept():
    start, found = (tuned(FineTuning(), "nats", steps=steps, lr=0.1, radius=0.05) for steps in (0, 50))
    flat = lambda t: torch.cat([*(v.flatten(1) for v in t.states.values()), *(v.flatten(1) for v in t.head)], 1)  # noqa: E731
    distance, size = (flat(found) - flat(start)).norm(dim=1), flat(start).norm(dim=1)
    torch.testing.assert_close(distance, 0.05 * size, rtol=1e-3, atol=0)  # a large step ends on the boundary


def test_what_moves():
    _, states = encoders()
    moved = {
        kind: {name for name, value in tuned(kind, "nats").states.items() if not torch.equal(value, states[name])}
        for kind in (FineTuning(), ProbeThenFineTuning(), LoRA(rank=2), BiasOnly(), PartialTuning(from_depth=1), GradientProbe())
    }
    weights, biases = {"hidden.weight", "output.weight"}, {"hidden.bias", "output.bias"}
    expected = [weights | biases, weights | biases, weights, biases, {"output.weight", "output.bias"}, set()]
    assert list(moved.values()) == expected


def test_low_rank_changes_have_that_rank():
    _, states = encoders()
    found = tuned(LoRA(rank=2), "nats", lr=0.05)
    for name in ("hidden.weight", "output.weight"):
        values = torch.linalg.svdvals((found.states[name] - states[name]).double())
        assert (values[:, 1] > 1e-3).all() and (values[:, 2] < 1e-5).all()


def test_labels_count_half_a_class_more():
    """Without features the head is the estimator of Krichevsky and Trofimov, (n_c + 1/2) / (n + C / 2): no class costs infinity."""
    module, states = encoders(1)
    blind = {name: torch.zeros_like(value) for name, value in states.items()}
    x, y = torch.ones(5, 6), torch.tensor([0, 0, 0, 1, 0])
    found = GradientProbe(steps=1000, lr=1.0, optimizer="gradient").tune(module, blind, x, y, n_classes=3, generator=generator("g"))
    expected = -torch.log(torch.tensor([4.5, 1.5, 0.5]).double() / 6.5)
    torch.testing.assert_close(found.loss(torch.ones(3, 6), torch.arange(3))[0], expected, rtol=1e-5, atol=1e-5)


class Plain(nn.Module):
    """The same encoder in torch's own layers, which cannot be stacked."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(6, 16), nn.Linear(16, 5)

    def forward(self, x):
        return self.output(torch.relu(self.hidden(x)))


def test_a_module_that_cannot_be_stacked_gives_the_same():
    _, states = encoders()
    x, y = sample("nats", 64)
    other = replace(FineTuning(), steps=20).tune(Plain(), states, x, y, n_classes=3, generator=generator("tuning"), stackable=False)
    torch.testing.assert_close(other.loss(x, y), tuned(FineTuning(), "nats").loss(x, y), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match=r"PartialTuning: Plain cannot be read at a depth"):
        PartialTuning().tune(Plain(), states, x, y, n_classes=3, generator=generator("tuning"), stackable=False)
    with pytest.raises(ValueError, match=r"FromScratch: hidden.weight of Plain is not drawn"):
        FromScratch().tune(Plain(), states, x, y, n_classes=3, generator=generator("tuning"), stackable=False)


def test_a_divergent_problem_is_named_and_spares_its_neighbours():
    module, states = encoders()
    wild = {name: value.clone() for name, value in states.items()}
    wild["output.weight"][1] *= 1e25
    x, y = sample("squared", 64)
    tuning = FineTuning(steps=20, optimizer="gradient", lr=1e-3)
    found = tuning.tune(module, wild, x, y, n_classes=None, generator=generator("tuning"))
    calm = tuning.tune(module, states, x, y, n_classes=None, generator=generator("tuning"))
    assert [word == "diverged" for word in found.status] == [False, True, False, False]
    assert torch.isinf(found.loss(x, y)[1]).all()
    torch.testing.assert_close(found.loss(x, y)[[0, 2, 3]], calm.loss(x, y)[[0, 2, 3]], rtol=1e-4, atol=1e-4)
    assert tuned(FineTuning(), "squared", lr=1.0, steps=3).status == ["not_converged"] * PROBLEMS  # it ends worse than it began
    with pytest.raises(ValueError, match="problem 1 diverged"):
        local_certificate(found, x, y, problem=1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": None}, "steps is None; allowed: an integer >= 0. A tuning always has a budget"),
        ({"steps": -1}, "steps is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"radius": -0.1}, "radius is -0.1"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
    ],
)
def test_budgets_are_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        FineTuning(**fields)
    with pytest.raises(ValueError, match="rank is 0"):
        LoRA(rank=0)
    with pytest.raises(ValueError, match="from_depth is 0"):
        PartialTuning(from_depth=0)


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.name)
def test_a_tuning_is_a_frozen_record_with_an_identity(tuning):
    assert tuning.name == type(tuning).__name__ and tuning == type(tuning)()
    assert fingerprint(tuning) == fingerprint(type(tuning)()) != fingerprint(replace(tuning, steps=1))
    with pytest.raises(FrozenInstanceError):
        tuning.steps = 1


def test_arguments_are_checked():
    module, states = encoders()
    x, y = sample("nats", 20)

    def tune(x=x, y=y, states=states, n_classes=3, g=generator("tuning"), tuning=FineTuning()):
        return tuning.tune(module, states, x, y, n_classes=n_classes, generator=g)

    for arguments, message in (
        ({"y": y[:-1]}, r"x is \(1, 20, 6\), y \(1, 19\)"),
        ({"y": y + 1}, r"from 1 to 3; allowed: integers in \[0, 3\)"),
        ({"y": y.double()}, "allowed: integers"),
        ({"x": x.fill_diagonal_(math.nan)}, "not finite"),
        ({"x": torch.ones(3, 20, 6), "y": torch.ones(3, 20).long()}, "dividing the number of problems"),
        ({"x": torch.ones(2, 20, 6), "y": torch.ones(2, 20).long()}, "1 generators for 2 samples"),
        ({"states": {**states, "hidden.bias": states["hidden.bias"][:2]}}, r"leading axes \[2, 4\]"),
    ):
        with pytest.raises(ValueError, match=message):
            tune(**{"x": torch.ones(20, 6), **arguments})
    unbiased = MLP(16, 5, bias=False).build(6)
    with pytest.raises(ValueError, match="BiasOnly: the encoder has no bias"):
        BiasOnly().tune(
            unbiased,
            {name: value.unsqueeze(0) for name, value in unbiased.state_dict().items()},
            torch.ones(20, 6),
            y,
            n_classes=3,
            generator=generator("tuning"),
        )


def test_the_local_certificate_is_the_gradient_and_the_hessian():
    x, y = sample("squared", 40)
    found = tuned(FineTuning(), "squared", 40, steps=30, problems=2)
    certificate = local_certificate(found, x, y, problem=1)
    one = found.part(1, 2)
    shapes = [value.shape[1:] for value in (*one.states.values(), *one.head)]
    flat = torch.cat([value.flatten().double() for value in (*one.states.values(), *one.head)])

    def loss(vector):
        w1, b1, w2, b2, w, b = (
            part.view(shape) for part, shape in zip(vector.split([s.numel() for s in shapes]), shapes, strict=True)
        )
        return ((torch.relu(x.double() @ w1.T + b1) @ w2.T + b2) @ w.T + b - y.double().unsqueeze(1)).square().mean()

    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, flat))
    gradient = torch.autograd.functional.jacobian(loss, flat)
    assert certificate.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-9)
    assert certificate.smallest == pytest.approx(float(values[0]), abs=1e-5 * float(values[-1]))
    assert certificate.largest == pytest.approx(float(values[-1]), rel=1e-5)
    assert certificate.smallest.status == "ok" and certificate.smallest.n == 40
    with pytest.raises(ValueError, match="problem is 2; allowed: 0 to 1"):
        local_certificate(found, x, y, problem=2)


def test_a_probe_trained_to_the_end_is_a_local_minimum_in_its_head():
    """Plain descent on least squares: the budget's loss falls to the minimiser's, and never below."""
    x, y = sample("squared", 60)
    module, states = encoders()
    best = (
        LinearProbe()
        .learn(torch.func.functional_call(module, states, (x,)), y)
        .loss(torch.func.functional_call(module, states, (x,)), y)
    )
    losses = [
        tuned(GradientProbe(), "squared", 60, steps=steps, optimizer="gradient", lr=0.02).loss(x, y).mean(1)
        for steps in (10, 100, 3000)
    ]
    assert (losses[0] > losses[1]).all() and (losses[1] > losses[2]).all()
    torch.testing.assert_close(losses[2], best.mean(1), rtol=0.02, atol=1e-3)
    assert (losses[2] >= best.mean(1) - 1e-6).all()
