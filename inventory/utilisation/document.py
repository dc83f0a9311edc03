"""A measurement as JSON values and back: how it travels in events and documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from inventory.utilisation.measurement import Measurement, Spread


def measurement_json(found: Measurement) -> dict[str, Any]:
    """Days as ISO text; unknown values are absent."""
    values = {name: value for name, value in asdict(found).items() if value is not None}
    for name in ("first_day", "last_day", "last_used_on"):
        if name in values:
            values[name] = values[name].isoformat()
    for name in ("busy_months", "quiet_months"):
        values[name] = list(values[name])
    return values


def read_measurement(values: Mapping[str, Any]) -> Measurement:
    """Inverse of `measurement_json`."""
    read = dict(values)
    for name in ("first_day", "last_day", "last_used_on"):
        if name in read:
            read[name] = date.fromisoformat(read[name])
    for name in ("busy_months", "quiet_months"):
        read[name] = tuple(read.get(name, ()))
    for name in ("cpu", "mem"):
        if name in read:
            read[name] = Spread(**read[name])
    return Measurement(**read)
