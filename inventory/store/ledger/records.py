"""Every question that the intake asks of the ledger's tables, by name. The intake itself knows no SQL.

`LedgerRecords` wraps one connection: inside a write transaction its answers cannot change before the commit,
inside a reading block they are one state. Rows come as mappings from column name to value (see `tables`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, func, select

from inventory.store.chain import Event
from inventory.store.event_store import PAGE, read_events
from inventory.store.ledger.fold import SystemState
from inventory.store.ledger.projection import folded
from inventory.store.ledger.tables import claims, conflicts, findings, import_changes, imports, senders, systems

Record = Mapping[str, Any]
COUNTED, HELD, OUT = "counted", "held", "out"
_ROWS_AT_ONCE = 200


class LedgerRecords:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Senders and imports

    def sender(self, sender: str) -> Record | None:
        return self._first(select(senders).where(senders.c.sender == sender))

    def other_senders(self, sender: str) -> list[str]:
        return self._column(select(senders.c.sender).where(senders.c.sender != sender))

    def ledger_days(self, names: Collection[str]) -> list[date]:
        """The days of the applied ledgers of these senders."""
        query = select(senders.c.ledger_day).where(senders.c.sender.in_(names), senders.c.ledger_day.is_not(None))
        return [date.fromisoformat(day) for day in self._column(query)]

    def import_(self, import_id: str) -> Record | None:
        return self._first(select(imports).where(imports.c.id == import_id))

    def imports(self, status: str | None = None) -> list[Record]:
        """All imports, or those of this status, oldest first."""
        query = select(imports).order_by(imports.c.number)
        return self._all(query if status is None else query.where(imports.c.status == status))

    def pending_import(self, sender: str) -> Record | None:
        return self._first(select(imports).where(imports.c.sender == sender, imports.c.status == "pending"))

    def first_day(self) -> date | None:
        """The day from which the earliest applied import counts."""
        query = select(func.min(imports.c.effective_on)).where(imports.c.status == "applied")
        found = self._connection.execute(query).scalar()
        return None if found is None else date.fromisoformat(found)

    def is_illustrative(self, as_of: date) -> bool:
        """True when some applied import in effect on that day holds 示例数据."""
        applied = select(imports.c.id).where(imports.c.status == "applied", imports.c.illustrative)
        return self._first(applied.where(imports.c.effective_on <= as_of.isoformat())) is not None

    def staged_changes(self, import_id: str) -> Iterator[Record]:
        """What a pending import would change (or did), in the order of the file."""
        query = select(import_changes).where(import_changes.c.import_id == import_id)
        order = (import_changes.c.sheet, import_changes.c.row, import_changes.c.row_key)
        rows = self._connection.execute(query.order_by(*order).execution_options(yield_per=_ROWS_AT_ONCE))
        for row in rows.mappings():
            yield dict(row)

    def events(self, kind: str, subject: str) -> Iterator[Event]:
        """The events of this kind and subject, in order."""
        after = 0
        while page := read_events(self._connection, after, PAGE, kinds={kind}, subject=subject):
            yield from page
            after = page[-1].seq

    def last_number(self, what: str) -> int:
        """The highest number given out so far; `what` is imports, findings or conflicts."""
        table = {table.name: table for table in (imports, findings, conflicts)}[what]
        return int(self._connection.execute(select(func.max(table.c.number))).scalar() or 0)

    # Systems, and who says what of them

    def knows_system(self, system_key: str) -> bool:
        return self._first(select(systems.c.system_key).where(systems.c.system_key == system_key)) is not None

    def states(
        self, *, as_of: date | None = None, system_keys: Collection[str] | None = None
    ) -> Iterator[SystemState]:
        """The systems as they stood, in key order; of these systems (None: all)."""
        if system_keys is not None and not system_keys:
            return
        for _, state in folded(self._connection, as_of=as_of, system_keys=sorted(system_keys or ())):
            if state is not None:
                yield state

    def rows_of_sender(self, sender: str) -> Iterator[Record]:
        """row_key, fields, sheet and row of the sender's applied ledger."""
        query = select(claims.c.row_key, claims.c.fields, claims.c.sheet, claims.c.row)
        rows = self._connection.execute(query.where(claims.c.sender == sender).execution_options(yield_per=PAGE))
        for row in rows.mappings():
            yield dict(row)

    def claim(self, sender: str, row_key: str, standing: str | None = None) -> Record | None:
        """One row of a sender's ledger, with this standing (None: any)."""
        query = select(claims).where(claims.c.sender == sender, claims.c.row_key == row_key)
        return self._first(query if standing is None else query.where(claims.c.standing == standing))

    def systems_of_rows(self, sender: str, row_keys: Iterable[str], standing: str | None = None) -> dict[str, str]:
        """row key -> system key of those of these rows that the sender's ledger holds, with this standing."""
        query = select(claims.c.row_key, claims.c.system_key).where(
            claims.c.sender == sender, claims.c.row_key.in_(sorted(row_keys))
        )
        rows = self._all(query if standing is None else query.where(claims.c.standing == standing))
        return {row["row_key"]: row["system_key"] for row in rows}

    def speakers(self, system_keys: Iterable[str]) -> set[tuple[str, str]]:
        """(system key, sender) of everybody whose ledger counts one of these systems."""
        query = select(claims.c.system_key, claims.c.sender).where(
            claims.c.system_key.in_(sorted(system_keys)), claims.c.standing == COUNTED
        )
        return {(row["system_key"], row["sender"]) for row in self._all(query)}

    def counted_by_name(self, name_keys: Iterable[str], among: Collection[str]) -> list[Record]:
        """Rows of these names that count for some system of these senders, in the order of senders and rows."""
        query = select(claims).where(claims.c.name_key.in_(sorted(name_keys)), claims.c.standing == COUNTED)
        return self._all(query.where(claims.c.sender.in_(among)).order_by(claims.c.sender, claims.c.row_key))

    # What waits for a person

    def findings(self, *states: str, sender: str | None = None, import_id: str | None = None) -> list[Record]:
        """Findings in one of these states (none named: any), oldest first."""
        query = _in_states(select(findings), findings, states)
        query = query if sender is None else query.where(findings.c.sender == sender)
        query = query if import_id is None else query.where(findings.c.import_id == import_id)
        return self._all(query.order_by(findings.c.number))

    def findings_with(self, sender: str, identities: Iterable[str]) -> list[Record]:
        query = select(findings).where(findings.c.sender == sender, findings.c.identity.in_(sorted(identities)))
        return self._all(query.order_by(findings.c.number))

    def conflicts(self, *states: str, import_id: str | None = None) -> list[Record]:
        """Conflicts in one of these states (none named: any), oldest first."""
        query = _in_states(select(conflicts), conflicts, states)
        query = query if import_id is None else query.where(conflicts.c.import_id == import_id)
        return self._all(query.order_by(conflicts.c.number))

    def conflicts_about(self, system_keys: Iterable[str]) -> list[Record]:
        """Open and settled conflicts about these systems."""
        query = _in_states(select(conflicts), conflicts, ("open", "settled"))
        wanted = query.where(conflicts.c.system_key.in_(sorted(system_keys)))
        return self._all(wanted.order_by(conflicts.c.number))

    def conflicts_of_rows(self, sender: str, row_keys: Iterable[str]) -> list[Record]:
        """Open and settled conflicts that rows of this sender have raised."""
        query = _in_states(select(conflicts), conflicts, ("open", "settled"))
        wanted = query.where(conflicts.c.claiming_sender == sender, conflicts.c.claiming_row.in_(sorted(row_keys)))
        return self._all(wanted.order_by(conflicts.c.number))

    def question(self, question_id: str) -> Record | None:
        """The finding (F..) or conflict (C..) of this id."""
        table = findings if question_id.startswith("F") else conflicts
        return self._first(select(table).where(table.c.id == question_id))

    def open_ids(self, like: str, limit: int) -> list[str]:
        """Ids of what is open, of the same sort as the id `like`."""
        table = findings if like.startswith("F") else conflicts
        return self._column(
            select(table.c.id).where(table.c.state == "open").order_by(table.c.number).limit(limit)
        )

    def _first(self, query: Select[Any]) -> Record | None:
        row = self._connection.execute(query.limit(1)).mappings().first()
        return None if row is None else dict(row)

    def _all(self, query: Select[Any]) -> list[Record]:
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def _column(self, query: Select[tuple[str]] | Select[Any]) -> list[str]:
        return [str(value) for value in self._connection.execute(query).scalars()]


def _in_states(query: Select[Any], table: Table, states: Collection[str]) -> Select[Any]:
    state: Column[Any] = table.c.state
    return query.where(state.in_(sorted(states))) if states else query
