"""Keeps the ledger's tables in step with the events: one function a kind, no decisions.

What is to be decided (who is held, what conflicts, which ids are given out) the intake has decided before and
written into the events; here it is only carried out, so that a rebuild gives the same tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from inventory.store.bulk import insert_rows
from inventory.store.chain import Event, canonical_json
from inventory.store.event_store import Projection
from inventory.store.ledger import fold, kinds
from inventory.store.ledger.tables import (
    LEDGER_TABLES,
    claims,
    conflicts,
    findings,
    import_changes,
    imports,
    senders,
    system_changes,
    systems,
)

# SQLite before 3.32 allowed 999 parameters a statement; this is far below any limit and costs nothing.
_KEYS_A_QUERY = 400


def _received(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.payload
        applied = body["status"] == "applied"
        connection.execute(
            insert(imports).values(
                id=event.subject,
                number=body["number"],
                sender=body["sender"],
                filename=body["filename"],
                sha256=body["sha256"],
                status=body["status"],
                stated_as_of=body["stated_as_of"],
                effective_on=event.effective_on.isoformat(),
                amends_baseline=body["amends_baseline"],
                illustrative=body["illustrative"],
                systems=body["systems"],
                held=body["held"],
                received_ms=event.recorded_ms,
                received_by=event.actor,
                applied_ms=event.recorded_ms if applied else None,
                applied_by=event.actor if applied else None,
                findings_gone=canonical_json(body["findings_gone"]),
            )
        )
        _ensure_sender(connection, body["sender"])
        if applied:
            _stand(connection, body["sender"], event)


def _applied(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        connection.execute(
            update(imports)
            .where(imports.c.id == event.subject)
            .values(
                status="applied",
                effective_on=event.effective_on.isoformat(),
                applied_ms=event.recorded_ms,
                applied_by=event.actor,
            )
        )
        connection.execute(
            update(findings)
            .where(findings.c.import_id == event.subject, findings.c.state == "pending")
            .values(state="open")
        )
        _stand(connection, event.payload["sender"], event)


def _ensure_sender(connection: Connection, sender: str) -> None:
    if connection.execute(select(senders.c.sender).where(senders.c.sender == sender)).first() is None:
        connection.execute(insert(senders).values(sender=sender))


def _stand(connection: Connection, sender: str, event: Event) -> None:
    """From now on this import is what the sender's ledger says."""
    day = event.effective_on.isoformat()
    mine = senders.c.sender == sender
    connection.execute(update(senders).where(mine).values(ledger_day=day, applied_import=event.subject))
    connection.execute(update(senders).where(mine, senders.c.baseline_day.is_(None)).values(baseline_day=day))


