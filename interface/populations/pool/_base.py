"""Pool: the user's own data as a population, known by its content; finite, or without end under a kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor
from torch.utils.data import Dataset, IterableDataset

from interface.core import Kind, Shift
from interface.populations._base import Examples, Population
from interface.populations.pool.image_kernel import ImageKernel
from interface.seeds import rng

NO_SHIFT = Shift()
THIRDS = 3
RENUMBER = "np.unique(y, return_inverse=True)[1]"
# torch holds these types and hardly computes with them
WIDER: dict[type, type] = {np.uint16: np.int32, np.uint32: np.int64, np.uint64: np.int64}


@dataclass(frozen=True, init=False)
class Pool(Population):
    """A data set; conclusions about it are conditional on it. Its identity is a digest of x and y, in their order.

    Without a kernel the pool is finite: `sample` draws from it *with replacement*, so that examples repeat. Where the
    parts of an analysis must not share an example (pretraining loss, fit and test), take `thirds`.

    With a kernel the population is pool x kernel: each draw perturbs an example drawn with replacement, so that draws
    have no end, the views of an example are perturbations of its own, x is flat float32, and the kernel's shifts can be
    applied. Base images are *not* split: all parts of an analysis share them, and an encoder may memorise them.

    The dtype of y decides the loss: integers are classes and log loss, floats are real targets and squared loss.

    Args:
        x: (n, ...) numbers, handed to the encoder in this shape and dtype; or a map-style torch Dataset whose items
            are pairs (x, y) or x alone. It is copied, so that a later change of the caller's array changes nothing here.
        y: (n,) integers 0..C-1, or floats; None where there are no labels (`sample` then gives y of shape (0,)).
        name: how tables name the data; also the instance, since a pool is one draw of its world.
        kernel: makes draws unlimited; x must be square images of floats, (n, side, side) or (n, side * side).
        shift: what separates the pool from the source that it is a target of, stated by the user and not checked.
        vocabulary: number of tokens V where x is token ids 0..V-1.

    Raises:
        ValueError: if x is empty, not numeric or not finite, y does not fit x, classes are not 0..C-1 with C >= 2, x does
            not fit the kernel or the vocabulary, or the stated shift bears the name of one that the kernel applies.

    Example:
        >>> pool = Pool(np.eye(6), [0, 1, 0, 1, 0, 1], name="ward A")
        >>> pool.size, pool.n_classes, pool == Pool(np.eye(6), [0, 1, 0, 1, 0, 1], name="ward A")
        (6, 2, True)
        >>> sorted(len(part.x) for part in pool.thirds(seed=0))
        [2, 2, 2]
    """

    x: Tensor = field(compare=False, repr=False)
    y: Tensor | None = field(compare=False, repr=False)
    name: str
    digest: str
    applied: Shift = NO_SHIFT
    kernel: ImageKernel | None = None
    vocabulary: int | None = None

    shifts: ClassVar[Mapping[str, Kind]] = {}  # an instance with a kernel has the kernel's

    def __init__(
        self,
        x: ArrayLike | Tensor | Dataset[Any],
        y: ArrayLike | Tensor | None = None,
        *,
        name: str,
        kernel: ImageKernel | None = None,
        shift: Shift = NO_SHIFT,
        vocabulary: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"Pool: name is {name!r}; allowed: a text that is not empty, since tables name the data by it")
        if isinstance(x, Dataset):
            if y is not None:
                raise ValueError("Pool: x is a Dataset and y is given too; the Dataset's own pairs (x, y) are used, so leave y out")
            x, y = _stacked(x)
        inputs = _tensor(x, "x")
        labels = None if y is None else _tensor(y, "y")
        _check_inputs(inputs)
        if labels is not None:
            _check_labels(labels, len(inputs))
            labels = labels if labels.is_floating_point() else labels.to(torch.int64)
        if vocabulary is not None:
            _check_tokens(inputs, vocabulary)
        values: dict[str, Any] = {"x": inputs, "y": labels, "name": name, "digest": _digest(inputs, labels), "applied": shift}
        values |= {"kernel": kernel, "vocabulary": vocabulary}
        if kernel is not None:
            kernel.images(inputs)  # or an error
            values |= {"x": inputs.float(), "shifts": kernel.shifts}
            if shift.name in kernel.shifts:
                raise ValueError(f"Pool: shift is {shift!r}; the kernel applies {shift.name!r} itself: Pool(...).shift(...)")
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def instance(self) -> str:
        return self.name

    @property
    def input_dim(self) -> int:
        return self.x[0].numel()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:]) if self.kernel is None else tuple(self.kernel.images(self.x[:1]).shape[2:])

    @property
    def finite(self) -> bool:
        return self.kernel is None

    @property
    def n_classes(self) -> int | None:
        """C for integer labels; None for real targets and where there are no labels."""
        return None if self.y is None or self.y.is_floating_point() else int(self.y.max()) + 1

    @property
    def size(self) -> int:
        """Number of examples in the pool."""
        return len(self.x)

    @property
    def labelled(self) -> bool:
        return self.y is not None

    def views(self, n: int, k: int, generator: Generator) -> Examples:
        """n draws with replacement: x (n, 1, ...), or (n, k, side * side) under a kernel; y (n,), or (0,) without labels.

        Raises:
            ValueError: if k is not 1 and there is no kernel: a pool holds one view of each example.
        """
        rows = torch.randint(self.size, (n,), generator=generator)
        if self.kernel is not None:
            return Examples(self.kernel.draw(self.kernel.images(self.x), rows, k, self.applied, generator), self._labels(rows))
        if k != 1:
            raise ValueError(f"Pool: k is {k}; allowed: 1, since more views of one example need an augmentation kernel")
        return Examples(self.x[rows][:, None], self._labels(rows))

    def thirds(self, seed: int = 0) -> tuple[Examples, Examples, Examples]:
        """Three disjoint random parts of the pool, equal in size to within one: for pretraining loss, fit and test.

        They depend on the content and the seed alone, so that all checkpoints are measured on the same parts.

        Raises:
            ValueError: if the pool holds fewer than three examples.
        """
        if self.size < THIRDS:
            raise ValueError(f"Pool: {self.name!r} holds {self.size} example(s); thirds need at least {THIRDS}")
        order = rng("thirds", self.digest, seed).permutation(self.size)
        parts = [torch.from_numpy(part) for part in np.array_split(order, THIRDS)]
        pre, fit, test = (Examples(self.x[rows], self._labels(rows)) for rows in parts)
        return pre, fit, test

    def shift(self, name: str, strength: float) -> Self:
        """The pool under one of its kernel's shifts; refused without a kernel: nobody but the user can move real data."""
        if self.kernel is None:
            raise ValueError(
                f"shift: name is {name!r}; a Pool knows none. Make a second Pool of the target's examples and state what separates "
                "it: Pool(x, y, name=..., shift=Shift(...))"
            )
        return super().shift(name, strength)

    def _shifted(self, name: str, strength: float) -> Self:
        if self.applied != NO_SHIFT:
            raise ValueError(f"shift: {self.instance} is already shifted by {self.applied.name!r}; shift its source instead")
        moved = copy(self)
        object.__setattr__(moved, "applied", Shift(name, strength, self.shifts[name]))
        return moved

    def _labels(self, rows: Tensor) -> Tensor:
        return torch.empty(0) if self.y is None else self.y[rows]


