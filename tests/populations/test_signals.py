import math

import pytest
import torch

from interface.populations import Signals
from interface.populations.signals import LONGEST, POINTS, SHORTEST, _interpolated, _smoothing, _templates

QUIET = {"noise": 0.0}


def draw(population, n=400, k=1, seed=0):
    return population.views(n, k, torch.Generator().manual_seed(seed))


def test_templates_are_smooth_of_unit_size_and_differ_between_instances():
    first, second = _templates(0), _templates(1)
    assert first.shape == (10, POINTS)
    torch.testing.assert_close(first.square().mean(1), torch.ones(10))
    assert not torch.equal(first, second)
    steps = torch.cat([_templates(index) for index in range(40)]).diff(dim=1).square().mean()
    assert steps < 1  # 2 for white templates
    assert torch.equal(_templates(0), first)


def test_interpolation_is_piecewise_linear_with_silence_around():
    templates = torch.randn(3, POINTS, generator=torch.Generator().manual_seed(0))
    which = torch.tensor([2, 0])
    at = torch.linspace(-3, POINTS + 2, 41).expand(2, 1, 41) + torch.tensor([0.0, 0.3])[:, None, None]
    found = _interpolated(templates, which, at)
    for i in range(2):
        for j in range(41):
            place = at[i, 0, j].item()
            expected = 0.0
            for point in (math.floor(place), math.floor(place) + 1):
                if 0 <= point < POINTS:
                    expected += (1 - abs(place - point)) * templates[which[i], point].item()
            assert found[i, 0, j].item() == pytest.approx(expected, abs=1e-5)


def test_noise_is_correlated_and_of_the_stated_size():
    loud = draw(Signals(noise=5.0), n=4_000).x[:, 0] - draw(Signals(noise=0.0), n=4_000).x[:, 0]
    assert loud.std().item() == pytest.approx(5.0, rel=0.02)
    assert loud.std(0).max() / loud.std(0).min() < 1.15
    neighbours = torch.corrcoef(loud[:, 18:20].T)[0, 1]
    assert neighbours.item() == pytest.approx(math.exp(-1 / (4 * 2.0**2)), abs=0.02)
    torch.testing.assert_close(_smoothing(40).square().sum(0), torch.ones(40))
    twice = draw(Signals(0).shift("noise", 0.25), n=4_000).x - draw(Signals(0, **QUIET), n=4_000).x
    assert twice.std().item() == pytest.approx(0.1 * 2, rel=0.02)


def test_the_shape_moves_from_the_first_half_of_the_room_to_the_second():
    def centre(population):
        energy = draw(population, n=4_000).x[:, 0].square()
        return (energy @ torch.linspace(0, 1, 40)) / energy.sum(1)

    still = Signals(2, **QUIET)
    before, after = centre(still), centre(still.shift("translation", 1.0))
    half_a_room = (1 - (POINTS - 1) / ((SHORTEST + LONGEST) / 2 - 1)) / 2
    assert (after - before).mean().item() == pytest.approx(half_a_room, abs=0.07)  # the trend pulls both to the middle
    assert before.quantile(0.5) < 0.5 < after.quantile(0.5)


def test_shear_adds_a_trend():
    moved = draw(Signals(1).shift("shear", 0.5)).x - draw(Signals(1)).x
    torch.testing.assert_close(moved, torch.linspace(-0.5, 0.5, 40).expand_as(moved), rtol=0, atol=1e-5)


def test_random_labels_are_drawn_apart_from_the_signal():
    source, moved = draw(Signals(4), 5_000), draw(Signals(4).shift("random_label", 0.4), 5_000)
    assert torch.equal(source.x, moved.x)
    assert (source.y == moved.y).double().mean().item() == pytest.approx(1 - 0.9 * 0.4, abs=0.03)
    assert Signals(4).shift("random_label", 1.0).bayes_risk() == math.log(10)
    assert Signals(4).bayes_risk() is None


def test_labels_name_what_is_seen():
    (x, y), (new, truth) = (Signals(0).sample(n, torch.Generator().manual_seed(n)) for n in (6_000, 1_000))
    nearest = torch.cdist(new, x).argmin(1)
    assert (y[nearest] == truth).double().mean() > 0.6  # chance is .1


def test_lengths_and_instances():
    assert draw(Signals(length=48), k=2).x.shape == (400, 2, 48)
    assert Signals(length=48).shape == (48,)
    names = {Signals(0).instance, Signals(1).instance, Signals(0, length=48).instance, Signals(0, noise=0.2).instance}
    assert len(names) == 4
    assert Signals(0).instance == "Signals-0"


@pytest.mark.parametrize(
    ("arguments", "word"), [({"length": 11}, "length"), ({"noise": -0.1}, "noise"), ({"noise": math.inf}, "noise")]
)
def test_what_is_not_allowed_is_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        Signals(**arguments)


def test_a_second_shift_is_refused():
    with pytest.raises(ValueError, match="already shifted by 'shear'"):
        Signals(0).shift("shear", 1.0).shift("noise", 1.0)
