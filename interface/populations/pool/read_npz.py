"""read_npz: arrays of an .npz file as a Pool."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from interface.populations.pool._base import Pool
from interface.populations.pool._files import LARGEST, regular, unreadable
from interface.populations.pool.image_kernel import ImageKernel


def read_npz(
    path: str | Path, *, x: str = "x", y: str | None = "y", kernel: ImageKernel | None = None, name: str | None = None
) -> Pool:
    """Two arrays of an .npz file; pickled objects are never loaded.

    Args:
        path: the file.
        x, y: names of the arrays; y None where there are no labels.
        kernel: makes draws of square images unlimited.
        name: how tables name the data; by default the file's name without its suffix.

    Raises:
        ValueError: if the file cannot be read, lacks an array, holds objects, or is too large.
    """
    regular(Path(path), "read_npz")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"{size} bytes once unpacked; allowed: at most {LARGEST}")
        with np.load(path, allow_pickle=False) as stored:
            missing = [key for key in (x, y) if key is not None and key not in stored.files]
            if missing:
                raise ValueError(f"no array {missing[0]!r}; it holds {', '.join(stored.files) or 'none'}")
            inputs, labels = stored[x], None if y is None else stored[y]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise unreadable("read_npz", path, error) from error
    return Pool(inputs, labels, name=name or Path(path).stem, kernel=kernel)
