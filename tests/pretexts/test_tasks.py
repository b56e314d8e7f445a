"""What single tasks compute, against references by brute force."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from interface.encoders import initialise
from interface.populations import Examples, HiddenMarkov
from interface.pretexts import (
    BarlowTwins,
    Clustering,
    Denoising,
    InfoNCE,
    MaskedPrediction,
    MaskedTokens,
    MultiTask,
    NextToken,
    Permutation,
    Rotation,
    SelfDistillation,
    SpectralContrastive,
    VariationalAutoencoding,
)
from interface.pretexts._profiles import canonical_variates, classification_profile
from interface.pretexts.clustering import balanced
from interface.seeds import generator
from tests.pretexts.settings import modules, stacked, trained_on


def one(x):
    """Examples of one view each."""
    return Examples(x.unsqueeze(-2), torch.zeros(len(x), dtype=torch.int64))


def test_masked_profile_is_the_weighted_least_squares_of_each_entry():
    pretext = MaskedPrediction(rate=0.5)
    encoder, _ = modules(pretext)
    views = trained_on(pretext, 300)
    (bracket,) = pretext.profile(stacked([encoder]), views, views)
    z = np.c_[encoder(views.visible).detach().double().numpy(), np.ones(300)]
    total = 0.0
    for j in range(256):
        rows = views.hidden[:, j].bool().numpy()
        target = views.target[:, j].double().numpy()[rows]
        residual = target - z[rows] @ np.linalg.lstsq(z[rows], target, rcond=None)[0]
        total += residual @ residual
    assert bracket.low == pytest.approx(total / 300 / 0.5, rel=1e-6) and bracket.high == pytest.approx(bracket.low)


def test_patches_are_hidden_as_a_whole_and_entries_at_the_rate():
    hidden = MaskedPrediction(rate=0.3, patch=4).noise(4000, 256, generator("x")).view(-1, 4, 4, 4, 4)  # (n, row, in, column, in)
    patches = hidden.transpose(2, 3).flatten(3)
    assert torch.equal(patches.amin(-1), patches.amax(-1))
    assert float(patches[..., 0].mean()) == pytest.approx(0.3, abs=4 * (0.21 / 64_000) ** 0.5)
    assert torch.linalg.matrix_rank(patches[..., 0].flatten(1)) == 16  # each on its own


def test_an_uninformative_encoder_is_at_chance_under_infonce():
    pretext = InfoNCE()
    head = initialise(pretext.head(256, 4, 10), generator("head"))
    blind = pretext.evaluate(lambda x: torch.ones(len(x), 4), head, trained_on(pretext, 256))
    torch.testing.assert_close(blind, torch.full((2,), math.log(128)), rtol=1e-5, atol=1e-5)


def test_denoising_adds_the_stated_noise():
    x = torch.randn(20_000, 6, generator=generator("x"))
    views = Denoising(noise_scale=0.4).draw(one(x), generator("noise"))
    assert torch.equal(views.target, x)
    assert float((views.x - x).std()) == pytest.approx(0.4, rel=0.02)


def test_rotation_turns_the_image():
    x = torch.randn(50, 16, generator=generator("x"))
    views = Rotation().draw(one(x), generator("turns"))
    for image, turned, k in zip(x, views.x, views.which.tolist(), strict=True):
        assert np.array_equal(np.rot90(image.view(4, 4).numpy(), k), turned.view(4, 4).numpy())
    assert set(views.which.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "pretext", [Permutation(pieces=4, n=24), Permutation(pieces=4, n=24, image=True), Permutation(pieces=9, n=40, image=True)]
)
def test_permutations_are_distinct_rearrangements_of_whole_pieces(pretext):
    length = 36
    orders = pretext.orders(length)
    assert orders.shape == (pretext.n, length) and len(torch.unique(orders, dim=0)) == pretext.n
    assert torch.equal(orders[0], torch.arange(length)) and torch.equal(orders, pretext.orders(length))
    entries = np.arange(length)
    if pretext.image:
        along = math.isqrt(pretext.pieces)
        rows, columns = np.divmod(entries, 6)
        piece = rows // (6 // along) * along + columns // (6 // along)
    else:
        piece = entries // (length // pretext.pieces)
    for order in orders.numpy():
        moved = piece[order]  # which piece each place now shows: one piece a place, entries within it in order
        shown = [np.unique(moved[piece == p]) for p in range(pretext.pieces)]
        assert all(len(s) == 1 for s in shown) and len({int(s[0]) for s in shown}) == pretext.pieces
        for p in range(pretext.pieces):
            inside = order[piece == p]
            assert np.array_equal(inside, entries[piece == shown[p][0]])


def test_all_orders_of_few_pieces_occur():
    seen = {tuple(order[::2].tolist()) for order in Permutation(pieces=3, n=6).orders(6)}
    assert seen == {tuple(2 * i for i in p) for p in permutations(range(3))}


def test_permutation_rearranges_token_ids_too():
    source = HiddenMarkov(length=8)
    x = source.sample(20, generator("x")).x
    pretext = Permutation(pieces=4, n=5)
    views = pretext.draw(one(x), generator("orders"))
    assert views.x.dtype == torch.int64
    assert torch.equal(views.x, torch.stack([x[i][pretext.orders(8)[k]] for i, k in enumerate(views.which.tolist())]))


def test_masked_tokens_hide_a_fixed_number_and_keep_what_they_hide():
    pretext = MaskedTokens(4, rate=0.5)
    x = HiddenMarkov(length=8).sample(500, generator("x")).x
    views = pretext.view(one(x), pretext.noise(500, 8, generator("mask")))
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
    views = pretext.draw(one(x), generator("none"))

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
    views = pretext.draw(one(x), generator("none"))
    counts = torch.zeros(4, 4, dtype=torch.float64)
    counts.index_put_((x[:, :-1].flatten(), x[:, 1:].flatten()), torch.ones(1, dtype=torch.float64), accumulate=True)
    table = (counts / counts.sum(1, keepdim=True)).log()
    embed = lambda tokens, readout=None: torch.nn.functional.one_hot(tokens, 4).float().unsqueeze(0)  # noqa: E731
    (bracket,) = pretext.profile(embed, views, views)
    assert float(bracket.low) == pytest.approx(float(-table[x[:, :-1], x[:, 1:]].mean()), abs=1e-6)
    assert bracket.low.n == 3000  # sequences, not tokens


def test_soft_labels_at_one_are_classes():
    z, y = torch.randn(1, 400, 3, generator=generator("z")), torch.randint(3, (400,), generator=generator("y"))
    hard = classification_profile((z, z), (y, y))[0]
    soft = classification_profile((z, z), (torch.nn.functional.one_hot(y, 3).float(),) * 2)[0]
    assert float(soft.low) == pytest.approx(float(hard.low), abs=1e-6)


def test_the_variational_loss_is_the_negative_elbo_of_its_draw():
    pretext = VariationalAutoencoding(beta=2.0, variance=0.5)
    x = torch.randn(30, 6, generator=generator("x"))
    views = pretext.draw(one(x), generator("noise"))
    head = initialise(pretext.head(6, 2, None), generator("head"))
    weight = torch.randn(6, 2, generator=generator("weight"))
    mean = x @ weight
    log_variance = head.log_variance(mean)
    u = mean + (log_variance / 2).exp() * views.noise[:, :2]
    likelihood = torch.distributions.Normal(head.decoder(u), 0.5**0.5).log_prob(x).sum(1)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(pretext.loss(lambda z: z @ weight, head, views), -likelihood + 2.0 * divergence)
    torch.testing.assert_close(pretext.evaluate(lambda z: z @ weight, head, views), -likelihood + divergence)


def test_barlow_twins_on_a_batch_and_on_pairs():
    a = torch.randn(200, 3, generator=generator("a"))
    b = 0.7 * a + torch.randn(200, 3, generator=generator("b"))
    views = trained_on(BarlowTwins(), 4)._replace(first=a, second=b)
    both = torch.cat([a, b])
    p, q = ((z - both.mean(0)) / both.std(0, correction=0) for z in (a, b))
    correlation = (p.T @ q / 200).numpy()
    diagonal = np.diagonal(correlation)
    batch = np.sum((1 - diagonal) ** 2) + 0.2 * (np.sum(correlation**2) - np.sum(diagonal**2))
    losses = BarlowTwins(weight=0.2).loss(lambda z: z, None, views)
    torch.testing.assert_close(losses, torch.full((200,), float(batch)))
    pairs = np.mean([float((p[i] @ p[j]) * (q[i] @ q[j])) for i in range(200) for j in range(200) if i != j])
    evaluated = BarlowTwins(weight=0.2).evaluate(lambda z: z, None, views)
    assert float(evaluated.mean()) == pytest.approx(3 - 2 * float((p * q).sum(1).mean()) + pairs, rel=1e-4)


def test_canonical_variates_are_white_and_agree_in_order():
    a = torch.randn(500, 4, dtype=torch.float64, generator=generator("a"))
    b = a * torch.tensor([1.0, 0.5, 0.1, 0.0], dtype=torch.float64) + torch.randn(
        500, 4, dtype=torch.float64, generator=generator("b")
    )
    a, b = a - a.mean(0), b - b.mean(0)
    scale, agreement = canonical_variates(a, b)
    p, q = a @ scale, b @ scale
    torch.testing.assert_close(0.5 * (p.T @ p + q.T @ q) / 500, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(0.5 * (p.T @ q + q.T @ p) / 500, torch.diag(agreement))
    assert (agreement.diff() > 0).all()
    flat = torch.cat([a, a[:, :1]], 1), torch.cat([b, b[:, :1]], 1)  # a copy of a coordinate is one direction less
    torch.testing.assert_close(canonical_variates(*flat)[1][-3:], agreement[-3:])


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


def test_diversity_turns_one_task_into_many():
    spans = [torch.linalg.svdvals(MultiTask(tasks=6, diversity=d).coefficients(20)) for d in (0.0, 0.3, 1.0)]
    assert float(spans[0][1]) < 1e-4 * float(spans[0][0])
    least = [float(s[-1] / s[0]) for s in spans]
    assert least[0] < least[1] < least[2]
    x = torch.randn(7, 20, generator=generator("x"))
    target = MultiTask(tasks=6).draw(one(x), generator("none")).target
    torch.testing.assert_close(target, x @ MultiTask(tasks=6).coefficients(20).T / 20**0.5)
    assert not torch.equal(MultiTask(seed=1).coefficients(20), MultiTask(seed=0).coefficients(20))


def test_tasks_of_the_label_are_equal_for_equal_labels():
    y = torch.tensor([3, 1, 3, 0])
    target = MultiTask(tasks=4, of="label").draw(Examples(torch.zeros(4, 1, 8), y), generator("none")).target
    assert torch.equal(target[0], target[2]) and not torch.equal(target[0], target[1])


def test_variances_pulled_to_one_make_redundancy_reduction_spectral_contrast():
    """|a - b|^2 + |C - 1|^2 is the spectral contrastive loss plus the number of coordinates, pair by pair."""
    a = torch.randn(300, 3, dtype=torch.float64, generator=generator("a"))
    b = 0.8 * a + 0.3 * torch.randn(300, 3, dtype=torch.float64, generator=generator("b"))
    a, b = (z - 0.5 * (a.mean(0) + b.mean(0)) for z in (a, b))
    views = trained_on(SpectralContrastive(), 4)._replace(first=a, second=b)
    contrast = float(SpectralContrastive().loss(lambda z: z, None, views).mean())
    squared = (a @ b.T).square()
    apart = float((squared.sum() - squared.diagonal().sum()) / (300 * 299))
    invariance, energy = float((a - b).square().sum(1).mean()), float((a.square() + b.square()).sum(1).mean())
    assert invariance + apart - energy + 3 == pytest.approx(contrast + 3, rel=1e-9)
