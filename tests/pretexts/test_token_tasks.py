"""Masked and next tokens, against enumeration and tables."""

import numpy as np
import pytest
import torch

from interface.populations import HiddenMarkov
from interface.pretexts import MaskedTokens, NextToken
from interface.seeds import generator
from tests.pretexts.settings import one_view


def test_masked_tokens_hide_a_fixed_number_and_keep_what_they_hide():
    pretext = MaskedTokens(4, rate=0.5)
    x = HiddenMarkov(length=8).sample(500, generator("x")).x
    views = pretext.view(one_view(x), pretext.noise(500, 8, generator("mask")))
    assert torch.equal((views.x == 4).sum(1), torch.full((500,), 4))
    assert torch.equal(torch.where(views.x == 4, x, views.x), x)
    assert torch.equal(x.gather(1, views.position), views.target)
    assert float((views.x == 4).float().mean(0).std()) < 0.05  # all places alike
    assert MaskedTokens(4).noise(3, 5, generator("x")).shape == (3, 1)  # at least one


def test_least_loss_of_masked_tokens_by_enumeration():
    source = HiddenMarkov(length=4, vocabulary=3, states=2)
    x, p = (part.numpy() for part in source.support()[:2])
    total = 0.0
    for place in range(4):
        law = {}
        for sequence, chance in zip(x.tolist(), p.tolist(), strict=True):
            context = (*sequence[:place], *sequence[place + 1 :])
            law.setdefault(context, np.zeros(3))[sequence[place]] += chance
        total -= sum(float(np.sum(row * np.log(row / row.sum()))) for row in law.values())
    assert float(MaskedTokens(3).least_loss(source)) == pytest.approx(total / 4, rel=1e-9)


def test_next_token_predicts_each_token_from_those_before_it():
    """The features at a position are one-hot tokens, the head a table: the loss is that of the bigram table, token by token."""
    x = HiddenMarkov(length=6).sample(40, generator("x")).x
    table = torch.randn(4, 4, generator=generator("table"))
    pretext = NextToken(4)
    views = pretext.draw(one_view(x), generator("none"))

    def embed(tokens, readout=None):
        assert readout == "all"
        return torch.nn.functional.one_hot(tokens, 4).float()

    by_hand = [-np.mean([float(table[a].log_softmax(0)[b]) for a, b in zip(row, row[1:], strict=False)]) for row in x.tolist()]
    found = pretext.loss(embed, lambda z: z @ table, views)
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-5)


def test_next_token_profile_is_the_empirical_bigram_table():
    """With one-hot features the best softmax head has the empirical conditional frequencies."""
    x = HiddenMarkov(length=6).sample(3000, generator("x")).x
    pretext = NextToken(4)
    views = pretext.draw(one_view(x), generator("none"))
    counts = torch.zeros(4, 4, dtype=torch.float64)
    counts.index_put_((x[:, :-1].flatten(), x[:, 1:].flatten()), torch.ones(1, dtype=torch.float64), accumulate=True)
    table = (counts / counts.sum(1, keepdim=True)).log()
    embed = lambda tokens, readout=None: torch.nn.functional.one_hot(tokens, 4).float().unsqueeze(0)  # noqa: E731
    (bracket,) = pretext.profile(embed, views, views)
    assert float(bracket.low) == pytest.approx(float(-table[x[:, :-1], x[:, 1:]].mean()), abs=1e-6)
    assert bracket.low.n == 3000  # sequences, not tokens
