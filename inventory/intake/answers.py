"""Answers about the stored ledger as of any day: the systems as they stood, and the rows that rates count.

State as of day D is the fold of all changes with effective_on <= D, whenever they were recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from inventory.model.system import Ownership, System
from inventory.rates import CountedSystem, RatesReport, Scope, rates_of
from inventory.store.ledger.fold import SystemState
from inventory.store.ledger.records import LedgerRecords
from inventory.store.ledger.rows import system_of


@dataclass(frozen=True, slots=True)
class StandingSystem:
    """A system of the ledger as of a day: what stands of all claims, and where that comes from."""

    system_key: str
    system: System
    sender: str
    import_id: str
    in_baseline: bool
    migrated_on: date | None
    closed_on: date | None
    merged_on: date | None


def standing_systems(records: LedgerRecords, as_of: date | None) -> Iterator[StandingSystem]:
    """The systems that some sender's ledger holds, in key order; None: after everything that is recorded."""
    for state in records.states(as_of=as_of):
        if state.present:
            claim = state.first_claim
            yield StandingSystem(
                system_key=state.system_key,
                system=system_of(state.fields, claim.sheet, claim.row),
                sender=claim.sender,
                import_id=claim.import_id,
                in_baseline=state.in_baseline,
                migrated_on=state.migrated_on,
                closed_on=state.closed_on,
                merged_on=state.merged_on,
            )


def counted_systems(records: LedgerRecords, as_of: date) -> tuple[CountedSystem, ...]:
    """The rows that rates count, in the order of senders and their files; missing baseline systems included."""
    rows = [_counted(state) for state in records.states(as_of=as_of)]
    return tuple(sorted(rows, key=lambda row: (row.sender, row.sheet, row.row, row.system_key)))


def rates(records: LedgerRecords, as_of: date, scope: Scope) -> RatesReport:
    systems = counted_systems(records, as_of)
    report = rates_of(systems, scope, as_of)
    return replace(
        report,
        illustrative=records.is_illustrative(as_of),
        empty_because=_why_empty(systems, scope, as_of, records.first_day()),
    )


def _why_empty(
    systems: tuple[CountedSystem, ...], scope: Scope, as_of: date, first_day: date | None
) -> str | None:
    if any(scope.holds(system) for system in systems):
        return None
    if first_day is None:
        return "台账为空：尚未导入任何文件 / the ledger is empty: no file has been imported"
    if as_of < first_day:
        return (
            f"{as_of} 早于最早的台账（截至 {first_day}），当时没有数据"
            f" / {as_of} is before the first ledger (as of {first_day}): there was nothing to count"
        )
    return (
        f"截至 {as_of}，没有系统符合范围 {scope.text}；请核对名称"
        f" / no system as of {as_of} is in the scope {scope.text}; check the names in it"
    )


def _counted(state: SystemState) -> CountedSystem:
    claim, fields = state.first_claim, state.fields
    ownership = fields.get("ownership")
    return CountedSystem(
        system_key=state.system_key,
        name=fields["name"],
        department=fields.get("department"),
        ownership=None if ownership is None else Ownership(ownership),
        zone=fields.get("zone"),
        sheet=claim.sheet,
        row=claim.row,
        sender=claim.sender,
        import_id=claim.import_id,
        disposition=fields.get("disposition"),
        should_migrate=fields.get("should_migrate"),
        migrated=fields.get("migrated"),
        closed=state.closed_on is not None,
        merged=state.merged_on is not None,
        merged_into=fields.get("merged_into"),
        present=state.present,
        in_baseline=state.in_baseline,
    )
