"""Readings for the intake's tests, written down as a department would: no workbook, only what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from inventory.ledger import Finding, HeldDuplicate, LedgerReading
from inventory.ledger import findings as found
from inventory.model.system import Disposition, Ownership, System, Zone

BUREAU, SCHOOLS = "区大数据局", "区教委"
NOW = 1_763_800_000_000  # 2025-11-22 in China
TODAY = date(2025, 11, 22)
CENSUS = date(2021, 6, 30)
DAY_MS = 86_400_000


def district_system(name: str, **values: object) -> System:
    plain = System(
        sheet="区级系统",
        row=5,
        name=name,
        department="区交通局",
        ownership=Ownership.DISTRICT,
        zone=Zone.EXTRANET,
        vcpu=8,
        should_migrate=True,
        migrated=False,
        disposition=Disposition.REHOST,
    )
    return replace(plain, **values)  # type: ignore[arg-type]  # the tests name fields of System


def reading(
    *systems: System,
    held: Iterable[tuple[System, str]] = (),
    findings: Iterable[Finding] = (),
    as_of: date | None = CENSUS,
    illustrative: bool = False,
) -> LedgerReading:
    """A file with these systems from row 5 on; each held row brings its finding, as the parser does."""
    placed = tuple(replace(system, row=5 + index) for index, system in enumerate(systems))
    kept = tuple(HeldDuplicate(replace(system, row=105 + index), of) for index, (system, of) in enumerate(held))
    suspicions = tuple(
        found.possible_duplicate(one.system.sheet, one.system.row, f"B{one.system.row}", one.of) for one in kept
    )
    content = repr((placed, kept, tuple(findings), as_of)).encode()
    return LedgerReading(
        filename="台账.xlsx",
        sha256=hashlib.sha256(content).hexdigest(),
        systems=placed,
        findings=(*findings, *suspicions),
        held=kept,
        as_of=as_of,
        sender=None,
        illustrative=illustrative,
        headings=(),
        skipped_sheets=(),
        hidden_rows=(),
    )
