import itertools

import numpy as np
import pytest
import torch

from interface.adaptations import LinearProbe
from interface.core import Shift
from interface.populations import HiddenMarkov
from interface.theory import entropy, entropy_rate_sandwich, hidden_state_bound, mixture, squared_probe_loss

MOVES = ((0.8, 0.15, 0.05), (0.1, 0.8, 0.1), (0.05, 0.15, 0.8))
OTHER_MOVES = ((0.15, 0.05, 0.8), (0.8, 0.1, 0.1), (0.15, 0.8, 0.05))
EMITS = ((0.7, 0.1, 0.1, 0.1), (0.1, 0.7, 0.1, 0.1), (0.1, 0.1, 0.4, 0.4))
REFERENCE = HiddenMarkov.from_matrices(MOVES, EMITS, 5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


WORLDS = [
    HiddenMarkov(index=2, length=4),
    HiddenMarkov(index=3, length=4, lag=2),
    HiddenMarkov(index=4, length=4, lag=4),
    HiddenMarkov(index=1, length=4, concepts=3, label="concept"),
    HiddenMarkov(index=1, length=4, concepts=2).shift("transition", 0.5),
    HiddenMarkov(index=1, length=4, states=2).shift("vocabulary", 1.0),
    HiddenMarkov.from_matrices(MOVES, EMITS, 4).shift("emission", 0.7),
]


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"{world.instance}-{world.label}{world.lag}-{world.applied.name}")
def test_samples_follow_the_support(world):
    """The joint law of (x, y) against 100,000 draws by a chi-square statistic over all cells."""
    n = 100_000
    support, (x, y) = world.support(), world.sample(n, generator())
    assert support.p.sum() == pytest.approx(1.0, abs=1e-12)
    torch.testing.assert_close(support.y.sum(1), torch.ones(len(support.p), dtype=torch.float64))
    digits = world.vocabulary ** torch.arange(world.length).flip(0)
    cell = lambda tokens: (tokens * digits).sum(1)  # noqa: E731
    position = torch.full((world.vocabulary**world.length,), -1)
    position[cell(support.x)] = torch.arange(len(support.x))
    expected = (support.p[:, None] * support.y).flatten() * n
    observed = torch.bincount(position[cell(x)] * world.n_classes + y, minlength=len(expected)).double()
    seen = expected > 5
    statistic, cells = float(((observed - expected)[seen] ** 2 / expected[seen]).sum()), int(seen.sum())
    assert statistic < cells + 5 * (2 * cells) ** 0.5
    assert (world.posterior(support.x) - support.y).abs().max() < 1e-12
    assert world.bayes_risk() == pytest.approx(float(support.p.numpy() @ entropy(support.y.numpy())), abs=1e-12)


def test_reference_language():
    floors = [1.3469963917655396, 1.288553882524729, 1.274262491655437, 1.270144500084386, 1.2688803344036068]
    np.testing.assert_allclose(REFERENCE.token_floor(), floors, rtol=1e-9)
    assert REFERENCE.floor(0) == pytest.approx(np.mean(floors), rel=1e-9)
    assert REFERENCE.floor() == pytest.approx(np.mean(floors[1:]), rel=1e-9)
    assert REFERENCE.floor().how == REFERENCE.bayes_risk().how == "exact"
    assert REFERENCE.bayes_risk() == pytest.approx(0.8585116915179714, rel=1e-9)
    np.testing.assert_allclose(entropy_rate_sandwich(REFERENCE.model(), 4)[:, 1], floors, rtol=1e-9)


def test_two_concepts_share_the_reference_emission():
    world = HiddenMarkov.from_matrices([MOVES, OTHER_MOVES], EMITS, 6, label="concept")
    assert world.bayes_risk() == pytest.approx(0.4942662270174825, rel=1e-9)
    single = [HiddenMarkov.from_matrices(moves, EMITS).model() for moves in (MOVES, OTHER_MOVES)]
    for ours, theirs in zip(world.model(), mixture([0.5, 0.5], single), strict=True):
        np.testing.assert_allclose(ours, theirs)
    x = world.support().x
    joint = world.belief(x)[:, -1].reshape(-1, 2, 3)
    torch.testing.assert_close(joint.sum(2), world.posterior(x))


def test_predictive_is_the_conditional_law_of_each_token():
    world = HiddenMarkov(index=5, length=4, concepts=2)
    x, p, _ = world.support()
    ahead = world.predictive(x)
    assert ahead.shape == (len(x), 4, 4)
    assert ahead.dtype == torch.float64
    for s, token in itertools.product(range(4), range(4)):
        same = (x[:, None, :s] == x[None, :, :s]).all(2)
        chance = same.double() @ (p * (x[:, s] == token)) / (same.double() @ p)
        torch.testing.assert_close(ahead[:, s, token], chance)
    hard = -ahead.gather(2, x[..., None]).squeeze(2).log()
    np.testing.assert_allclose((p[:, None] * hard).sum(0), world.token_floor(), rtol=1e-12)


