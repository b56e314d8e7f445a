"""read_texts: a folder of text files as a Pool of byte sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from interface.populations.pool._base import Pool
from interface.populations.pool._files import LARGEST, listed, unreadable

BYTES = 256


def read_texts(folder: str | Path, *, length: int = 64, suffix: str = ".txt", name: str | None = None) -> Pool:
    """Consecutive windows of `length` bytes of the folder's texts, (n, length) int64 in 0..255; classes are its subfolders.

    Windows do not overlap and what is left at the end of a file is dropped. Windows of one file stand in different thirds
    of the pool, so that a third is not a fresh set of files.

    Args:
        folder: subfolders of text files, in alphabetical order the classes, or text files alone, then without labels.
        length: bytes of a window, >= 1.
        suffix: of the files that are read.
        name: how tables name the data; by default the folder's name.

    Raises:
        ValueError: if the folder is missing, empty or mixed, a link leads out of it, or no file holds a window of a class.
    """
    if length < 1:
        raise ValueError(f"read_texts: length is {length!r}; allowed: an integer >= 1")
    classes = listed(folder, (suffix.lower(),), "read_texts")
    windows: list[np.ndarray] = []
    sizes = []
    total = sum(path.stat().st_size for paths in classes.values() for path in paths)
    if total > LARGEST // 8:  # each byte becomes an int64
        raise ValueError(f"read_texts: {folder} holds {total} bytes; allowed: at most {LARGEST // 8}")
    for of_class, paths in classes.items():
        before = len(windows)
        for path in paths:
            try:
                text = np.frombuffer(path.read_bytes(), np.uint8)
            except OSError as error:
                raise unreadable("read_texts", path, error) from error
            windows += list(text[: len(text) // length * length].reshape(-1, length))
        sizes.append(len(windows) - before)
        if not sizes[-1]:
            raise ValueError(f"read_texts: no file of {Path(folder) / (of_class or '')} holds {length} bytes; take a smaller one")
    y = None if None in classes else np.repeat(np.arange(len(classes)), sizes)
    x = np.stack(windows).astype(np.int64)
    return Pool(x, y, name=name or Path(folder).resolve().name, vocabulary=BYTES)
