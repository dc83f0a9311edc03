"""A changed copy of a value, made quickly: the book changes the state of a workload or run at every event.

`dataclasses.replace` runs `__init__`, which sets each of twenty fields through a check that frozen classes have; this copies
slots. The result is the same for classes that compute nothing when they are made, and only those are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

Value = TypeVar("Value")
_Slots = tuple[tuple[Callable[[Any], Any], Callable[[Any, Any], None]], ...]


def evolve(value: Value, **changes: object) -> Value:
    """`dataclasses.replace` for a frozen dataclass with slots and without `__post_init__`. Raises TypeError for another
    class, KeyError for a field that it has not."""
    kind: Any = type(value)
    slots, setters = _slots_of(kind)
    made: Value = object.__new__(kind)
    for read, write in slots:
        write(made, read(value))
    for name, change in changes.items():
        setters[name](made, change)
    return made


@cache
def _slots_of(kind: Any) -> tuple[_Slots, dict[str, Callable[[Any, Any], None]]]:
    if hasattr(kind, "__post_init__") or not hasattr(kind, "__slots__"):
        raise TypeError(
            f"{kind.__name__} computes something when it is made, or has no slots: use dataclasses.replace"
        )
    descriptors = {field.name: getattr(kind, field.name) for field in fields(kind)}
    reading = tuple((one.__get__, one.__set__) for one in descriptors.values())
    return reading, {name: one.__set__ for name, one in descriptors.items()}
