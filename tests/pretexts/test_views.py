"""What is hidden, turned, reordered, disturbed or asked for, against references by brute force."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from interface.populations import Examples, HiddenMarkov
from interface.pretexts import Denoising, MaskedPrediction, MultiTask, Permutation, Rotation
from interface.seeds import generator
from tests.pretexts.settings import one_view


def test_patches_are_hidden_as_a_whole_and_entries_at_the_rate():
    hidden = MaskedPrediction(rate=0.3, patch=4).noise(4000, 256, generator("x")).view(-1, 4, 4, 4, 4)  # (n, row, in, column, in)
    patches = hidden.transpose(2, 3).flatten(3)
    assert torch.equal(patches.amin(-1), patches.amax(-1))
    assert float(patches[..., 0].mean()) == pytest.approx(0.3, abs=4 * (0.21 / 64_000) ** 0.5)
    assert torch.linalg.matrix_rank(patches[..., 0].flatten(1)) == 16  # each on its own


def test_denoising_adds_the_stated_noise():
    x = torch.randn(20_000, 6, generator=generator("x"))
    views = Denoising(noise_scale=0.4).draw(one_view(x), generator("noise"))
    assert torch.equal(views.target, x)
    assert float((views.x - x).std()) == pytest.approx(0.4, rel=0.02)


def test_rotation_turns_the_image():
    x = torch.randn(50, 16, generator=generator("x"))
    views = Rotation().draw(one_view(x), generator("turns"))
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
    views = pretext.draw(one_view(x), generator("orders"))
    assert views.x.dtype == torch.int64
    assert torch.equal(views.x, torch.stack([x[i][pretext.orders(8)[k]] for i, k in enumerate(views.which.tolist())]))


def test_diversity_turns_one_task_into_many():
    spans = [torch.linalg.svdvals(MultiTask(tasks=6, diversity=d).coefficients(20)) for d in (0.0, 0.3, 1.0)]
    assert float(spans[0][1]) < 1e-4 * float(spans[0][0])
    least = [float(s[-1] / s[0]) for s in spans]
    assert least[0] < least[1] < least[2]
    x = torch.randn(7, 20, generator=generator("x"))
    target = MultiTask(tasks=6).draw(one_view(x), generator("none")).target
    torch.testing.assert_close(target, x @ MultiTask(tasks=6).coefficients(20).T / 20**0.5)
    assert not torch.equal(MultiTask(seed=1).coefficients(20), MultiTask(seed=0).coefficients(20))


def test_tasks_of_the_label_are_equal_for_equal_labels():
    y = torch.tensor([3, 1, 3, 0])
    target = MultiTask(tasks=4, of="label").draw(Examples(torch.zeros(4, 1, 8), y), generator("none")).target
    assert torch.equal(target[0], target[2]) and not torch.equal(target[0], target[1])
