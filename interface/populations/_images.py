"""What populations of images share: affine views of stored images, and corruptions by a dial."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from interface.core import Kind

AT_ONCE = 512  # images rendered together: their working set stays in the processor's cache

NOISE = 0.5  # at strength 1: standard deviation of added noise, in units of ink
OCCLUDED = 0.5  # at strength 1: side of the hidden square over the image's side
BLUR = 0.125  # at strength 1: standard deviation of the blur over the image's side

CORRUPTIONS: dict[str, Kind] = {"noise": "covariate", "speckle": "covariate", "occlusion": "covariate", "blur": "covariate"}


def corrupted(x: Tensor, name: str, strength: float, generator: Generator) -> Tensor:
    """Square images x (n, side * side), ink on paper of value 0, under one of `CORRUPTIONS`; each draws its own randomness.

    noise: normal noise of standard deviation .5 s is added.
    speckle: ink is multiplied by 1 + s (e - 1), e standard exponential: mean 1, variance s^2; at s = 1 the gamma law of
        single-look radar intensity (Goodman 1976, https://doi.org/10.1364/JOSA.66.001145).
    occlusion: a square of side .5 s times the image's, uniform among the places where it fits, turns to paper.
    blur: convolution with a Gaussian of standard deviation s / 8 of the side, paper outside of the image.
    """
    side = round(x.shape[1] ** 0.5)
    if name == "noise":
        return x + NOISE * strength * torch.randn(x.shape, generator=generator)
    if name == "speckle":
        return x * (1 + strength * (torch.empty_like(x).exponential_(generator=generator) - 1))
    places = torch.arange(side) + 0.5
    if name == "occlusion":
        width = OCCLUDED * strength * side
        start = (side - width) * torch.rand(2, len(x), 1, generator=generator)
        down, across = (start <= places) & (places < start + width)  # (n, side) each
        return x.masked_fill((down[:, :, None] & across[:, None, :]).flatten(1), 0.0)
    assert name == "blur", name
    weights = torch.exp(-0.5 * ((places[:, None] - places) / (BLUR * strength * side)) ** 2)
    weights /= weights[side // 2].sum()
    return (weights @ x.view(-1, side, side) @ weights).flatten(1)


def rendered(images: Tensor, which: Tensor, poses: Tensor, side: int) -> Tensor:
    """Ink, (n, side * side), of stored images (m, 1, h, w) at positions `which` (n,) seen through poses (n, 3, 3).

    Bilinear between stored pixels, paper (0) outside of them. Poses map the plane of the picture to that of the stored
    image, both [-1, 1] from edge to edge.
    """
    centres = (2 * torch.arange(side) + 1) / side - 1
    row, column = torch.meshgrid(centres, centres, indexing="ij")
    pixels = torch.stack([column.flatten(), row.flatten(), torch.ones(side**2)])  # (3, side^2)
    seen = (poses[:, :2].reshape(-1, 3) @ pixels).view(-1, 2, side, side).permute(0, 2, 3, 1)
    return F.grid_sample(images.index_select(0, which), seen, align_corners=False).flatten(1)


def between(low: Tensor, high: Tensor, n: int, generator: Generator) -> Tensor:
    """Uniform draws (5, n) between low (5,) and high (5,): angle, scale, shear and the two shifts."""
    return torch.lerp(low[:, None], high[:, None], torch.rand(len(low), n, generator=generator))


def affine(angle: Tensor, scale: Tensor, shear: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Poses (n, 3, 3) from parameters (n,) each."""
    cos, sin, zero, one = scale * angle.cos(), scale * angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, shear - sin, right, sin, cos, down, zero, zero, one], -1).view(-1, 3, 3)
