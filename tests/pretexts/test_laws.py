"""Laws over every pretext that the package exports."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch.func import functional_call, stack_module_state

import interface.pretexts
from interface.encoders import MLP, LinearEncoder, initialise
from interface.populations import Examples, GaussianFactor, Glyphs
from interface.pretexts import Autoencoding, FixedMask, InfoNCE, MaskedPrediction, Pretext, SpectralContrastive, Supervised
from interface.seeds import generator
from interface.training import Adam, Pretraining, pretrain

PRETEXTS = [
    thing()
    for thing in vars(interface.pretexts).values()
    if inspect.isclass(thing) and issubclass(thing, Pretext) and not inspect.isabstract(thing)
]
LINEAR_HEAD = [Autoencoding(), FixedMask(), MaskedPrediction()]
GAUSSIAN = [Autoencoding(), FixedMask(), SpectralContrastive()]


def name(pretext):
    return pretext.name


def setting(pretext, n, *, seed=0, features=5):
    """Views of n glyphs, and an encoder and a head drawn from a seed."""
    population = Glyphs()
    examples = population.views(n, pretext.n_views, generator("x", seed))
    views = pretext.draw(examples, generator("noise", seed))
    seen = pretext.visible(population.input_dim)
    encoder = initialise(MLP(12, features).build(256 if seen is None else len(seen)), generator("encoder", seed))
    head = pretext.head(256, features, 10)
    return views, encoder, head if head is None else initialise(head, generator("head", seed))


def test_all_are_here():
    assert {p.name for p in PRETEXTS} == {
        "Autoencoding", "FixedMask", "MaskedPrediction", "SpectralContrastive", "InfoNCE", "Supervised",
    }  # fmt: skip


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_losses_are_finite_one_an_example_and_reach_every_parameter(pretext):
    views, encoder, head = setting(pretext, 32)
    losses = pretext.loss(encoder, head, views)
    assert losses.shape == (32,) and torch.isfinite(losses).all()
    losses.mean().backward()
    parameters = [*encoder.parameters(), *(head.parameters() if head else ())]
    reached = [p.grad is not None and bool((p.grad != 0).any()) for p in parameters]
    biases_that_cancel = 1 if isinstance(pretext, SpectralContrastive) else 0  # centring removes the output bias
    assert reached.count(False) <= biases_that_cancel


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_a_run_does_not_depend_on_its_neighbours(pretext):
    views, *_ = setting(pretext, 24)
    parts = [setting(pretext, 24, seed=seed)[1:] for seed in range(3)]
    alone = torch.stack([pretext.loss(encoder, head, views) for encoder, head in parts])
    embed, head = (stacked([part[i] for part in parts]) for i in (0, 1))
    torch.testing.assert_close(pretext.loss(embed, head, views), alone, rtol=1e-5, atol=1e-5)


def stacked(modules):
    if modules[0] is None:
        return None
    parameters, _ = stack_module_state(modules)
    return lambda x: functional_call(modules[0], parameters, (x,))


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_equal_noise_gives_equal_losses_and_runs_may_have_their_own_examples(pretext):
    population = Glyphs()
    runs = [population.views(16, pretext.n_views, generator("run", i)) for i in range(2)]
    together = Examples(*(torch.stack(parts) for parts in zip(*runs, strict=True)))
    noise = pretext.noise(16, 256, generator("noise"))
    _, encoder, head = setting(pretext, 4)
    encoders, heads = stacked([encoder, encoder]), stacked([head, head])
    found = pretext.loss(encoders, heads, pretext.view(together, noise))
    alone = torch.stack([pretext.loss(encoder, head, pretext.view(run, noise)) for run in runs])
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_the_profile_is_a_bracket_below_the_trained_head(pretext):
    run = Pretraining(Glyphs(), pretext, MLP(16, 6), 400, Adam(3e-3, batch=64), (0, 200), views=2)
    model = list(pretrain([run]))[-1].load()
    n = pretext.n_evaluation // 2 if not isinstance(pretext, InfoNCE) else pretext.n_evaluation
    fit, test = (
        pretext.draw(Glyphs().views(n, pretext.n_views, generator(role)), generator("noise", role)) for role in ("fit", "test")
    )
    encoder = stacked([model.encoder])
    (bracket,) = pretext.profile(encoder, fit, test)
    assert bracket.solved and bracket.status in ("ok", "crossed") and bracket.interval()[0] < bracket.interval()[1]
    if not pretext.profile_class_differs:
        raw = pretext.evaluate(encoder, stacked([model.head]), test)[0]
        assert bracket.low < raw.mean() + 3 * raw.std() / len(raw) ** 0.5


@pytest.mark.parametrize("pretext", GAUSSIAN, ids=name)
@pytest.mark.parametrize("encoder", [LinearEncoder(3), MLP(10, 3, bias=False)], ids=lambda e: e.name)
def test_sampled_losses_agree_with_the_closed_form(pretext, encoder):
    world = GaussianFactor(index=1)
    moments, dim = world.moments(), world.input_dim
    seen = pretext.visible(dim)
    module = initialise(encoder.build(dim if seen is None else len(seen)), generator("encoder", 5))
    head = pretext.head(dim, encoder.features, None)
    head = head if head is None else initialise(head, generator("head", 5))
    arrays = [{k: v.double().numpy() for k, v in m.state_dict().items()} if m else {} for m in (module, head)]
    exact = pretext.exact(encoder.embedding(arrays[0], moments, seen), moments, arrays[1])

    n = 40_000
    fit, test = (
        pretext.draw(world.views(n, pretext.n_views, generator(role)), generator("unused", role)) for role in ("fit", "test")
    )
    with torch.no_grad():
        raw = pretext.evaluate(module, head, test).double()
        (bracket,) = pretext.profile(stacked([module]), fit, test)
    assert abs(float(raw.mean()) - float(exact.raw)) < 4 * float(raw.std()) / n**0.5 * (2 if head is None else 1)
    profiled = float(exact.profiled)
    assert bracket.low - 4 * bracket.low.stderr < profiled < bracket.high + 4 * bracket.high.stderr
    assert profiled <= float(exact.raw) + 1e-9
    floor = pretext.floor(moments, encoder.features, linear=isinstance(encoder, LinearEncoder))
    assert profiled >= floor - 1e-9


@pytest.mark.parametrize("pretext", GAUSSIAN, ids=name)
def test_a_linear_encoder_reaches_the_floor(pretext):
    """Trained on much data, the exact excess of a linear encoder goes to 0, from far above."""
    world = GaussianFactor(index=2)
    run = Pretraining(world, pretext, LinearEncoder(4), 20_000, Adam(3e-3), (0, 2500), views=pretext.n_views)
    moments = world.moments()
    start, end = (
        float(
            pretext.exact(
                LinearEncoder(4).embedding(
                    {"output.weight": c.load().encoder.output.weight.double().numpy()}, moments, pretext.visible(16)
                ),
                moments,
                {},
            ).profiled
        )
        - pretext.floor(moments, 4, linear=True)
        for c in pretrain([run])
    )
    assert 0 <= end < 0.03 * start


def test_masked_profile_is_the_weighted_least_squares_of_each_entry():
    pretext = MaskedPrediction(rate=0.4)
    views, encoder, _ = setting(pretext, 300)
    (bracket,) = pretext.profile(stacked([encoder]), views, views)
    z = np.c_[encoder(views.visible).detach().double().numpy(), np.ones(300)]
    total = 0.0
    for j in range(256):
        rows = views.hidden[:, j].bool().numpy()
        target = views.target[:, j].double().numpy()[rows]
        residual = target - z[rows] @ np.linalg.lstsq(z[rows], target, rcond=None)[0]
        total += residual @ residual
    assert bracket.low == pytest.approx(total / 300 / 0.4, rel=1e-6) and bracket.high == pytest.approx(bracket.low)


def test_an_uninformative_encoder_is_at_chance_under_infonce():
    pretext = InfoNCE()
    views, *_ = setting(pretext, pretext.n_evaluation)
    head = initialise(pretext.head(256, 4, 10), generator("head"))
    blind = pretext.evaluate(lambda x: torch.ones(len(x), 4), head, views)
    torch.testing.assert_close(blind, torch.full((24,), math.log(128)), rtol=1e-5, atol=1e-5)


def test_supervised_needs_classes():
    with pytest.raises(ValueError, match="classes"):
        Supervised().head(16, 4, GaussianFactor().n_classes)


@pytest.mark.parametrize(
    ("make", "word"), [(lambda: MaskedPrediction(rate=1.0), "rate"), (lambda: InfoNCE(temperature=0.0), "temperature")]
)
def test_bad_settings_are_named(make, word):
    with pytest.raises(ValueError, match=word):
        make()
