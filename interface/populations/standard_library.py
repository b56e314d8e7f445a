"""StandardLibrary: windows of Python's own source code or of its docstrings, a real population of byte sequences."""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Generator, Tensor

from interface.core import Kind, Shift
from interface.populations._base import Examples, Population

NO_SHIFT = Shift()
Domain = Literal["code", "prose"]
Part = Literal["pretraining", "evaluation"]

# Packages that every Python since 3.11 has; the first six hold 13 to 33 files each, the others 3 to 7
PACKAGES = ("asyncio", "email", "importlib", "multiprocessing", "unittest", "xml")
OTHER_PACKAGES = ("concurrent", "http", "json", "logging", "urllib", "wsgiref")
VOCABULARY = 128
NOT_ASCII = 127  # the token of every byte above 126
LARGEST = 8_000_000  # bytes of source in all
TRIPLE_QUOTED = re.compile(rb"(^[ \t]*)?[rRbBuUfF]{0,2}(\"\"\"|''')(.*?)\2", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class StandardLibrary(Population):
    """Which of six packages is this from? Windows of `length` bytes of the running Python's standard library.

    An example is a package, uniform, one of its files, in proportion to its windows, and a uniform place in it; views are
    windows within `length` bytes of that place, inside of the file. "prose" is the text of triple-quoted strings that start
    a line, which are docstrings in all but rare cases; "code" is what is left of the file. x holds ASCII codes, bytes above
    126 as 127.

    Files are split in two of about equal size, and both domains by the same files, because docstrings repeat the source:
    pretrain on `part="pretraining"` and adapt to `part="evaluation"`. Within a part draws are with replacement, so what is
    measured is conditional on its files. Libraries differ between Python versions: `corpus`, a digest of all files, is a
    field of the record, so that it stands in every row, and a record made on another library is refused.

    The shifts, at strength s:
        domain: with probability s an example is from the other domain.
        library: with probability s an example is from one of six other packages, numbered at random.

    Args:
        domain: "code" or "prose".
        part: which files.
        length: bytes of a window.
        corpus: digest of the library; leave it out, it is filled in.
        applied: the shift that separates this population from its source; made by `shift`.

    Raises:
        ValueError: if an argument is not allowed, the library is not the one of `corpus` or lacks files, or a second shift
            is asked for.

    Example:
        >>> x, y = StandardLibrary(length=48).views(5, 2, torch.Generator().manual_seed(0))
        >>> x.shape, x.dtype, StandardLibrary().vocabulary, StandardLibrary().shift("library", 1.0).applied.kind
        (torch.Size([5, 2, 48]), torch.int64, 128, 'mixed')
    """

    domain: Domain = "code"
    part: Part = "pretraining"
    length: int = 64
    corpus: str = ""
    applied: Shift = NO_SHIFT

    shifts: ClassVar[Mapping[str, Kind]] = MappingProxyType({"domain": "covariate", "library": "mixed"})

    def __post_init__(self) -> None:
        if self.domain not in ("code", "prose"):
            raise ValueError(f"StandardLibrary: domain is {self.domain!r}; allowed: 'code', 'prose'")
        if self.part not in ("pretraining", "evaluation"):
            raise ValueError(f"StandardLibrary: part is {self.part!r}; allowed: 'pretraining', 'evaluation'")
        if self.length < 1:
            raise ValueError(f"StandardLibrary: length is {self.length!r}; allowed: an integer >= 1")
        if self.applied.name not in {"none", *self.shifts}:
            raise ValueError(f"StandardLibrary: applied is {self.applied!r}; it knows {', '.join(sorted(self.shifts))}")
        here = _library().digest
        if self.corpus not in ("", here):
            raise ValueError(f"StandardLibrary: corpus is {self.corpus!r}; this Python's library is {here!r}, do not mix the two")
        object.__setattr__(self, "corpus", here)
        self._sources()  # or an error

    @property
    def instance(self) -> str:
        return f"StandardLibrary-{self.domain}"

    @property
    def input_dim(self) -> int:
        return self.length

    @property
    def vocabulary(self) -> int:
        return VOCABULARY

    @property
    def n_classes(self) -> int:
        return len(PACKAGES)

    def views(self, n: int, k: int, generator: Generator) -> Examples:
        """n independent draws of a file in k windows each: x (n, k, length) int64 in 0..127, y (n,) int64 in 0..5."""
        y = torch.randint(self.n_classes, (n,), generator=generator)
        place, moved = torch.rand(2, n, dtype=torch.float64, generator=generator)
        near = torch.randint(-self.length, self.length + 1, (n, k), generator=generator)
        source, other = self._sources()
        x = source.at(y, place, near)
        if self.applied.name != "none":
            x = torch.where((moved < self.applied.strength)[:, None, None], other.at(y, place, near), x)
        return Examples(x, y)

    def _sources(self) -> tuple[_Windows, _Windows]:
        """Windows of the population itself, and of where the applied shift takes examples to."""
        domain, packages = self.domain, PACKAGES
        if self.applied.name == "domain":
            domain = "prose" if self.domain == "code" else "code"
        elif self.applied.name == "library":
            packages = OTHER_PACKAGES
        source, other = (_windows(*key, self.part, self.length) for key in ((self.domain, PACKAGES), (domain, packages)))
        return source, other

    def _shifted(self, name: str, strength: float) -> Self:
        if self.applied.name != "none":
            raise ValueError(f"shift: {self.instance} is already shifted by {self.applied.name!r}; shift its source instead")
        return replace(self, applied=Shift(name, strength, self.shifts[name]))


class _Library(NamedTuple):
    digest: str
    texts: dict[tuple[str, str, str], list[bytes]]  # by domain, package and part


class _Windows(NamedTuple):
    """All windows of one domain and part, file after file, package after package."""

    text: Tensor  # (bytes,) int64
    start: Tensor  # (files,) first byte of each
    windows: Tensor  # (files,) how many begin in it
    before: Tensor  # (packages + 1,) windows before each package
    length: int

    def at(self, package: Tensor, place: Tensor, near: Tensor) -> Tensor:
        """Windows (n, k, length) `near` bytes (n, k) from a place, which a uniform (n,) gives, in a package (n,)."""
        chosen = self.before[package] + (place * (self.before[package + 1] - self.before[package])).long()
        ends = self.windows.cumsum(0)
        file = torch.searchsorted(ends, chosen, right=True)
        last = self.windows[file] - 1
        begin = chosen - ends[file] + last + 1
        first = self.start[file][:, None] + (begin[:, None] + near).clamp_min(0).minimum(last[:, None])
        return self.text[first[..., None] + torch.arange(self.length)]


@cache
def _windows(domain: str, packages: tuple[str, ...], part: str, length: int) -> _Windows:
    by_package = [[text for text in _library().texts[domain, name, part] if len(text) >= length] for name in packages]
    for name, texts in zip(packages, by_package, strict=True):
        if not texts:
            raise ValueError(f"StandardLibrary: no {part} file of {name} holds {length} bytes of {domain}; take a smaller length")
    sizes = torch.tensor([len(text) for texts in by_package for text in texts])
    windows = sizes - length + 1
    ends = torch.tensor([len(texts) for texts in by_package]).cumsum(0)
    before = torch.cat([torch.zeros(1, dtype=torch.int64), windows.cumsum(0)[ends - 1]])
    codes = np.frombuffer(b"".join(text for texts in by_package for text in texts), np.uint8)
    text = torch.from_numpy(np.minimum(codes, NOT_ASCII).astype(np.int64))
    return _Windows(text, sizes.cumsum(0) - sizes, windows, before, length)


@cache
def _library() -> _Library:
    """All texts of the running Python's library, split; read once a process."""
    root = Path(sysconfig.get_path("stdlib"))
    content, total = hashlib.sha256(), 0
    texts: dict[tuple[str, str, str], list[bytes]] = {}
    for package in PACKAGES + OTHER_PACKAGES:
        sources: list[tuple[str, bytes]] = []
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if path.is_symlink() or {"test", "tests"} & set(name.split("/")):
                continue
            source = path.read_bytes().replace(b"\r\n", b"\n")
            total += len(source)
            if total > LARGEST:
                raise ValueError(f"StandardLibrary: {root} holds over {LARGEST} bytes up to {package}: not a standard library")
            content.update(f"{name}\0{len(source)}\0".encode() + source)
            sources.append((name, source))
        if len(sources) < 2:
            raise ValueError(f"StandardLibrary: {root / package} has {len(sources)} source file(s); a full Python is needed")
        # in turn, by falling size: parts of about equal size that depend on the library alone
        for rank, (_, source) in enumerate(sorted(sources, key=lambda one: (-len(one[1]), one[0]))):
            part = "evaluation" if rank % 2 else "pretraining"
            prose = b"\n".join(match[3] for match in TRIPLE_QUOTED.finditer(source) if match[1] is not None)
            code = TRIPLE_QUOTED.sub(lambda match: match[0] if match[1] is None else b"", source)
            texts.setdefault(("code", package, part), []).append(code)
            texts.setdefault(("prose", package, part), []).append(prose)
    return _Library(content.hexdigest()[:16], texts)
