"""Prototypes: pseudolabels are balanced, carry no gradient, and are predicted from the other view."""

import math

import pytest
import torch

from interface.encoders import initialise
from interface.pretexts import Clustering, SelfDistillation
from interface.pretexts.clustering import balanced
from interface.seeds import generator
from tests.pretexts.settings import modules, stacked, trained_on


def test_balanced_assignments_use_all_columns_alike():
    q = balanced(torch.randn(64, 4, generator=generator("s")) * 2, sweeps=50)
    torch.testing.assert_close(q.sum(-1), torch.ones(64))
    torch.testing.assert_close(q.sum(0), torch.full((4,), 16.0), rtol=1e-3, atol=1e-3)
    extreme = balanced(torch.tensor([[0.0, -100.0, -200.0]] * 4))  # exponentials that vanish leave probabilities
    assert torch.isfinite(extreme).all() and float(extreme.sum()) == pytest.approx(4.0)


@pytest.mark.parametrize("pretext", [Clustering(prototypes=5), SelfDistillation(prototypes=5)], ids=["clustering", "distillation"])
def test_no_gradient_passes_through_the_pseudolabels(pretext):
    encoder, head = modules(pretext)
    views = pretext.labelled(encoder, head, trained_on(pretext, 64))
    assert not views.first_scores.requires_grad and not views.second_scores.requires_grad
    q = pretext.assigned(views.first_scores)
    torch.testing.assert_close(q.sum(-1), torch.ones(64))
    student = [head(encoder(x)) / pretext.temperature for x in (views.first, views.second)]
    targets = [pretext.assigned(s) for s in (views.second_scores, views.first_scores)]
    by_hand = -0.5 * sum((t * s.log_softmax(-1)).sum(-1) for s, t in zip(student, targets, strict=True))
    torch.testing.assert_close(pretext.loss(encoder, head, views), by_hand)


def test_a_network_that_says_one_thing_is_at_chance_or_above():
    """Collapse earns nothing: centring, and balancing, turn equal scores into even pseudolabels."""
    for pretext in (Clustering(prototypes=5), SelfDistillation(prototypes=5)):
        same = lambda x: torch.ones(*x.shape[:-1], 1) * torch.tensor([1.0, 0.2, 0.1, 0.0, -0.5])  # noqa: E731
        views = pretext.labelled(same, lambda z: z, trained_on(pretext, 128))
        assert float(pretext.loss(same, lambda z: z, views).mean()) >= math.log(5)


@pytest.mark.parametrize("pretext", [Clustering(prototypes=4), SelfDistillation(prototypes=4)], ids=["clustering", "distillation"])
def test_the_profile_predicts_the_other_view(pretext):
    """Two views without anything in common predict nothing of each other, though each would predict its own assignment."""
    a, b = (torch.randn(1280, 3, generator=generator(key)) for key in "ab")
    embed = lambda x: x.unsqueeze(0)  # noqa: E731
    head = stacked([initialise(pretext.head(3, 3, None), generator("head"))])
    apart, alike = (
        pretext.labelled(embed, head, trained_on(pretext, 4)._replace(first=a, second=other)) for other in (b, a.clone())
    )
    chance = pretext.assigned(apart.first_scores.unflatten(-2, (-1, 128))).mean((0, 1, 2))
    low, own = (pretext.profile(embed, views, views)[0].low for views in (apart, alike))
    assert low == pytest.approx(float(-(chance * chance.log()).sum()), abs=0.03)
    assert own < low - 0.15