def test_beyond_enumeration_the_floor_is_sampled_and_says_so():
    world = HiddenMarkov.from_matrices(MOVES, EMITS, 12, lag=1)
    assert world.support() is None
    floors = world.token_floor()
    assert {floor.how for floor in floors} == {"monte_carlo"}
    for sampled, exact in zip(floors[1:], REFERENCE.token_floor()[1:], strict=False):
        assert abs(sampled - exact) < 4.5 * sampled.stderr
    assert floors[0] == pytest.approx(REFERENCE.token_floor()[0], abs=1e-12)  # nothing is seen yet: nothing varies
    assert abs(world.floor(8) - 1.26838) < 4 * world.floor(8).stderr + 1e-3  # near the entropy rate
    risk = world.bayes_risk()
    x, y = world.sample(20_000, generator(1))
    losses = -world.posterior(x).gather(1, y[:, None]).log().squeeze(1)
    assert abs(losses.mean() - risk) < 4.5 * (float(losses.std()) / 20_000**0.5 + risk.stderr)


def test_renaming_tokens_leaves_floors_and_bayes_risk_alone():
    source = HiddenMarkov(index=0)
    renamed = source.shift("vocabulary", 1.0)
    np.testing.assert_allclose(renamed.token_floor(), source.token_floor(), rtol=1e-12)
    assert renamed.bayes_risk() == pytest.approx(source.bayes_risk(), rel=1e-12)
    x, weights, _ = renamed.support()
    p, q = renamed.predictive(x)[:, -1], source.predictive(x)[:, -1]
    assert weights @ (p * (p / q).log()).sum(1) > 0.1  # and the source's own model is far off


def test_equal_generators_give_equal_states_whatever_the_emission():
    source = HiddenMarkov(index=0)
    ours, moved = source.views(500, 3, generator()), source.shift("emission", 0.5).views(500, 3, generator())
    assert torch.equal(ours.y, moved.y)
    assert not torch.equal(ours.x, moved.x)
    assert ours.x.dtype == torch.int64
    assert ours.x.shape == (500, 3, 6)


def test_instances_differ_and_can_be_read_off_an_optimal_model():
    worlds = [HiddenMarkov(index=index) for index in range(6)]
    assert len({world.instance for world in worlds}) == len({float(world.floor()) for world in worlds}) == 6
    for world in worlds:
        x, weights, _ = world.support()
        belief, p = (
            world.belief(x)[:, -1].numpy(),
            (world.belief(x)[:, -1] @ torch.from_numpy(world.model().emission.copy())).numpy(),
        )
        assert hidden_state_bound(world.model().emission, p, p, weights.numpy()) == (0.0, 0.0)
        assert squared_probe_loss(p, belief, weights.numpy()) < 1e-20


def test_a_probe_on_the_belief_comes_near_the_bayes_risk():
    world = HiddenMarkov(index=0, concepts=2, label="concept")
    fit, test = world.sample(4000, generator(0)), world.sample(4000, generator(1))
    predictor = LinearProbe().fit(world.belief(fit.x)[:, -1], fit.y)
    losses = predictor.loss(world.belief(test.x)[:, -1], test.y)
    assert world.bayes_risk() - 4 * float(losses.std()) / 4000**0.5 < losses.mean() < world.bayes_risk() + 0.05
    blind = LinearProbe().fit(world.predictive(fit.x)[:, -1], fit.y)
    assert blind.loss(world.predictive(test.x)[:, -1], test.y).mean() > losses.mean() + 0.05


def test_the_matrices_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        HiddenMarkov().model().emission[0, 0] = 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HiddenMarkov(states=1), "states"),
        (lambda: HiddenMarkov(length=0), "length"),
        (lambda: HiddenMarkov(states=5), "at most vocabulary"),
        (lambda: HiddenMarkov(label="concept"), "concepts > 1"),
        (lambda: HiddenMarkov(label="topic"), "label"),
        (lambda: HiddenMarkov(lag=7), "lag"),
        (lambda: HiddenMarkov(applied=Shift("rotation", 1.0)), "HiddenMarkov knows"),
        (lambda: HiddenMarkov(transition=(MOVES,)), "both"),
        (lambda: HiddenMarkov(transition=(MOVES,), emission=EMITS[:2]), "shapes"),
        (lambda: HiddenMarkov.from_matrices(((0.5, 0.6), (0.5, 0.5)), EMITS[:2]), "row 0"),
        (lambda: HiddenMarkov.from_matrices([0.5, 0.5], EMITS), "axes"),
        (lambda: HiddenMarkov().shift("emission", 0.5).shift("transition", 0.5), "already"),
        (lambda: HiddenMarkov().predictive(torch.tensor([[0, 4]])), "tokens 0 to 3"),
        (lambda: HiddenMarkov().posterior(torch.tensor([[0, 1]])), "allowed: \\(n, 6\\)"),
        (lambda: HiddenMarkov().views(0, 1, generator()), "n, k"),
        (lambda: HiddenMarkov().floor(6), "first"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
