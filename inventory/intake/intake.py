"""`Intake`: the door to the stored ledger for the command line and the services.

It holds no state but the store. Writing methods are one transaction each; reading methods see one state of the
database each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from inventory.intake import answers, imports, resolving, staging
from inventory.intake.diff import Diff
from inventory.intake.errors import IntakeError
from inventory.intake.imports import ImportResult, named
from inventory.intake.resolving import Resolution
from inventory.ledger import HeaderMapping, LedgerReading
from inventory.model.system import System
from inventory.rates import CountedSystem, RatesReport, parse_scope
from inventory.store.chain import Draft, Event
from inventory.store.event_store import Store
from inventory.store.ledger import kinds
from inventory.store.ledger.records import LedgerRecords, Record


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """Who sent what, when. Times are UTC milliseconds since 1970; `status` is applied, pending or superseded."""

    id: str
    sender: str
    filename: str
    sha256: str
    status: str
    stated_as_of: date | None
    effective_on: date
    illustrative: bool
    systems: int
    held: int
    received_ms: int
    received_by: str
    applied_ms: int | None
    applied_by: str | None


@dataclass(frozen=True, slots=True)
class FindingRecord:
    """A finding as stored. `state` is pending, open, settled or gone; the last four fields tell who settled it."""

    id: str
    sender: str
    import_id: str
    kind: str
    sheet: str
    row: int | None
    cell: str | None
    field: str | None
    of: str | None
    value: str | None
    remedy: str
    state: str
    decision: str | None
    reason: str | None
    decided_by: str | None
    decided_ms: int | None


@dataclass(frozen=True, slots=True)
class ConflictRecord:
    """Two senders' values for one field of a system. For `field` "department" with another `claiming_row` than the
    system's key the question is whether that row is this system at all."""

    id: str
    system_key: str
    field: str
    standing_sender: str
    standing_value: object
    claiming_sender: str
    claiming_value: object
    claiming_row: str
    import_id: str
    state: str
    decision: str | None
    reason: str | None
    decided_by: str | None
    decided_ms: int | None


class Intake:
    """Import, diff, apply, resolve, and questions about the ledger as of any day.

    `store` must carry LEDGER_PROJECTION. All `actor`s are names of people; `now_ms` is the moment of the request.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def import_reading(
        self, reading: LedgerReading, *, filename: str, sender: str, actor: str, now_ms: int
    ) -> ImportResult:
        """Takes in a file: see `imports.import_reading`."""
        return imports.import_reading(
            self.store, reading, filename=filename, sender=sender, actor=actor, now_ms=now_ms
        )

    def diff(self, import_id: str) -> Diff:
        """What an import would change, or has changed. Raises IntakeError for an unknown id."""
        with self._records() as records:
            return staging.diff_of(records, import_id)

    def apply(self, import_id: str, *, actor: str, now_ms: int) -> ImportResult:
        """Applies a pending import: see `imports.apply_import`."""
        return imports.apply_import(self.store, import_id, actor=actor, now_ms=now_ms)

    def resolve(self, question_id: str, decision: str, *, actor: str, reason: str, now_ms: int) -> Resolution:
        """Settles a finding or a conflict: see `resolving.resolve`."""
        return resolving.resolve(self.store, question_id, decision, actor=actor, reason=reason, now_ms=now_ms)

    def remember_mapping(self, sender: str, mapping: HeaderMapping | None, *, actor: str, now_ms: int) -> None:
        """Keeps how a person mapped this sender's headings, for the next file; None forgets it."""
        body = None if mapping is None else mapping.model_dump(mode="json", exclude_none=True)
        draft = Draft(kinds.MAPPING_REMEMBERED, named(sender, "填报单位", "sender"), {"mapping": body})
        with self.store.transaction() as transaction:
            transaction.append([draft], actor=named(actor, "经办人", "actor"), recorded_ms=now_ms)

    def mapping_of(self, sender: str) -> HeaderMapping | None:
        """The header mapping remembered for this sender."""
        with self._records() as records:
            found = records.sender(sender.strip())
        if found is None or found["mapping"] is None:
            return None
        return HeaderMapping.model_validate_json(found["mapping"])

    def record(self, facts: Sequence[Draft], *, actor: str, now_ms: int) -> tuple[Event, ...]:
        """Records facts made by `kinds.migrated`, `closed`, `merged`. Raises IntakeError for an unknown system."""
        with self.store.transaction() as transaction:
            records = LedgerRecords(transaction.connection)
            for fact in facts:
                if not records.knows_system(fact.subject):
                    raise IntakeError(
                        f"台账中没有系统 {fact.subject!r}；请写 单位/系统名称",
                        f"the ledger holds no system {fact.subject!r}; write department/name",
                    )
            return transaction.append(facts, actor=named(actor, "经办人", "actor"), recorded_ms=now_ms)

    def rates(self, as_of: date, scope: str = "") -> RatesReport:
        """The rates as of a day. Raises ScopeError for a scope that cannot be read."""
        chosen = parse_scope(scope)
        with self._records() as records:
            return answers.rates(records, as_of, chosen)

    def counted(self, as_of: date) -> tuple[CountedSystem, ...]:
        with self._records() as records:
            return answers.counted_systems(records, as_of)

    def standing(self, as_of: date | None = None) -> tuple[answers.StandingSystem, ...]:
        """The systems of the ledger with their origin, as of a day or (None) now."""
        with self._records() as records:
            return tuple(answers.standing_systems(records, as_of))

    def systems(self, as_of: date | None = None) -> tuple[System, ...]:
        return tuple(one.system for one in self.standing(as_of))

    def imports(self, status: str | None = None) -> tuple[ImportRecord, ...]:
        """All imports, or those of this status, oldest first."""
        with self._records() as records:
            return tuple(_import_record(row) for row in records.imports(status))

    def findings(self, *states: str) -> tuple[FindingRecord, ...]:
        """Findings in one of these states (none named: open), oldest first."""
        with self._records() as records:
            found = records.findings(*(states or ("open",)))
        return tuple(FindingRecord(**_only(FindingRecord, row)) for row in found)

    def conflicts(self, *states: str) -> tuple[ConflictRecord, ...]:
        """Conflicts in one of these states (none named: open), oldest first."""
        with self._records() as records:
            return tuple(_conflict_record(row) for row in records.conflicts(*(states or ("open",))))

    @contextmanager
    def _records(self) -> Iterator[LedgerRecords]:
        with self.store.connect() as connection:
            yield LedgerRecords(connection)


def _only(kind: Any, row: Record) -> dict[str, Any]:
    return {name: row[name] for name in kind.__dataclass_fields__}


def _import_record(row: Record) -> ImportRecord:
    values = _only(ImportRecord, row)
    stated = values["stated_as_of"]
    values["stated_as_of"] = None if stated is None else date.fromisoformat(stated)
    values["effective_on"] = date.fromisoformat(values["effective_on"])
    return ImportRecord(**values)


def _conflict_record(row: Record) -> ConflictRecord:
    values = _only(ConflictRecord, row)
    for name in ("standing_value", "claiming_value"):
        values[name] = json.loads(values[name])
    return ConflictRecord(**values)
