"""Organisations with validity dates and successors: who answers today for what 渝北区 reported yesterday.

`monthly` asks for the district of a system twice: as its sender reported it, and restated for the organisations of
the report's day. Read from YAML (organisations.yaml of this package, or a file of the user's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inventory.model.form_faults import form_faults

PACKAGED = Path(__file__).with_name("organisations.yaml")


class OrganisationFileError(ValueError):
    """An organisation file that cannot be used; `lines` name every fault, "中文 / English"."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SuccessorEntry(_Form):
    """Who takes over: the departments whose names hold one of `units`, or (none named) all the rest.

    `since` (from): the first day; without it, the day after the predecessor's last.
    """

    to: str
    units: tuple[str, ...] = ()
    since: date | None = Field(default=None, alias="from")


class OrganisationEntry(_Form):
    """An organisation; both days are included, None is open."""

    name: str
    valid_from: date | None = None
    valid_to: date | None = None
    successors: tuple[SuccessorEntry, ...] = ()


class OrganisationFile(_Form):
    form: Literal["xisuan-organisations/1"]
    source: str
    organisations: tuple[OrganisationEntry, ...]


@dataclass(frozen=True, slots=True)
class Succession:
    """One transfer, as it is printed in the report."""

    day: date
    was: str
    units: tuple[str, ...]
    to: str


@dataclass(frozen=True)
class Organisations:
    """`restate` follows successors until an organisation that lives on the day."""

    file: OrganisationFile

    @cached_property
    def _entries(self) -> dict[str, OrganisationEntry]:
        return {entry.name: entry for entry in self.file.organisations}

    @property
    def source(self) -> str:
        return self.file.source

    def restate(self, organisation: str, department: str, day: date) -> str:
        """Who answers on `day` for this department of an organisation. Transfers are followed in the order of their
        days, so that what came to an organisation is not taken for what it gave away on the same day before."""
        name, since = organisation, date.min
        while (moved := self._transfer(name, department, since, day)) is not None:
            # A department that came on one day does not leave again by a transfer of that same day.
            name, since = moved.to, moved.day + timedelta(days=1)
        return name

    def successions(self, until: date) -> tuple[Succession, ...]:
        """All transfers up to a day, oldest first."""
        found = [one for name in self._entries for one in self._transfers(name) if one.day <= until]
        return tuple(sorted(found, key=lambda one: (one.day, one.was, one.to)))

    def _transfer(self, name: str, department: str, since: date, day: date) -> Succession | None:
        for one in self._transfers(name):
            if since <= one.day <= day and (not one.units or any(unit in department for unit in one.units)):
                return one
        return None

    def _transfers(self, name: str) -> tuple[Succession, ...]:
        entry = self._entries.get(name)
        return () if entry is None else tuple(_succession(entry, one) for one in entry.successors)


def read_organisations(text: str, file_name: str) -> Organisations:
    """Raises OrganisationFileError that names every fault."""
    try:
        form = OrganisationFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        first = str(error).splitlines()[0]
        raise OrganisationFileError(
            [f"{file_name} 不是 YAML：{first} / {file_name} is not YAML: {first}"]
        ) from error
    except ValidationError as error:
        raise OrganisationFileError(
            [
                f"{file_name}: {'.'.join(map(str, fault.place)) or '全文/whole text'} = {fault.value}: {fault.rule}"
                for fault in form_faults(error)
            ]
        ) from error
    if faults := _faults(form):
        raise OrganisationFileError([f"{file_name}: {line}" for line in faults])
    return Organisations(form)


def packaged_organisations() -> Organisations:
    return read_organisations(PACKAGED.read_text("utf-8"), PACKAGED.name)


def _succession(entry: OrganisationEntry, one: SuccessorEntry) -> Succession:
    day = one.since
    if day is None:
        if entry.valid_to is None:
            raise AssertionError("checked when the file was read")
        day = entry.valid_to + timedelta(days=1)
    return Succession(day, entry.name, one.units, one.to)


def _faults(form: OrganisationFile) -> list[str]:
    lines = []
    names = [entry.name for entry in form.organisations]
    for name in sorted({name for name in names if names.count(name) > 1}):
        lines.append(f"组织“{name}”写了两次，请合并 / the organisation {name} is given twice; join the entries")
    for entry in form.organisations:
        if entry.valid_from and entry.valid_to and entry.valid_from > entry.valid_to:
            lines.append(
                f"“{entry.name}”的有效期 {entry.valid_from} 晚于 {entry.valid_to}，请改正"
                f" / {entry.name} is valid from {entry.valid_from} after {entry.valid_to}; correct it"
            )
        if entry.valid_to and not any(not one.units for one in entry.successors):
            lines.append(
                f"“{entry.name}”已于 {entry.valid_to} 撤销，但没有承接其余单位的组织，请补一个不写 units 的 successors"
                f" / {entry.name} ended on {entry.valid_to} and nobody takes the rest; add a successor without units"
            )
        for one in entry.successors:
            if one.to not in names:
                lines.append(
                    f"“{entry.name}”的承接组织“{one.to}”未列出，请补上"
                    f" / the successor {one.to} of {entry.name} is not listed; add it"
                )
            if one.since is None and entry.valid_to is None:
                lines.append(
                    f"“{entry.name}”划给“{one.to}”没有日期，请写 from"
                    f" / {entry.name} gives to {one.to} without a day; write from"
                )
    return lines
