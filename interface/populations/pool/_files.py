"""What the readers of files share: which files may be read, classes by subfolder, and how an image becomes pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

LARGEST = 2 * 2**30  # bytes of data in one pool
MOST_PIXELS = 2**26  # of an image as stored


def listed(folder: str | Path, suffixes: tuple[str, ...], reader: str) -> dict[str | None, list[Path]]:
    """Files with these suffixes by subfolder, or all of the folder under None where it has no subfolders; names sorted.

    Hidden files and folders are left out; deeper folders are not searched.

    Raises:
        ValueError: if there is no such folder or file, files stand beside subfolders, a subfolder has none, or a link leads out.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"{reader}: folder is {str(root)!r}; allowed: a folder that exists")

    def wanted(place: Path) -> list[Path]:
        shown = (path for path in sorted(place.iterdir()) if not path.name.startswith(".") and path.suffix.lower() in suffixes)
        return [regular(inside(path, root, reader), reader) for path in shown if not path.is_dir()]

    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    direct = wanted(root)
    if direct and folders:
        raise ValueError(
            f"{reader}: {root} holds files ({direct[0].name}) beside folders ({folders[0].name}); allowed: one of them"
        )
    found: dict[str | None, list[Path]] = (
        {path.name: wanted(inside(path, root, reader)) for path in folders} if folders else {None: direct}
    )
    for name, paths in found.items():
        if not paths:
            raise ValueError(f"{reader}: {root / (name or '')} holds no file that ends in {', '.join(suffixes)}")
    return found


def inside(path: Path, root: Path, reader: str) -> Path:
    """The path itself, if it stays in the folder once links are followed."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{reader}: {path} leads out of {root}; allowed: files inside of the folder")
    return path


def regular(path: Path, reader: str) -> Path:
    """The path itself, if a file is there: neither nothing, nor a pipe that would never end."""
    if not path.is_file():
        raise unreadable(reader, path, "there is no such file")
    return path


def unreadable(reader: str, path: str | Path, error: Exception | str) -> ValueError:
    """The one error for a file that cannot be read or does not hold what it should."""
    return ValueError(f"{reader}: {path} cannot be read: {error}")


def pixels(source: Path | bytes, side: int, reader: str, name: str | Path) -> np.ndarray:
    """Luminance in [0, 1], (side, side) float32: the middle square of an image, averaged down or interpolated up.

    Raises:
        ValueError: if the image cannot be read or is too large.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=("PNG", "PPM", "JPEG")) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"{width} x {height} pixels; allowed: at most {MOST_PIXELS}")
            edge = min(width, height)
            left, top = (width - edge) // 2, (height - edge) // 2
            square = image.convert("L").crop((left, top, left + edge, top + edge))
            shown = square.resize((side, side), Image.Resampling.BOX if edge >= side else Image.Resampling.BILINEAR)
            return np.asarray(shown, np.float32) / 255
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow raises on malformed files
        raise unreadable(reader, name, error) from error
