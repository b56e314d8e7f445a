"""Laws over every pretext that the package exports."""

from dataclasses import replace

import pytest
import torch

from interface.encoders import MLP, LinearEncoder, initialise
from interface.populations import Examples, GaussianFactor
from interface.pretexts import (
    BarlowTwins,
    Clustering,
    Denoising,
    InfoNCE,
    MaskedTokens,
    NextToken,
    SelfDistillation,
    SpectralContrastive,
    Supervised,
)
from interface.seeds import generator
from interface.training import Adam, Pretraining, pretrain
from tests.pretexts.settings import (
    EXACT,
    EXPORTED,
    PRETEXTS,
    SETTINGS,
    encoder_of,
    examples,
    labelled,
    modules,
    name,
    population,
    stacked,
    trained_on,
)


def test_all_are_here():
    assert {type(p) for p in PRETEXTS} == EXPORTED


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_losses_are_finite_one_an_example_and_reach_every_parameter(pretext):
    encoder, head = modules(pretext)
    views = labelled(pretext, *modules(pretext, seed=9), trained_on(pretext, 32))
    losses = pretext.loss(encoder, head, views)
    assert losses.shape == (32,) and torch.isfinite(losses).all()
    losses.mean().backward()
    parameters = [*encoder.parameters(), *(head.parameters() if head else ())]
    reached = [p.grad is not None and bool((p.grad.abs() > 1e-6).any()) for p in parameters]
    centred = isinstance(pretext, (SpectralContrastive, BarlowTwins))  # then the last bias cancels
    assert reached.count(False) <= int(centred)


