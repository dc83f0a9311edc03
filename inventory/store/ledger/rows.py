"""A ledger row as stored: what one sender says of one system, as JSON values.

The intake turns parsed systems into rows and compares them; the fold merges rows of several senders; queries turn
what stands back into `System`. A field that is unknown is absent, so that None is never mistaken for a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from enum import StrEnum
from typing import Any

from inventory.model.system import (
    AcceleratorDemand,
    Architecture,
    Disposition,
    Ownership,
    System,
    Zone,
)

Fields = dict[str, Any]

# Where a row stands in the sender's file. It is stored beside the fields: a row that only moved has not changed.
LOCATION = ("sheet", "row")
# The parser's suspicion travels with the row, so that a file that raises or drops it shows as a change.
SUSPICION = "possible_duplicate_of"
# Fields that mean something only together with another one: they change hands with it.
FOLLOWS = {"golive_precision": "golive"}

FIELD_NAMES = tuple(field.name for field in dataclass_fields(System) if field.name not in LOCATION)
_ENUMS: Mapping[str, type[StrEnum]] = {
    "ownership": Ownership,
    "zone": Zone,
    "arch": Architecture,
    "disposition": Disposition,
}


def fields_of(system: System, suspected_of: str | None = None) -> Fields:
    """The known fields of a parsed system, without its location. `suspected_of` is the system it may repeat."""
    found: Fields = {}
    for name in FIELD_NAMES:
        value = getattr(system, name)
        if value is None or value == ():
            continue
        if name == "deps":
            value = list(value)
        elif name == "gpu":
            value = {"model": value.model, "count": value.count}
        elif name in _ENUMS:
            value = str(value)
        found[name] = value
    if suspected_of is not None:
        found[SUSPICION] = suspected_of
    return found


def system_of(fields: Mapping[str, Any], sheet: str, row: int) -> System:
    """The system that these fields describe. Inverse of `fields_of`."""
    values = {name: value for name, value in fields.items() if name != SUSPICION}
    for name, kind in _ENUMS.items():
        if name in values:
            values[name] = kind(values[name])
    values["deps"] = tuple(values.get("deps", ()))
    if "gpu" in values:
        values["gpu"] = AcceleratorDemand(values["gpu"]["model"], values["gpu"]["count"])
    values.setdefault("department", None)
    values.setdefault("ownership", None)
    return System(sheet=sheet, row=row, **values)
