"""Glyphs: letters and digits of real typefaces under random affine maps, a real population that can be sampled without end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Generator, Tensor

from interface.core import Estimate, Kind, Shift
from interface.populations._base import Examples, Population
from interface.populations._images import AT_ONCE, CORRUPTIONS, affine, between, corrupted
from interface.populations._images import rendered as rendered_at

NO_SHIFT = Shift()
SIDE, BOX = 16, 40  # pixels: of an example, and of the stored glyph that it is sampled from

# One set of ten an instance: random permutations of a-zA-Z0-9 and of 60 letters without a Latin look-alike.
CLASSES = ("qBuiQIZe07", "kcSxyRlJEs", "3db5rvKaCg", "tWwALU8Gz1", "jMVYOnmhTN", "9fXo2DP64H")
OTHER_SCRIPT = ("љΣэΠдΨχΩδη", "φзΞЧйτвюμщ", "ЦΔαЭθΛђшψΓ", "ЯцεΘбβπБьЗ", "ДњΦЖиγыσξл", "ζλжъяωЮςчИ")
SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
MONO = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique")
SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic")

DOMAINS = ("source", "typeface", "script", "mono")  # as stored; an example is in the source unless a shift moved it


class Domain(NamedTuple):
    """Where the glyphs of one domain are stored, and its ink: mean and standard deviation of a pixel before noise."""

    first: int
    faces: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class Glyphs(Population):
    """Which of ten characters is this? Images of 16 x 16 pixels of four typefaces (DejaVu Sans, plain, bold and oblique).

    An example is a character and a typeface, both uniform, under a random affine map: rotation within ±.25 rad, scale,
    shear within ±.25 and a shift within ±.1 of half the image; scale is the share .7 to .95 of the stored glyph's box
    that is seen. Views add rotation within ±.15, scale within ±7%, a shift within ±.06 and their own pixel noise.
    Pixels are ink (1) on paper (0), normalised by the mean and deviation of the source. The six instances have
    disjoint characters, so that they are six draws of one kind of problem.

    The shifts, at strength s:
        typeface: with probability s an example is set in a serif typeface (DejaVu Serif, STIX).
        mono: with probability s an example is set in a monospaced typeface (DejaVu Sans Mono).
        script: with probability s an example is one of ten Greek or Cyrillic letters, numbered at random.
        rotation: each image is turned by 90 s degrees anticlockwise, after its views' own rotation.
        inversion: pixels become s + (1 - 2 s) ink; 1 is white on black, and at 1/2 every image is blank.
        noise, speckle, occlusion, blur: the image is corrupted, noise included; see `_images.corrupted`.
        random_label: with probability s the label is drawn anew, independently of the image.
        relabelling: the first 10 s classes, at least two, exchange their numbers in a cycle; nothing else changes.
    Domains differ in ink, so other typefaces and scripts are normalised by their own mean and deviation, or their shift
    would be an offset of x before anything else. Rotation leaves the ink as it is. Inversion and corruptions keep the
    source's normalisation: there the offset is the shift. Equal generators give equal content whatever the shift.

    Args:
        index: which of the six instances, 0 to 5.
        noise: standard deviation of the pixel noise, in units of ink.
        applied: the shift that separates this population from its source; made by `shift`.

    Raises:
        ValueError: if index, noise or the name of the applied shift is not allowed, or a second shift is asked for.

    Source: typefaces as shipped by matplotlib (licences beside the data), drawn once by studies/rasterise_glyphs.py.

    Example:
        >>> x, y = Glyphs(0).views(5, 2, torch.Generator().manual_seed(0))
        >>> x.shape, y.shape, Glyphs(0).shift("script", 1.0).applied.kind
        (torch.Size([5, 2, 256]), torch.Size([5]), 'mixed')
    """

    index: int = 0
    noise: float = 0.1
    applied: Shift = NO_SHIFT

    shifts: ClassVar[dict[str, Kind]] = {
        "typeface": "covariate",
        "mono": "covariate",
        **CORRUPTIONS,
        "script": "mixed",
        "rotation": "mixed",
        "inversion": "mixed",
        "random_label": "concept",
        "relabelling": "relabelling",
    }

    def __post_init__(self) -> None:
        if self.index not in range(len(CLASSES)):
            raise ValueError(f"Glyphs: index is {self.index!r}; allowed: 0 to {len(CLASSES) - 1}, one a set of ten characters")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"Glyphs: noise is {self.noise!r}; allowed: a finite number >= 0")
        if self.applied.name not in {"none", *self.shifts}:
            raise ValueError(f"Glyphs: applied is {self.applied!r}; Glyphs knows {', '.join(sorted(self.shifts))}")

    @property
    def instance(self) -> str:
        return f"Glyphs-{self.index}"

    @property
    def input_dim(self) -> int:
        return SIDE**2

    @property
    def shape(self) -> tuple[int, ...]:
        return (SIDE, SIDE)

    @property
    def n_classes(self) -> int:
        return len(CLASSES[0])

    def bayes_risk(self) -> Estimate | None:
        """ln 10 nats where every label is drawn at random; not known elsewhere, since typefaces share shapes."""
        blind = self.applied.name == "random_label" and self.applied.strength == 1
        return Estimate(math.log(self.n_classes), how="exact") if blind else None

    def views(self, n: int, k: int, generator: Generator) -> Examples:
        """n independent examples in k views each: x (n, k, 256) float32, y (n,) int64 in 0..9."""
        glyphs, domains = _alphabet(self.index)
        name, strength = self.applied.name, self.applied.strength
        source, other = domains["source"], domains.get(name, domains["source"])
        turned, inverted = (strength if name == shift else 0.0 for shift in ("rotation", "inversion"))

        # Everything is drawn in every case and in one order: shifts are then compared on equal content.
        shown = torch.randint(self.n_classes, (n,), generator=generator)
        anew = torch.randint(self.n_classes, (n,), generator=generator)
        source_face = torch.randint(source.faces, (n,), generator=generator)
        other_face = torch.randint(other.faces, (n,), generator=generator)
        moved = torch.rand(n, generator=generator) < strength
        y = torch.where(moved, anew, shown) if name == "random_label" else shown
        if name == "relabelling":
            cycled = max(2, round(strength * self.n_classes))
            y = torch.where(y < cycled, (y + 1) % cycled, y)

        from_other = moved & (name in domains)
        face = torch.where(from_other, other.first + other_face * self.n_classes, source.first + source_face * self.n_classes)
        which = (face + shown).repeat_interleave(k)
        poses = example_poses(n, generator).repeat_interleave(k, 0) @ view_poses(n * k, generator, turned * math.pi / 2)
        mean = torch.where(from_other, other.mean, source.mean).repeat_interleave(k)[:, None]
        deviation = torch.where(from_other, self._with_noise(other), self._with_noise(source)).repeat_interleave(k)[:, None]

        x = torch.empty(n * k, self.input_dim)
        for start in range(0, n * k, AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            ink = rendered(glyphs, which[rows], poses[rows])
            if inverted:
                ink = inverted + (1 - 2 * inverted) * ink
            ink.add_(torch.randn(ink.shape, generator=generator), alpha=self.noise)
            x[rows] = ink
        if name in CORRUPTIONS:
            x = corrupted(x, name, strength, generator)
        x.sub_(mean).div_(deviation)
        return Examples(x.view(n, k, self.input_dim), y)

    def _with_noise(self, domain: Domain) -> float:
        return math.hypot(domain.deviation, self.noise)

    def _shifted(self, name: str, strength: float) -> Self:
        if self.applied.name != "none":
            raise ValueError(f"shift: {self.instance} is already shifted by {self.applied.name!r}; shift its source instead")
        return replace(self, applied=Shift(name, strength, self.shifts[name]))


def example_poses(n: int, generator: Generator) -> Tensor:
    """Maps (n, 3, 3) from the image's plane to the stored glyph's, both [-1, 1] from edge to edge: an example's own pose."""
    low = torch.tensor([-0.25, 0.70, -0.25, -0.1, -0.1])
    high = torch.tensor([0.25, 0.95, 0.25, 0.1, 0.1])
    return affine(*between(low, high, n, generator))


