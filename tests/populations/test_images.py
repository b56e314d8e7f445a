"""Corruptions and the image kernel against plain loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from interface.core import Shift, fingerprint
from interface.measurement.draws import draws
from interface.populations import ImageKernel, Pool, digits
from interface.populations._images import corrupted

STILL = ImageKernel(rotation=0, scale=0, translation=0, noise=0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(n=6, side=8):
    return torch.rand(n, side * side, generator=generator(3))


def pool(images, kernel=STILL, **more):
    return Pool(images, torch.arange(len(images)) % 2, name="images", kernel=kernel, **more)


def test_noise_is_normal_of_the_stated_size():
    added = corrupted(torch.zeros(2_000, 64), "noise", 0.6, generator())
    assert added.std().item() == pytest.approx(0.5 * 0.6, rel=0.02)
    assert added.mean().abs() < 0.005


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_speckle_multiplies_by_an_exponential_of_mean_one(strength):
    x = torch.full((5_000, 64), 2.0)
    factor = corrupted(x, "speckle", strength, generator()) / 2
    assert factor.mean().item() == pytest.approx(1, abs=0.01)
    assert factor.std().item() == pytest.approx(strength, rel=0.02)
    assert factor.min() >= 1 - strength
    if strength == 1:
        assert (factor > 2).double().mean().item() == pytest.approx(math.exp(-2), abs=0.003)
    assert torch.equal(corrupted(torch.zeros(3, 64), "speckle", strength, generator()), torch.zeros(3, 64))


def test_occlusion_hides_a_square_of_the_stated_area_anywhere():
    hidden = corrupted(torch.ones(20_000, 256), "occlusion", 0.6, generator()).view(-1, 16, 16) == 0
    rows, columns = hidden.any(2), hidden.any(1)
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None, :])  # a rectangle of rows and columns
    for seen in (rows, columns):
        assert (seen.long().diff(dim=1).abs().sum(1) <= 2).all()  # in one piece
        assert set(seen.sum(1).tolist()) <= {4, 5}  # .5 * .6 * 16 = 4.8 pixels
    assert hidden.double().mean().item() == pytest.approx(0.3**2, rel=0.02)
    assert (hidden.double().mean(0) > 0).all()


def test_blur_is_a_gaussian_convolution():
    x = random_images(3, 16)
    for strength in (0.1, 1.0):
        spread = strength * 2.0  # an eighth of 16
        expected = gaussian_filter1d(x.view(3, 16, 16).double().numpy(), spread, axis=1, mode="constant", truncate=20)
        expected = gaussian_filter1d(expected, spread, axis=2, mode="constant", truncate=20)
        seen = corrupted(x, "blur", strength, generator()).view(3, 16, 16).numpy()
        # the kernel is normalised over the image's own width, scipy's over 20 deviations
        np.testing.assert_allclose(seen, expected, rtol=1e-3, atol=1e-5)


def test_without_any_change_the_kernel_returns_the_base_image():
    x = random_images()
    drawn = pool(x).views(50, 3, generator())
    assert drawn.x.shape == (50, 3, 64)
    nearest = torch.cdist(drawn.x.reshape(150, 64), x).min(1)
    assert nearest.values.max() < 0.01
    assert torch.equal(nearest.indices.view(50, 3) % 2, drawn.y[:, None].expand(-1, 3))
    assert set(nearest.indices.tolist()) == set(range(6))


def test_poses_are_bilinear_maps_within_their_ranges():
    # the brightest point of a spot off the centre tells angle and scale; of one in the centre, the translation
    side = 33
    plane = (2 * torch.arange(side) + 1) / side - 1
    centre = torch.exp(-(plane[:, None] ** 2 + plane**2) / 0.02)
    off = torch.exp(-(plane[:, None] ** 2 + (plane - 0.5) ** 2) / 0.02)

    def mean_place(kernel, image):
        x = pool(torch.stack([image, image]), kernel).sample(3_000, generator()).x.view(-1, side, side)
        total = x.sum((1, 2))
        return (x.sum(1) @ plane) / total, (x.sum(2) @ plane) / total

    across, down = mean_place(ImageKernel(rotation=0, scale=0, translation=0.1, noise=0), centre)
    for places in (across, down):
        assert -0.21 < places.min() < -0.19 and 0.19 < places.max() < 0.21
    assert abs(torch.corrcoef(torch.stack([across, down]))[0, 1]) < 0.06
    across, down = mean_place(ImageKernel(rotation=30, scale=0, translation=0, noise=0), off)
    angles = torch.rad2deg(torch.atan2(down, across))
    assert -30.5 < angles.min() < -29 and 29 < angles.max() < 30.5
    across, down = mean_place(ImageKernel(rotation=0, scale=0.2, translation=0, noise=0), off)
    assert 0.5 / 1.21 < across.min() < 0.5 / 1.18 and 0.5 / 0.82 < across.max() < 0.5 / 0.79


def test_noise_is_added_to_each_view_on_its_own():
    x = pool(torch.zeros(4, 64) + torch.arange(4)[:, None] * 0, ImageKernel(0, 0, 0, 0.3)).views(2_000, 2, generator()).x
    assert x.std().item() == pytest.approx(0.3, rel=0.01)
    assert abs(torch.corrcoef(x.transpose(0, 1).flatten(1))[0, 1]) < 0.01


def test_a_kernel_makes_draws_unlimited_and_the_pool_not_finite():
    flat, square = pool(random_images(), ImageKernel()), pool(random_images().view(6, 8, 8), ImageKernel())
    assert not flat.finite and Pool(random_images(), name="a").finite
    assert flat.shape == square.shape == (8, 8)
    assert (flat.size, flat.input_dim) == (6, 64)
    assert torch.equal(flat.sample(9, generator()).x, square.sample(9, generator()).x)
    assert len(flat.sample(1_000, generator()).x.unique(dim=0)) == 1_000


def test_measuring_draws_a_pool_with_a_kernel_instead_of_cutting_it():
    source = digits()
    pre, fit, test = (draws(source, role, 0, 50, views=2) for role in ("pre", "fit", "test"))
    assert pre.x.shape == fit.x.shape == test.x.shape == (50, 2, 64)
    assert not torch.equal(fit.x, test.x)
    assert torch.equal(fit.x, draws(digits(), "fit", 0, 50, views=2).x)
    cut = draws(Pool(source.x, source.y, name="digits"), "fit", 0, 50)
    assert cut.x.shape == (599, 1, 64)


def test_the_kernel_is_part_of_the_identity():
    images = random_images()
    plain = Pool(images, torch.arange(6) % 2, name="images")
    kernels = [pool(images, kernel) for kernel in (ImageKernel(), ImageKernel(noise=0.1), ImageKernel(rotation=0))]
    everything = [plain, *kernels, *(kernels[0].shift(name, s) for name in ImageKernel.shifts for s in (0.5, 1.0))]
    assert len(set(everything)) == len({fingerprint(one) for one in everything}) == 12
    assert pool(images, ImageKernel()) == kernels[0]
    assert {one.digest for one in everything} == {plain.digest}


def test_shifts_keep_the_content_and_come_one_at_a_time():
    source = pool(random_images())
    moved = source.shift("occlusion", 1.0)
    (x, y), (new, same) = source.sample(200, generator()), moved.sample(200, generator())
    assert torch.equal(y, same)
    assert torch.all((x == new) | (new == 0))
    assert (new == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)
    assert (source.applied, moved.applied) == (Shift(), Shift("occlusion", 1.0, "covariate"))
    with pytest.raises(ValueError, match="already shifted by 'occlusion'"):
        moved.shift("blur", 0.5)
    stated = pool(random_images(), shift=Shift("other scanner", 1.0, "mixed"))
    with pytest.raises(ValueError, match="already shifted by 'other scanner'"):
        stated.shift("blur", 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pool(torch.rand(4, 60)), r"square images .*side \* side"),
        (lambda: pool(torch.rand(4, 8, 6)), "square images"),
        (lambda: pool(torch.rand(4, 2, 8, 8)), "square images"),
        (lambda: pool(torch.zeros(4, 64, dtype=torch.uint8)), "floats"),
        (lambda: pool(torch.rand(4, 64), shift=Shift("blur", 1.0, "covariate")), "applies 'blur' itself"),
        (lambda: ImageKernel(rotation=-1), "rotation is -1"),
        (lambda: ImageKernel(scale=1.0), r"scale is 1.0; allowed: a number in \[0, 1\)"),
        (lambda: ImageKernel(noise=math.inf), "noise is inf"),
        (lambda: ImageKernel(translation=math.nan), "translation is nan"),
        (lambda: Pool(torch.tensor([[0, 1], [2, 3]]), name="a", vocabulary=3), "vocabulary=3"),
        (lambda: Pool(torch.rand(3, 2), name="a", vocabulary=3), "int64"),
    ],
)
def test_what_is_not_allowed_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_pool_of_tokens_states_its_vocabulary():
    tokens = torch.tensor([[0, 1, 2], [2, 2, 1], [0, 0, 0]])
    assert Pool(tokens, name="a", vocabulary=5).vocabulary == 5
    assert Pool(tokens, name="a").vocabulary is None
    assert fingerprint(Pool(tokens, name="a", vocabulary=5)) != fingerprint(Pool(tokens, name="a"))


def test_digits_are_ink_with_the_right_names():
    found = digits()
    assert found.digest == digits(ImageKernel(noise=0)).digest
    assert (found.x.min(), found.x.max()) == (0, 1)
    assert torch.bincount(found.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    (x, y), (new, truth) = found.sample(3_000, generator(1)), found.sample(1_000, generator(2))
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    assert (torch.cdist(new, means).argmin(1) == truth).double().mean() > 0.5  # chance is .1
