"""Frozen records from their specification, the inverse of `core.specification`: only known kinds, and nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any, get_args

from interface.core import Kind, Shift


def kinds_of(*packages: ModuleType) -> dict[str, type]:
    """The frozen records that packages export, by class name."""
    exported = (thing for package in packages for name, thing in vars(package).items() if not name.startswith("_"))
    found = (thing for thing in exported if isinstance(thing, type) and is_dataclass(thing))
    return {thing.__name__: thing for thing in found if thing.__dataclass_params__.frozen}  # type: ignore[attr-defined]


def from_specification(content: Any, kinds: Mapping[str, type]) -> Any:
    """The record that a specification describes. Lists become tuples, since records are hashable.

    Args:
        content: what `core.specification` gave: plain JSON values.
        kinds: the classes that may be built, by name.

    Raises:
        ValueError: if a kind or a field is unknown, or a record refuses its values; the place is named.

    Example:
        >>> from interface.core import specification
        >>> shift = Shift("rotation", 1.0, "mixed")
        >>> from_specification(specification(shift), {}) == shift
        True
    """
    return _decoded(content, kinds, "specification")


def _decoded(content: Any, kinds: Mapping[str, type], place: str) -> Any:
    if content is None or isinstance(content, (bool, int, float, str)):
        return content
    if isinstance(content, list):
        return tuple(_decoded(item, kinds, f"{place}[{index}]") for index, item in enumerate(content))
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise ValueError(f"{place} is neither a plain value nor a record with a kind")
    cls, given = _class_of(content, kinds, place)
    allowed = [field.name for field in fields(cls) if field.init]
    if unknown := sorted(set(given) - set(allowed)):
        raise ValueError(f"{place}: {cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(allowed)}")
    values = {name: _decoded(value, kinds, f"{place}.{name}") for name, value in given.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError, AttributeError) as fault:  # wrong types and values, as the record itself finds them
        raise ValueError(f"{place}: no {cls.__name__} can be made of it: {fault}") from fault


def _class_of(content: dict[str, Any], kinds: Mapping[str, type], place: str) -> tuple[type, dict[str, Any]]:
    """The class, and the fields. A shift's own field `kind` takes the place of its class name."""
    kind = content["kind"]
    if kind in get_args(Kind):
        return Shift, content
    given = {name: value for name, value in content.items() if name != "kind"}
    if kind == Shift.__name__:
        return Shift, given
    if kind not in kinds:
        raise ValueError(f"{place} is of kind {kind!r}; known: {', '.join(sorted(kinds))}")
    return kinds[kind], given
