"""read_images: a folder of images, one subfolder a class, as a Pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interface.populations.pool._base import Pool
from interface.populations.pool._files import listed, pixels
from interface.populations.pool.image_kernel import ImageKernel

SUFFIXES = (".png", ".pgm", ".ppm", ".jpg", ".jpeg")


def read_images(folder: str | Path, *, side: int = 16, kernel: ImageKernel | None = None, name: str | None = None) -> Pool:
    """The images of a folder as luminance in [0, 1], (n, side, side); classes are its subfolders, in alphabetical order.

    Of each image the middle square is taken and averaged to side x side pixels. Without subfolders there are no labels.

    Args:
        folder: subfolders of PNG, PGM, PPM or JPEG files, or such files alone.
        side: pixels in each direction, >= 1.
        kernel: makes draws unlimited; it takes 0 for paper, so images on white want `1 - x` first.
        name: how tables name the data; by default the folder's name.

    Raises:
        ValueError: if the folder is missing, empty or mixed, a link leads out of it, or a file is not an image.
    """
    if side < 1:
        raise ValueError(f"read_images: side is {side!r}; allowed: an integer >= 1")
    classes = listed(folder, SUFFIXES, "read_images")
    x = np.stack([pixels(path, side, "read_images", path) for paths in classes.values() for path in paths])
    y = np.repeat(np.arange(len(classes)), [len(paths) for paths in classes.values()])
    return Pool(x, None if None in classes else y, name=name or Path(folder).resolve().name, kernel=kernel)