def _superseded(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        connection.execute(update(imports).where(imports.c.id == event.subject).values(status="superseded"))
        connection.execute(
            update(findings)
            .where(findings.c.import_id == event.subject, findings.c.state == "pending")
            .values(state="gone")
        )


def _proposed(connection: Connection, events: Sequence[Event]) -> None:
    rows = [
        {
            "import_id": event.subject,
            "row_key": change["key"],
            "change": change["change"],
            "old": _text(change["old"]),
            "new": _text(change["new"]),
            "sheet": change["sheet"],
            "row": change["row"],
        }
        for event in events
        for change in event.payload["changes"]
    ]
    insert_rows(connection, import_changes, rows)


def _claimed(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.payload
        sender, baseline = body["sender"], body["baseline"]
        touched = [claim["key"] for claim in body["claims"]] + body["withdrawn"]
        before = _standing_of(connection, sender, touched)
        for part in _parts(sorted(before)):
            connection.execute(delete(claims).where(claims.c.sender == sender, claims.c.row_key.in_(part)))
        rows = [_claim_row(event.subject, sender, baseline, claim) for claim in body["claims"]]
        insert_rows(connection, claims, rows)
        changes: list[_Change] = []
        for row in rows:
            standing, system_key = before.get(row["row_key"], ("new", ""))
            if standing == "counted" and (row["standing"] != "counted" or row["system_key"] != system_key):
                changes.append(_withdrawal(system_key, (sender, row["row_key"]), baseline))
            if row["standing"] == "counted":
                changes.append(_claim_of(row))
        for key in body["withdrawn"]:
            standing, system_key = before.get(key, ("new", ""))
            if standing == "counted":
                changes.append(_withdrawal(system_key, (sender, key), baseline))
        _change_systems(connection, event, changes)


def _standing_of(connection: Connection, sender: str, row_keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Standing and system of those of these rows that the sender has claimed before."""
    query = select(claims.c.row_key, claims.c.standing, claims.c.system_key).where(claims.c.sender == sender)
    return {
        row.row_key: (row.standing, row.system_key)
        for part in _parts(row_keys)
        for row in connection.execute(query.where(claims.c.row_key.in_(part)))
    }


def _claim_row(import_id: str, sender: str, baseline: bool, claim: dict[str, Any]) -> dict[str, Any]:
    return {
        "sender": sender,
        "row_key": claim["key"],
        "system_key": claim["to"],
        "name_key": claim["name"],
        "standing": claim["standing"],
        "question": claim["question"],
        "import_id": import_id,
        "baseline": baseline,
        "sheet": claim["sheet"],
        "row": claim["row"],
        "fields": canonical_json(claim["fields"]),
    }


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of one system; `fields` is the text of a claim's row, and None for all other changes."""

    system_key: str
    change: dict[str, Any]
    fields: str | None = None


def _claim_of(row: Mapping[str, Any]) -> _Change:
    """The change that a row of `claims` makes to its system."""
    change = {
        fold.CLAIM: row["sender"],
        "key": row["row_key"],
        "import": row["import_id"],
        "sheet": row["sheet"],
        "row": row["row"],
        "baseline": row["baseline"],
    }
    return _Change(row["system_key"], change, row["fields"])


def _withdrawal(system_key: str, row: tuple[str, str], baseline: bool) -> _Change:
    sender, row_key = row
    return _Change(system_key, {fold.WITHDRAW: sender, "key": row_key, "baseline": baseline})


def _found(connection: Connection, events: Sequence[Event]) -> None:
    rows = [
        {"import_id": event.subject, "sender": event.payload["sender"], "state": event.payload["state"], **finding}
        for event in events
        for finding in event.payload["findings"]
    ]
    insert_rows(connection, findings, rows)


def _findings_gone(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        for part in _parts(event.payload["findings"]):
            connection.execute(
                update(findings).where(findings.c.id.in_(part), findings.c.state == "open").values(state="gone")
            )


def _conflicted(connection: Connection, events: Sequence[Event]) -> None:
    rows = [
        {
            **conflict,
            "import_id": event.subject,
            "state": "open",
            "standing_value": canonical_json(conflict["standing_value"]),
            "claiming_value": canonical_json(conflict["claiming_value"]),
        }
        for event in events
        for conflict in event.payload["conflicts"]
    ]
    insert_rows(connection, conflicts, rows)


def _conflicts_gone(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        for part in _parts(event.payload["conflicts"]):
            connection.execute(
                update(conflicts).where(conflicts.c.id.in_(part), conflicts.c.state == "open").values(state="gone")
            )


def _settled(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.payload
        table = findings if body["table"] == "findings" else conflicts
        connection.execute(
            update(table)
            .where(table.c.id == event.subject)
            .values(
                state="settled",
                decision=body["decision"],
                reason=body["reason"],
                decided_by=event.actor,
                decided_ms=event.recorded_ms,
            )
        )
        changes = [change for move in body["moves"] for change in _moved(connection, move)]
        if body["change"] is not None:
            changes.append(_Change(body["change"]["system"], body["change"]["what"]))
        _change_systems(connection, event, changes)


def _moved(connection: Connection, move: dict[str, Any]) -> Iterator[_Change]:
    """Gives one claim another standing: what that takes from one system and brings to another."""
    mine = (claims.c.sender == move["sender"], claims.c.row_key == move["key"])
    row = connection.execute(select(claims).where(*mine)).mappings().one()
    connection.execute(update(claims).where(*mine).values(system_key=move["to"], standing=move["standing"]))
    if row["standing"] == "counted":
        yield _withdrawal(row["system_key"], (row["sender"], row["row_key"]), row["baseline"])
    if move["standing"] == "counted":
        yield _claim_of({**row, "system_key": move["to"]})


def _mapping_remembered(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        _ensure_sender(connection, event.subject)
        mapping = _text(event.payload["mapping"])
        connection.execute(update(senders).where(senders.c.sender == event.subject).values(mapping=mapping))


def _fact(name: str, connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        what = {name: event.payload["source"], "into": event.payload.get("into")}
        _change_systems(connection, event, [_Change(event.subject, what)])


def _migrated(connection: Connection, events: Sequence[Event]) -> None:
    _fact(fold.MIGRATED, connection, events)


def _closed(connection: Connection, events: Sequence[Event]) -> None:
    _fact(fold.CLOSED, connection, events)


def _merged(connection: Connection, events: Sequence[Event]) -> None:
    _fact(fold.MERGED, connection, events)


def _change_systems(connection: Connection, event: Event, changes: Sequence[_Change]) -> None:
    """Records the changes of one event and brings the systems that they concern up to date."""
    rows = [
        {
            "system_key": one.system_key,
            "seq": event.seq,
            "ordinal": ordinal,
            "effective_on": event.effective_on.isoformat(),
            "change": canonical_json(one.change),
            "fields": one.fields,
        }
        for ordinal, one in enumerate(changes)
    ]
    for part in _parts(sorted({one.system_key for one in changes})):
        concerned = frozenset(part)
        _refold(connection, part, [row for row in rows if row["system_key"] in concerned])


def _refold(connection: Connection, system_keys: Sequence[str], fresh: Sequence[Mapping[str, Any]]) -> None:
    """Adds the fresh rows of `system_changes`, all about these systems, and folds the systems anew."""
    concerned = system_changes.c.system_key.in_(system_keys)
    known = set(connection.execute(select(system_changes.c.system_key).where(concerned).distinct()).scalars())
    insert_rows(connection, system_changes, fresh)
    states = [state for _, state in folded(connection, system_keys=sorted(known))] if known else []
    # A system that nothing was known of yet has no other changes than these: no need to read them back.
    new = sorted((row for row in fresh if row["system_key"] not in known), key=_system_key)
    states += [fold.fold(key, map(_dated, changes)) for key, changes in groupby(new, key=_system_key)]
    if known:
        connection.execute(delete(systems).where(systems.c.system_key.in_(sorted(known))))
    insert_rows(connection, systems, [_system_row(state) for state in states if state is not None])


def _system_key(row: Mapping[str, Any]) -> str:
    return str(row["system_key"])


def folded(
    connection: Connection, *, as_of: date | None = None, system_keys: Sequence[str] = ()
) -> Iterator[tuple[str, fold.SystemState | None]]:
    """Each system's state, in key order; of these systems (empty: all), after the events in effect on `as_of`."""
    query = select(system_changes).order_by(
        system_changes.c.system_key, system_changes.c.seq, system_changes.c.ordinal
    )
    if system_keys:
        query = query.where(system_changes.c.system_key.in_(system_keys))
    if as_of is not None:
        query = query.where(system_changes.c.effective_on <= as_of.isoformat())
    rows: Iterable[Any] = connection.execute(query.execution_options(yield_per=1_000)).mappings()
    for system_key, changes in groupby(rows, key=_system_key):
        yield system_key, fold.fold(system_key, map(_dated, changes))


def _dated(row: Mapping[str, Any]) -> tuple[date, dict[str, Any]]:
    change: dict[str, Any] = json.loads(row["change"])
    if row["fields"] is not None:
        change["fields"] = json.loads(row["fields"])
    return date.fromisoformat(row["effective_on"]), change


def _system_row(state: fold.SystemState) -> dict[str, Any]:
    claim, fields = state.first_claim, state.fields
    return {
        "system_key": state.system_key,
        "name": fields["name"],
        "department": fields.get("department"),
        "ownership": fields.get("ownership"),
        "zone": fields.get("zone"),
        "disposition": fields.get("disposition"),
        "should_migrate": fields.get("should_migrate"),
        "migrated": fields.get("migrated"),
        "closed": state.closed_on is not None,
        "merged": state.merged_on is not None,
        "in_baseline": state.in_baseline,
        "present": state.present,
        "sender": claim.sender,
        "import_id": claim.import_id,
        "sheet": claim.sheet,
        "row": claim.row,
        "fields": canonical_json(fields),
    }


def _text(value: object) -> str | None:
    return None if value is None else canonical_json(value)


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _KEYS_A_QUERY):
        yield keys[start : start + _KEYS_A_QUERY]


LEDGER_PROJECTION = Projection(
    "ledger",
    LEDGER_TABLES,
    {
        kinds.RECEIVED: _received,
        kinds.PROPOSED: _proposed,
        kinds.CLAIMED: _claimed,
        kinds.APPLIED: _applied,
        kinds.SUPERSEDED: _superseded,
        kinds.FOUND: _found,
        kinds.FINDINGS_GONE: _findings_gone,
        kinds.CONFLICTED: _conflicted,
        kinds.CONFLICTS_GONE: _conflicts_gone,
        kinds.SETTLED: _settled,
        kinds.MAPPING_REMEMBERED: _mapping_remembered,
        kinds.SYSTEM_MIGRATED: _migrated,
        kinds.SYSTEM_CLOSED: _closed,
        kinds.SYSTEM_MERGED: _merged,
    },
)