def view_poses(n: int, generator: Generator, turn: float = 0.0) -> Tensor:
    """Maps (n, 3, 3) of the plane that make one view of an example; `turn` more radians anticlockwise."""
    low = torch.tensor([-0.15, 0.93, 0.0, -0.06, -0.06])
    high = torch.tensor([0.15, 1.07, 0.0, 0.06, 0.06])
    angle, *rest = between(low, high, n, generator)
    return affine(angle + turn, *rest)


def rendered(glyphs: Tensor, which: Tensor, poses: Tensor) -> Tensor:
    """Ink in [0, 1], (n, 256), of the stored glyphs (m, 1, BOX, BOX) at positions `which` (n,) seen through poses (n, 3, 3)."""
    return rendered_at(glyphs, which, poses, SIDE)


@cache
def _alphabet(index: int) -> tuple[Tensor, dict[str, Domain]]:
    """Stored glyphs (m, 1, BOX, BOX) of one instance, faces by classes in each domain, and the domains by name."""
    with (files("interface.populations") / "data" / "glyphs.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        drawn = {name: stored[name][:, index] for name in DOMAINS}
        ink = {name: stored[f"{name}_ink"][index] for name in drawn}
    domains, first = {}, 0
    for name, glyphs in drawn.items():
        mean, deviation = ink[name].tolist()
        domains[name] = Domain(first, len(glyphs), mean, deviation)
        first += glyphs.shape[0] * glyphs.shape[1]
    stacked = np.concatenate([glyphs.reshape(-1, 1, BOX, BOX) for glyphs in drawn.values()])
    return torch.from_numpy(stacked.astype(np.float32) / 255), domains
