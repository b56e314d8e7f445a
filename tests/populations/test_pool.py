import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from interface.core import Shift, fingerprint
from interface.populations import Pool

X = np.random.default_rng(0).normal(size=(30, 4))
Y = np.arange(30) % 3


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


class Items(Dataset):
    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def test_identity_is_the_content_with_its_name_and_shift():
    pool, moved = Pool(X, Y, name="a"), Shift("other ward", 1.0, "mixed")
    assert pool == Pool(X.copy(), Y.tolist(), name="a")
    assert hash(pool) == hash(Pool(X.copy(), Y.tolist(), name="a"))
    others = [
        Pool(X + 1e-9, Y, name="a"),
        Pool(X[::-1], Y[::-1], name="a"),
        Pool(X, (Y + 1) % 3, name="a"),
        Pool(X, Y.astype(float), name="a"),
        Pool(X, name="a"),
        Pool(X.astype(np.float32), Y, name="a"),
        Pool(X.reshape(30, 2, 2), Y, name="a"),
        Pool(X, Y, name="b"),
        Pool(X, Y, name="a", shift=moved),
    ]
    assert len({pool, *others}) == len({fingerprint(p) for p in (pool, *others)}) == 10
    assert others[-1].applied == moved
    assert pool.applied == Shift()


def test_later_changes_of_the_callers_array_change_nothing():
    x, y = X.copy(), torch.from_numpy(Y.copy())
    pool = Pool(x, y, name="a")
    x[:], y[:] = 0, 0
    assert pool == Pool(X, Y, name="a")
    assert np.array_equal(pool.x.numpy(), X)
    assert np.array_equal(pool.y.numpy(), Y)


def test_inputs_keep_their_shape_and_type():
    images = torch.randint(0, 256, (12, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pool = Pool(images, [0, 1] * 6, name="images")
    x, y = pool.views(4, 1, torch.Generator().manual_seed(0))
    assert x.shape == (4, 1, 3, 5, 5)
    assert x.dtype == torch.uint8
    assert y.dtype == torch.int64
    assert pool.sample(4, torch.Generator().manual_seed(0)).x.shape == (4, 3, 5, 5)
    assert (pool.input_dim, pool.n_classes, pool.size, pool.instance) == (75, 2, 12, "images")


@pytest.mark.parametrize("dtype", [">f8", "<u2", "u4", "?", "f2"])
def test_unusual_types_keep_their_values(dtype):
    x = (np.arange(12).reshape(6, 2) % 7).astype(dtype)
    assert np.array_equal(Pool(x, name="a").x.numpy(), x)


def test_the_type_of_labels_decides_the_loss():
    real, classes, none = Pool(X, Y / 2, name="a"), Pool(X, Y == 0, name="a"), Pool(X, name="a")
    generator = torch.Generator().manual_seed(0)
    assert (real.n_classes, classes.n_classes, none.n_classes) == (None, 2, None)
    assert (real.labelled, classes.labelled, none.labelled) == (True, True, False)
    assert real.sample(5, generator).y.is_floating_point()
    assert classes.sample(5, generator).y.dtype == torch.int64
    assert none.sample(5, generator).x.shape == (5, 4)
    assert none.sample(5, generator).y.shape == (0,)
    assert all(part.y.shape == (0,) for part in none.thirds())


def test_draws_are_uniform_with_replacement_and_keep_pairs():
    pool = Pool(np.arange(30.0)[:, None], Y, name="a")
    x, y = pool.sample(6_000, torch.Generator().manual_seed(0))
    rows = x[:, 0].long()
    assert torch.equal(y, torch.from_numpy(Y)[rows])
    assert stats.chisquare(torch.bincount(rows, minlength=30).numpy()).pvalue > 1e-4


def test_more_views_than_one_need_a_kernel():
    with pytest.raises(ValueError, match=r"k is 2; .* kernel"):
        Pool(X, Y, name="a").views(3, 2, torch.Generator())


@pytest.mark.parametrize("size", [3, 30, 31, 32])
def test_thirds_are_a_partition(size):
    pool = Pool(np.arange(float(size))[:, None], np.arange(size) % 2, name="a")
    thirds = pool.thirds(seed=0)
    rows = torch.cat([x[:, 0] for x, _ in thirds])
    assert torch.equal(rows.sort().values, torch.arange(size, dtype=rows.dtype))
    assert max(len(x) for x, _ in thirds) - min(len(x) for x, _ in thirds) <= 1
    assert all(torch.equal(y, x[:, 0].long() % 2) for x, y in thirds)


def test_thirds_depend_on_content_and_seed_alone():
    def first(pool, seed=0):
        return pool.thirds(seed)[0].x

    assert torch.equal(first(Pool(X, Y, name="a")), first(Pool(X, Y, name="b")))
    assert not torch.equal(first(Pool(X, Y, name="a")), first(Pool(X, Y, name="a"), seed=1))
    assert len({tuple(first(Pool(X, Y, name="a"), seed)[0].tolist()) for seed in range(12)}) > 4  # shuffled, not in order


def test_a_dataset_is_its_arrays():
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    assert Pool(TensorDataset(x, y), name="a") == Pool(X, Y, name="a")
    assert Pool(TensorDataset(x, y.double()), name="a") == Pool(X, Y.astype(float), name="a")
    assert Pool(Items(*((row, int(label)) for row, label in zip(X, Y, strict=True))), name="a") == Pool(X, Y, name="a")
    assert Pool(Items(*X), name="a") == Pool(X, name="a")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, Y[:-1], r"y has shape \(29,\); allowed: \(30,\)"),
        (X, Y[:, None], r"y has shape \(30, 1\)"),
        (np.empty((0, 4)), None, r"x has shape \(0, 4\)"),
        (np.empty((4, 0)), None, r"x has shape \(4, 0\)"),
        (X[:, 0], Y, r"x has shape \(30,\)"),
        (np.where(np.arange(30)[:, None] >= 7, np.nan, X), Y, "x .*first in row 7"),
        (np.where(np.arange(30)[:, None] == 5, np.inf, X), Y, "x .*first in row 5"),
        (X, np.where(Y == 2, np.nan, Y), "y .*first in row 2"),
        (X, Y - 1, "y holds -1 .*row 0"),
        (X, np.ones(30, int), r"1 class \(1\)"),
        (X, Y + 4_000, "y holds 4002 with only 30 examples"),
        (X, ["cat"] * 15 + ["dog"] * 15, "y has dtype .*number the classes"),
        (np.array([["a"], ["b"]]), None, "x has dtype .*text"),
        (X.astype(object), Y, "x has dtype object"),
        (X + 1j, Y, "x has dtype complex"),
        (torch.from_numpy(X + 1j), Y, "x is complex"),
        (Stream(), None, "stream"),
        (Items(), None, "without items"),
        (Items(np.ones(2), np.ones(3)), None, "item 1"),
        (TensorDataset(torch.from_numpy(X)), Y, "y is given too"),
    ],
)
def test_what_is_not_allowed_is_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        Pool(x, y, name="a")


@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_pool_needs_a_name(name):
    with pytest.raises(ValueError, match="name"):
        Pool(X, Y, name=name)


def test_too_few_examples_have_no_thirds():
    with pytest.raises(ValueError, match="at least 3"):
        Pool(X[:2], [0, 1], name="a").thirds()


def test_a_pool_cannot_be_moved_by_us():
    with pytest.raises(ValueError, match="second Pool"):
        Pool(X, Y, name="a").shift("rotation", 0.0)