def _tensor(values: Any, name: str) -> Tensor:
    """A copy as a tensor on the CPU, in its own dtype where torch computes with it."""
    if isinstance(values, Tensor):
        if values.is_complex():
            raise ValueError(f"Pool: {name} is complex; allowed: real numbers")
        return values.detach().cpu().clone()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        advice = "turn text into token numbers first" if name == "x" else f"number the classes: {RENUMBER}"
        raise ValueError(f"Pool: {name} has dtype {array.dtype}; allowed: booleans, integers, floats of up to 64 bits ({advice})")
    return torch.from_numpy(np.array(array, dtype=WIDER.get(array.dtype.type, array.dtype.newbyteorder("="))))


def _stacked(dataset: Dataset[Any]) -> tuple[Tensor, Tensor | None]:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise ValueError(f"Pool: x is a {type(dataset).__name__}, a stream; allowed: a map-style Dataset, which has a length")
    items = [dataset[i] for i in range(len(dataset))]
    if not items:
        raise ValueError("Pool: x is a Dataset without items; allowed: at least one")
    paired = isinstance(items[0], (tuple, list)) and len(items[0]) == 2
    inputs = [_tensor(item[0] if paired else item, "x") for item in items]
    shape = inputs[0].shape
    odd = next((i for i, one in enumerate(inputs) if one.shape != shape), None)
    if odd is not None:
        raise ValueError(f"Pool: x has items of shapes {tuple(shape)} and, item {odd}, {tuple(inputs[odd].shape)}; make them equal")
    return torch.stack(inputs), torch.stack([_tensor(item[1], "y") for item in items]) if paired else None


def _check_inputs(x: Tensor) -> None:
    if x.ndim < 2 or x.numel() == 0:
        raise ValueError(f"Pool: x has shape {tuple(x.shape)}; allowed: (n, d) or (n, ...) with nothing empty")
    finite = torch.isfinite(x).flatten(1).all(1)
    if not finite.all():
        raise ValueError(f"Pool: x holds a value that is not finite (first in row {_first(~finite)}); drop or impute it first")


def _check_tokens(x: Tensor, vocabulary: int) -> None:
    if x.dtype != torch.int64 or x.ndim != 2 or x.min() < 0 or x.max() >= vocabulary:
        got = f"{x.dtype} of shape {tuple(x.shape)} from {x.min().item()} to {x.max().item()}"
        raise ValueError(f"Pool: x is {got}; allowed with vocabulary={vocabulary}: int64 (n, t) in 0..{vocabulary - 1}")


def _check_labels(y: Tensor, n: int) -> None:
    if y.shape != (n,):
        raise ValueError(f"Pool: y has shape {tuple(y.shape)}; allowed: ({n},), one label for each row of x")
    if y.is_floating_point():
        if not torch.isfinite(y).all():
            raise ValueError(f"Pool: y holds a value that is not finite (first in row {_first(~torch.isfinite(y))})")
        return
    if y.min() < 0:
        raise ValueError(f"Pool: y holds {int(y.min())} (first below 0 in row {_first(y < 0)}); allowed: classes 0..C-1, or floats")
    classes = len(np.unique(y.numpy()))
    if classes < 2:
        raise ValueError(f"Pool: y holds {classes} class ({int(y[0])}); allowed: at least 2, or y=None for data without labels")
    if int(y.max()) >= n:
        raise ValueError(f"Pool: y holds {int(y.max())} with only {n} examples; allowed: classes 0..C-1 ({RENUMBER} numbers them)")


def _first(where: Tensor) -> int:
    return int(where.nonzero()[0])


def _digest(x: Tensor, y: Tensor | None) -> str:
    content = hashlib.sha256()
    for values in (x, y):
        if values is None:
            content.update(b"none")
            continue
        content.update(f"{values.dtype}{tuple(values.shape)}".encode())
        content.update(values.contiguous().view(torch.uint8).numpy().data)
    return content.hexdigest()[:16]
