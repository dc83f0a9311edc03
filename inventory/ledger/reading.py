"""What reading a ledger gives: the result type, its totals, and its JSON form.

Intake stores a LedgerReading; `xisuan ledger import --json` writes `reading_json`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from typing import Any

from inventory.ledger.duplicates import HeldDuplicate
from inventory.ledger.findings import Finding
from inventory.ledger.tables import HeadingReport
from inventory.model.system import AcceleratorDemand, Disposition, Ownership, System
from inventory.model.units import percent_half_up


@dataclass(frozen=True, slots=True)
class SkippedSheet:
    """A sheet that is no ledger, and why ("中文 / English")."""

    sheet: str
    reason: str


@dataclass(frozen=True, slots=True)
class HiddenRow:
    """A row that the sender hides and that holds a system all the same: read, counted, and named here."""

    sheet: str
    row: int
    name: str


@dataclass(frozen=True, slots=True)
class LedgerReading:
    """One workbook as read. `systems` are those that count; `held` count nowhere until a person confirms.

    `as_of` is the 截至日期, `sender` the 填报单位, `illustrative` whether the file says that its data is 示例数据;
    `headings` tells for every heading which field it became and how surely; `sha256` is of the file's bytes.
    """

    filename: str
    sha256: str
    systems: tuple[System, ...]
    findings: tuple[Finding, ...]
    held: tuple[HeldDuplicate, ...]
    as_of: date | None
    sender: str | None
    illustrative: bool
    headings: tuple[HeadingReport, ...]
    skipped_sheets: tuple[SkippedSheet, ...]
    hidden_rows: tuple[HiddenRow, ...]


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Counts of one reading. `closed` and `merged` are district systems to be retired or consolidated, taken as done
    on the as-of day; the rates are in percent with one decimal, half up, None where nothing stands below the line.
    """

    district: int
    vertical: int
    soe: int
    should_migrate: int
    migrated: int
    closed: int
    merged: int
    cloud_rate_pct: float | None
    consolidation_rate_pct: float | None


def totals(systems: tuple[System, ...]) -> LedgerTotals:
    """Source of the two rates: 渝北大数据函〔2021〕51号 (34/35 = 97.1 %, (28+12)/67 = 59.7 %)."""
    owned = dict.fromkeys(Ownership, 0)
    for system in systems:
        if system.ownership is not None:
            owned[system.ownership] += 1
    district = [system for system in systems if system.ownership is Ownership.DISTRICT]
    closed = sum(system.disposition is Disposition.RETIRE for system in district)
    merged = sum(system.disposition is Disposition.CONSOLIDATE for system in district)
    should = sum(system.should_migrate is True for system in district)
    migrated = sum(system.migrated is True for system in district)
    return LedgerTotals(
        owned[Ownership.DISTRICT],
        owned[Ownership.VERTICAL],
        owned[Ownership.SOE],
        should,
        migrated,
        closed,
        merged,
        percent_half_up(migrated, should),
        percent_half_up(closed + merged, len(district)),
    )


def system_json(system: System) -> dict[str, Any]:
    """A system in the names and forms of the answer key."""
    return {field.name: _plain(getattr(system, field.name)) for field in fields(system)}


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding; `field`, `of` and `value` only where they say something."""
    content = {field.name: _plain(getattr(finding, field.name)) for field in fields(finding)}
    return {name: value for name, value in content.items() if value is not None}


def reading_json(reading: LedgerReading) -> dict[str, Any]:
    """The reading as `xisuan ledger import --json` writes it."""
    return {
        "filename": reading.filename,
        "sha256": reading.sha256,
        "illustrative": reading.illustrative,
        "as_of": reading.as_of.isoformat() if reading.as_of else None,
        "sender": reading.sender,
        "totals": _fields(totals(reading.systems)),
        "systems": [system_json(system) for system in reading.systems],
        "findings": [finding_json(finding) for finding in reading.findings],
        "held": [{**system_json(duplicate.system), "of": duplicate.of} for duplicate in reading.held],
        "headings": [_fields(report) for report in reading.headings],
        "skipped_sheets": [_fields(skipped) for skipped in reading.skipped_sheets],
        "hidden_rows": [_fields(row) for row in reading.hidden_rows],
    }


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, AcceleratorDemand):
        return {"model": value.model, "count": value.count}
    return value
