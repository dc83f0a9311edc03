"""Values that travel between processes by the thousand: launches to the pools' hosts, and their reports back.

Ray pickles what actors tell each other. A frozen dataclass with slots is pickled by two Python functions that walk its
fields; as a call of its class with the fields in order it costs half of that to write and a third to read.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type[Any])


def pickled_by_values(kind: Kind) -> Kind:
    """A class decorator for dataclasses of at least two fields, all of which `__init__` takes. Raises TypeError for others."""
    taken = fields(kind)
    if len(taken) < 2 or not all(field.init and not field.kw_only for field in taken):
        raise TypeError(
            f"{kind.__name__} has fields that its __init__ does not take in their order: pickle it as it is"
        )
    values = attrgetter(*(field.name for field in taken))

    def reduce(self: Any) -> tuple[Any, tuple[Any, ...]]:
        return kind, values(self)

    kind.__reduce__ = reduce  # type: ignore[assignment]  # set on the class, as a decorator does
    return kind
