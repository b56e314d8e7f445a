"""Draws the characters of `interface.populations.Glyphs` from matplotlib's typefaces and stores them in the package.

Run once: `python studies/rasterise_glyphs.py`. Another version of FreeType may move single pixels, and with them every
number measured on glyphs, so the stored file is part of the package and a test holds its digest.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.ft2font import FT2Font

from interface.populations.glyphs import BOX, CLASSES, MONO, OTHER_SCRIPT, SANS, SERIF, example_poses, rendered, view_poses
from interface.seeds import generator

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
DATA = Path(__file__).resolve().parents[1] / "interface" / "populations" / "data"
DOMAINS = {"source": (SANS, CLASSES), "typeface": (SERIF, CLASSES), "script": (SANS, OTHER_SCRIPT), "mono": (MONO, CLASSES)}
POINTS, DOTS_PER_INCH = 24, 72
DRAWS = 200_000  # the mean of a pixel is then known to 2e-4


def glyph(font: FT2Font, character: str) -> np.ndarray:
    """Ink 0..255 of one character, (BOX, BOX) uint8, its bounding box in the middle.

    Raises:
        ValueError: if the typeface lacks the character or the box is too small for it.
    """
    if not font.get_char_index(ord(character)):
        raise ValueError(f"{font.postscript_name} has no character {character!r}")
    font.set_text(character, 0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    page = np.asarray(font.get_image())
    rows, columns = np.flatnonzero(page.any(1)), np.flatnonzero(page.any(0))
    ink = page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if max(ink.shape) > BOX:
        raise ValueError(f"{character!r} of {font.postscript_name} takes {ink.shape} pixels; BOX is {BOX}")
    box = np.zeros((BOX, BOX), np.uint8)
    top, left = (BOX - ink.shape[0]) // 2, (BOX - ink.shape[1]) // 2
    box[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return box


def drawn(faces: tuple[str, ...], sets: tuple[str, ...]) -> np.ndarray:
    """(faces, instances, classes, BOX, BOX) uint8."""
    fonts = [FT2Font(str(FONTS / f"{face}.ttf")) for face in faces]
    for font in fonts:
        font.set_size(POINTS, DOTS_PER_INCH)
    return np.stack([[[glyph(font, character) for character in characters] for characters in sets] for font in fonts])


def ink_of(glyphs: np.ndarray, *key: str | int) -> tuple[float, float]:
    """Mean and standard deviation of a pixel before noise, over random poses of glyphs (faces, classes, BOX, BOX)."""
    masters = torch.from_numpy(glyphs.reshape(-1, 1, BOX, BOX).astype(np.float32) / 255)
    draw, total, square = generator("ink", *key), 0.0, 0.0
    for _ in range(DRAWS // 2000):
        which = torch.randint(len(masters), (2000,), generator=draw)
        ink = rendered(masters, which, example_poses(2000, draw) @ view_poses(2000, draw)).double()
        total, square = total + ink.mean().item(), square + ink.square().mean().item()
    mean = total / (DRAWS // 2000)
    return mean, (square / (DRAWS // 2000) - mean**2) ** 0.5


def main() -> None:
    arrays: dict[str, Any] = {}
    for name, (faces, sets) in DOMAINS.items():
        arrays[name] = drawn(faces, sets)
        arrays[f"{name}_ink"] = np.array([ink_of(arrays[name][:, index], name, index) for index in range(len(sets))])
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(DATA / "glyphs.npz", **arrays)
    for licence in ("LICENSE_DEJAVU", "LICENSE_STIX"):
        shutil.copyfile(FONTS / licence, DATA / licence)


if __name__ == "__main__":
    main()