@pytest.mark.parametrize("pretext", [InfoNCE(temperature=0.7), MaskedTokens(4), NextToken(4), Supervised()], ids=name)
def test_the_loss_of_a_unit_is_the_mean_cross_entropy_of_its_logits(pretext):
    encoder, head = modules(pretext)
    views = trained_on(pretext, 256)
    logits, labels = pretext.logits(encoder, head, views)
    labels = labels.expand(logits.shape[:-1])
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)
    torch.testing.assert_close(losses.reshape(len(losses), -1).mean(1), pretext.evaluate(encoder, head, views))


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_a_run_does_not_depend_on_its_neighbours(pretext):
    parts = [modules(pretext, seed) for seed in range(3)]
    given = trained_on(pretext, 24)
    alone = torch.stack([pretext.loss(*part, labelled(pretext, *part, given)) for part in parts])
    embed, head = (stacked([part[i] for part in parts]) for i in (0, 1))
    together = pretext.loss(embed, head, labelled(pretext, embed, head, given))
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_equal_noise_gives_equal_losses_and_runs_may_have_their_own_examples(pretext):
    runs = [examples(pretext, 16, seed) for seed in range(2)]
    both = Examples(*(torch.stack(parts) for parts in zip(*runs, strict=True)))
    length = both.x.shape[-1]
    noise = [pretext.noise(16, length, generator("noise", seed)) for seed in range(2)]
    encoder, head = modules(pretext)

    def loss(embed, k, views):
        return pretext.loss(embed, k, labelled(pretext, embed, k, views))

    shared = pretext.view(both, None if noise[0] is None else torch.stack(noise))
    found = loss(stacked([encoder] * 2), stacked([head] * 2), shared)
    alone = [loss(encoder, head, pretext.view(run, one)) for run, one in zip(runs, noise, strict=True)]
    torch.testing.assert_close(found, torch.stack(alone), rtol=1e-5, atol=1e-4)
    assert torch.equal(loss(encoder, head, pretext.view(runs[0], noise[0])), alone[0])


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_equal_generators_give_equal_views(pretext):
    drawn = examples(pretext, 8)
    first, second, other = (pretext.draw(drawn, generator("noise", seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    random = pretext.noise(8, drawn.x.shape[-1], generator("noise")) is not None
    assert random == any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def teacher(pretext):
    """How pseudolabels come to be is no setting of the evaluation."""
    return {"momentum": pretext.momentum} if isinstance(pretext, SelfDistillation) else {}


@pytest.mark.parametrize(("pretext", "other"), SETTINGS, ids=lambda p: str(p))
def test_losses_of_different_training_settings_share_one_yardstick(pretext, other):
    encoder, head = modules(pretext)
    drawn = examples(pretext, 256)
    embed, k = stacked([encoder]), stacked([head])
    found = []
    for task in (pretext, other):
        fit, test = (labelled(task, embed, k, task.draw(drawn, generator("noise", part))) for part in ("fit", "test"))
        with torch.no_grad():
            found.append((task.evaluate(embed, k, test), task.profile(embed, fit, test)))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=0)
    assert found[0][1] == found[1][1]
    assert replace(other.canonical, **teacher(pretext)) == pretext.canonical == pretext.canonical.canonical
    trained = [task.loss(encoder, head, labelled(task, encoder, head, trained_on(task, 32))) for task in (pretext, other)]
    assert not torch.equal(*trained)  # the setting does something


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_the_profile_is_a_bracket_below_the_trained_head(pretext):
    source = population(pretext)
    run = Pretraining(source, pretext, encoder_of(pretext), 400, Adam(3e-3, batch=64), (0, 150), views=2)
    model = list(pretrain([run]))[-1].load()
    n = 1024 if pretext.n_evaluation % 128 == 0 else 1200
    embed, head = stacked([model.encoder]), stacked([model.head])
    fit, test = (
        labelled(pretext, embed, head, pretext.draw(source.views(n, pretext.n_views, generator(role)), generator("noise", role)))
        for role in ("fit", "test")
    )
    with torch.no_grad():
        (bracket,) = pretext.profile(embed, fit, test)
        raw = pretext.evaluate(embed, head, test)[0]
    assert torch.isfinite(raw).all() and len(raw) in (n, n // 128)
    assert bracket.solved and bracket.status in ("ok", "crossed") and bracket.interval()[0] < bracket.interval()[1]
    if not pretext.profile_class_differs:
        assert bracket.low < raw.mean() + 3 * raw.std() / len(raw) ** 0.5


@pytest.mark.parametrize("pretext", [InfoNCE(), Clustering(prototypes=12), SelfDistillation(prototypes=12)], ids=name)
def test_an_incomplete_batch_is_not_evaluated(pretext):
    embed, head = (stacked([part]) for part in modules(pretext))
    views = labelled(pretext, embed, head, pretext.draw(examples(pretext, 300), generator("noise")))
    whole = type(views)(*(tensor[..., :256, :] for tensor in views))
    with torch.no_grad():
        torch.testing.assert_close(pretext.evaluate(embed, head, views), pretext.evaluate(embed, head, whole))
        assert pretext.profile(embed, views, views) == pretext.profile(embed, whole, whole)
    few = type(views)(*(tensor[..., :255, :] for tensor in views))
    for call in (lambda: pretext.evaluate(embed, head, few), lambda: pretext.profile(embed, few, few)):
        with pytest.raises(ValueError, match="two batches"):
            call()


@pytest.mark.parametrize("pretext", PRETEXTS, ids=name)
def test_a_profile_does_not_depend_on_the_neighbours(pretext):
    parts = [modules(pretext, seed, features=3) for seed in range(2)]
    drawn = [pretext.draw(examples(pretext, 256, seed), generator("noise", seed)) for seed in range(2)]

    def profiles(chosen):
        embed, head = (stacked([part[i] for part in chosen]) for i in (0, 1))
        with torch.no_grad():
            return pretext.profile(embed, *(labelled(pretext, embed, head, views) for views in drawn))

    together, alone = profiles(parts), [profiles([part])[0] for part in parts]
    for a, b in zip(together, alone, strict=True):
        assert float(a.low) == pytest.approx(float(b.low), rel=1e-4) and float(a.high) == pytest.approx(float(b.high), rel=1e-4)


@pytest.mark.parametrize("pretext", [*EXACT, Denoising(noise_scale=0.3)], ids=name)
@pytest.mark.parametrize("encoder", [LinearEncoder(3), MLP(10, 3, bias=False)], ids=lambda e: e.name)
def test_sampled_losses_agree_with_the_closed_form(pretext, encoder):
    world = GaussianFactor(index=1)
    moments, dim = world.moments(), world.input_dim
    seen = pretext.visible(dim)
    module = initialise(encoder.build(dim if seen is None else len(seen)), generator("encoder", 5))
    head = pretext.head(dim, encoder.features, None)
    head = head if head is None else initialise(head, generator("head", 5))
    arrays = [{k: v.double().numpy() for k, v in m.state_dict().items()} if m else {} for m in (module, head)]
    exact = pretext.exact(encoder.embedding(arrays[0], pretext.input_moments(moments), seen), moments, arrays[1])

    n = 40_000
    fit, test = (
        pretext.draw(world.views(n, pretext.n_views, generator(role)), generator("noise", role)) for role in ("fit", "test")
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
    operator = pretext.operator(moments)
    if operator is not None:
        assert floor == pytest.approx(operator.floor(encoder.features, linear=isinstance(encoder, LinearEncoder)), rel=1e-9)
