"""read_idx: images and labels in the format of MNIST and Fashion-MNIST as a Pool."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from interface.populations.pool._base import Pool
from interface.populations.pool._files import LARGEST, regular, unreadable
from interface.populations.pool.image_kernel import ImageKernel

BYTE = 8  # the format's code of unsigned bytes, the only type that image sets use


def read_idx(
    images: str | Path,
    labels: str | Path | None = None,
    *,
    side: int | None = None,
    kernel: ImageKernel | None = None,
    name: str | None = None,
) -> Pool:
    """IDX files of square images, plain or gzipped, as ink in [0, 1], (n, side, side); labels 0..C-1.

    Args:
        images: such as `train-images-idx3-ubyte.gz`.
        labels: such as `train-labels-idx1-ubyte.gz`; None where there are none.
        side: pixels in each direction after average pooling; None keeps them all. 14 halves MNIST's 28.
        kernel: makes draws unlimited.
        name: how tables name the data; by default the images' file name up to its first dot.

    Raises:
        ValueError: if a file is not IDX of unsigned bytes, is cut short or too long, or the sizes do not fit.

    Source: the format of LeCun's MNIST page: two zero bytes, type, number of axes, big-endian sizes, values.
    """
    x = _values(images, axes=3)
    if x.shape[1] != x.shape[2]:
        raise unreadable("read_idx", images, f"images of {x.shape[1]} x {x.shape[2]} pixels; allowed: square ones")
    if side is not None and not 1 <= side <= x.shape[1]:
        raise ValueError(f"read_idx: side is {side!r}; allowed: None or an integer from 1 to {x.shape[1]}")
    ink = torch.from_numpy(x).float() / 255
    pooled = ink if side is None else F.adaptive_avg_pool2d(ink[:, None], side)[:, 0]
    y = None if labels is None else _values(labels, axes=1).astype(np.int64)
    return Pool(pooled, y, name=name or Path(images).name.split(".")[0], kernel=kernel)


def _values(path: str | Path, axes: int) -> np.ndarray:
    regular(Path(path), "read_idx")
    try:
        with gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb") as file:
            head = file.read(4 + 4 * axes)
            if head[:4] != bytes((0, 0, BYTE, axes)) or len(head) < 4 + 4 * axes:
                raise ValueError(f"it starts with {head[:4].hex(' ')}; allowed: 00 00 {BYTE:02x} {axes:02x} and {axes} size(s)")
            shape = tuple(np.frombuffer(head, ">u4", offset=4).tolist())
            size = math.prod(shape)
            if not 0 < size <= LARGEST:
                raise ValueError(f"it states the shape {shape}; allowed: 1 to {LARGEST} values")
            values = file.read(size + 1)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise unreadable("read_idx", path, error) from error
    if len(values) != size:
        raise unreadable("read_idx", path, f"it holds {len(values)}{'+' * (len(values) > size)} values and states {size}")
    return np.frombuffer(values, np.uint8).reshape(shape).copy()
