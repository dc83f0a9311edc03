"""An order (割接单): which systems a runbook moves, when, with which people, parameters, documents and secrets.

The YAML form is in docs/runbooks.md. Secrets are places (an environment variable, a file), never values: the order,
the events and the logs hold their names only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from inventory.model.calendar import Window
from scheduler.core.migration.phases import Role
from scheduler.runbooks.faults import RunbookRefused, lines_of
from scheduler.runbooks.template import Name, read_yaml

PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

_CHINA = timezone(timedelta(hours=8))


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OrderedSystem(_Strict):
    """`key` is the system's key in the ledger. `is_target` marks what the others are merged into."""

    key: str = Field(min_length=1, max_length=500)
    parameters: Mapping[Name, str] = Field(default_factory=dict)
    is_target: bool = Field(default=False, alias="target")


class OrderedWindow(_Strict):
    """Both with their offset from UTC: 2026-10-02T22:00:00+08:00."""

    starts: AwareDatetime
    ends: AwareDatetime

    @model_validator(mode="after")
    def _ends_later(self) -> OrderedWindow:
        if self.ends <= self.starts:
            raise ValueError(f"窗口须先始后终 / the window must end after it starts: {self.starts} – {self.ends}")
        return self


class OrderedCapacity(_Strict):
    """What the systems of the order need together in their pool."""

    cpu_milli: int = Field(ge=1)
    memory_mib: int = Field(ge=1)


class Document(_Strict):
    """A paper behind a piece of evidence: its number (文号), and the file whose SHA-256 is recorded."""

    number: str = Field(min_length=1, max_length=200)
    file: str = ""
    sha256: str = ""


class SecretPlace(_Strict):
    """Where the value is found when a step needs it: an environment variable of the service, or a file."""

    env: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] = ""
    file: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> SecretPlace:
        if bool(self.env) == bool(self.file):
            raise ValueError("须写 env 或 file 之一 / give either env or file")
        return self


class Order(_Strict):
    version: Annotated[int, Field(ge=1, le=1)]
    runbook: str = Field(min_length=1)
    title: str = Field(min_length=1, max_length=300)
    systems: tuple[OrderedSystem, ...] = Field(min_length=1, max_length=200)
    window: OrderedWindow
    capacity: OrderedCapacity | None = None
    people: Mapping[Role, tuple[PersonName, ...]]
    parameters: Mapping[Name, str] = Field(default_factory=dict)
    secrets: Mapping[Name, SecretPlace] = Field(default_factory=dict)
    documents: Mapping[str, Document] = Field(default_factory=dict)

    @property
    def sources(self) -> tuple[OrderedSystem, ...]:
        return tuple(system for system in self.systems if not system.is_target)


def read_order(text: str, name: str) -> Order:
    """The order in `text`; `name` stands in messages. Raises RunbookRefused with every fault of its form."""
    try:
        return Order.model_validate(read_yaml(text, name))
    except ValidationError as error:
        raise RunbookRefused(lines_of(name, error)) from None


def planned_window(window: Window) -> OrderedWindow:
    """The window of a wave, whose local time is China's (UTC+8, no summer time)."""
    return OrderedWindow(starts=window.starts.replace(tzinfo=_CHINA), ends=window.ends.replace(tzinfo=_CHINA))


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
