"""A workbook's bytes in, systems and findings out. Intake and the command line call `read_ledger`; nothing is stored.

Reading is total: it gives the whole workbook or raises one LedgerError.
"""

from __future__ import annotations

import hashlib
from datetime import date
from functools import cache
from itertools import repeat

from inventory.ledger import errors
from inventory.ledger.dependencies import NameIndex, resolve
from inventory.ledger.duplicates import Settlement, settle
from inventory.ledger.evidence import learned_headings
from inventory.ledger.findings import Finding
from inventory.ledger.grid import Workbook
from inventory.ledger.mapping import HeaderMapping
from inventory.ledger.reading import HiddenRow, LedgerReading, SkippedSheet
from inventory.ledger.sheets import SheetReading, WorkbookSays, can_profit, names_of_systems, read_sheet
from inventory.ledger.tables import Learned
from inventory.ledger.workbook import open_workbook
from inventory.model.system import System


def read_ledger(content: bytes, filename: str, mapping: HeaderMapping | None = None) -> LedgerReading:
    """Reads a department's workbook. `filename` serves messages (and names the sheet of a .csv).

    Raises LedgerError subclasses only: for what is no workbook, is encrypted, truncated, oversized (zip bombs), or
    has no sheet with a heading in which a system's name can be recognised.
    """
    workbook = open_workbook(content, filename)
    readings = _read_sheets(workbook, mapping, {})
    learned = learned_headings(report for reading in readings for report in reading.headings)
    if learned and any(map(can_profit, workbook.sheets, readings, repeat(learned))):
        readings = _read_sheets(workbook, mapping, learned)
    if all(reading.skipped is not None for reading in readings):
        names = "、".join(f"“{reading.name}”" for reading in readings[:8]) or "工作簿"
        raise errors.no_header(filename, names)
    settlement = settle(draft for reading in readings for draft in reading.drafts)
    systems, unknown = _resolved(settlement)
    found = [finding for reading in readings for finding in reading.findings]
    return LedgerReading(
        filename=filename,
        sha256=hashlib.sha256(content).hexdigest(),
        systems=systems,
        findings=_in_order(readings, [*found, *settlement.findings, *unknown]),
        held=tuple(settlement.held),
        as_of=_as_of(readings),
        sender=next((reading.around.sender for reading in readings if reading.around.sender), None),
        illustrative=any(reading.around.illustrative for reading in readings),
        headings=tuple(report for reading in readings for report in reading.headings),
        skipped_sheets=tuple(
            SkippedSheet(reading.name, reading.skipped) for reading in readings if reading.skipped is not None
        ),
        hidden_rows=_hidden_rows(readings),
    )


def _read_sheets(workbook: Workbook, mapping: HeaderMapping | None, learned: Learned) -> list[SheetReading]:
    says = WorkbookSays(mapping, cache(lambda: names_of_systems(workbook.sheets, mapping, learned)), learned)
    readings: list[SheetReading] = []
    tables = 0
    for sheet in workbook.sheets:
        reading = read_sheet(sheet, says, tables)
        tables += 1 + len({draft.table for draft in reading.drafts})
        readings.append(reading)
    return readings


def _resolved(settlement: Settlement) -> tuple[tuple[System, ...], list[Finding]]:
    index = NameIndex.of(settlement.systems, settlement.held)
    systems: list[System] = []
    unknown: list[Finding] = []
    for draft in settlement.systems:
        system, found = resolve(draft, index)
        systems.append(system)
        unknown.extend(found)
    return tuple(systems), unknown


def _as_of(readings: list[SheetReading]) -> date | None:
    """The latest day that any sheet is stated for; where none says so, the latest day that one was filled in."""
    stated = [reading.around.as_of for reading in readings if reading.around.as_of]
    return max(stated or [reading.around.dated for reading in readings if reading.around.dated], default=None)


def _in_order(readings: list[SheetReading], found: list[Finding]) -> tuple[Finding, ...]:
    """Findings by sheet, row and cell; one that was reported twice stands once."""
    place = {reading.name: index for index, reading in enumerate(readings)}
    unique = dict.fromkeys(found)
    return tuple(
        sorted(unique, key=lambda finding: (place[finding.sheet], finding.row, len(finding.cell), finding.cell))
    )


def _hidden_rows(readings: list[SheetReading]) -> tuple[HiddenRow, ...]:
    rows: list[HiddenRow] = []
    for reading in readings:
        hidden = set(reading.hidden_rows)
        if hidden:
            rows.extend(
                HiddenRow(reading.name, draft.system.row, draft.system.name)
                for draft in reading.drafts
                if draft.system.row in hidden
            )
    return tuple(rows)
