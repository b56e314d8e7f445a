"""ImageKernel: the random changes of pose and pixels that turn a finite set of images into a population without end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Generator, Tensor

from interface.core import Kind, Shift
from interface.populations._images import AT_ONCE, CORRUPTIONS, affine, between, corrupted, rendered


@dataclass(frozen=True)
class ImageKernel:
    """p(x | base image): a random affine map of a square image, then normal noise on each pixel.

    Angle, scale and both translations are uniform between minus and plus their range. The image is paper of value 0
    outside of its edges, so images that have another background should be given as their difference from it.

    Args:
        rotation: range of the angle, degrees.
        scale: range of the scale around 1, in [0, 1).
        translation: range of the shift in each direction, as a share of the side.
        noise: standard deviation of the noise, in the images' own unit.

    Raises:
        ValueError: if a range is not finite and >= 0, or scale is not below 1.

    Example:
        >>> still = ImageKernel(rotation=0, scale=0, translation=0, noise=0)
        >>> images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> drawn = still.draw(images, torch.tensor([2]), 2, Shift(), torch.Generator())
        >>> drawn.shape, torch.allclose(drawn[0, 1], images[2].flatten(), atol=1e-6)
        (torch.Size([1, 2, 64]), True)
    """

    rotation: float = 20.0
    scale: float = 0.12
    translation: float = 0.1
    noise: float = 0.08

    shifts: ClassVar[Mapping[str, Kind]] = MappingProxyType(CORRUPTIONS)

    def __post_init__(self) -> None:
        for name in ("rotation", "scale", "translation", "noise"):
            value = getattr(self, name)
            if not 0 <= value < math.inf or (name == "scale" and value >= 1):
                allowed = "a number in [0, 1)" if name == "scale" else "a finite number >= 0"
                raise ValueError(f"ImageKernel: {name} is {value!r}; allowed: {allowed}")

    def images(self, x: Tensor) -> Tensor:
        """The base images (n, 1, side, side) in float32.

        Args:
            x: (n, side, side) or flattened (n, side * side), floats.

        Raises:
            ValueError: if these are not square images of floats.
        """
        side = math.isqrt(x[0].numel())
        if tuple(x.shape[1:]) not in {(side, side), (side**2,)} or not x.is_floating_point():
            got = f"{x.dtype} of shape {tuple(x.shape)}"
            raise ValueError(f"Pool: x is {got}; a kernel needs square images of floats, (n, side, side) or (n, side * side)")
        return x.reshape(-1, 1, side, side).float()

    def draw(self, images: Tensor, rows: Tensor, k: int, shift: Shift, generator: Generator) -> Tensor:
        """k independent perturbations of images[rows] under a shift: (n, k, side * side); equal content whatever the shift.

        Args:
            images: (m, 1, side, side) base images.
            rows: (n,) which of them.
            k: perturbations of each.
            shift: one of `shifts`; any other name leaves the images alone.
            generator: of everything random.
        """
        side = images.shape[-1]
        which = rows.repeat_interleave(k)
        reach = torch.tensor([math.radians(self.rotation), self.scale, 0.0, 2 * self.translation, 2 * self.translation])
        middle = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
        poses = affine(*between(middle - reach, middle + reach, len(which), generator))
        x = torch.empty(len(which), side**2)
        for start in range(0, len(which), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            ink = rendered(images, which[part], poses[part], side)
            x[part] = ink.add_(torch.randn(ink.shape, generator=generator), alpha=self.noise)
        if shift.name in self.shifts:
            x = corrupted(x, shift.name, shift.strength, generator)
        return x.view(-1, k, side**2)
