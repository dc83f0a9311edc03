"""Keeps the assessment's tables in step with the events: one function a kind, no decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from inventory.store.assessment import kinds
from inventory.store.assessment.tables import (
    ASSESSMENT_TABLES,
    cases,
    decisions,
    exceptions,
    measured_files,
    measurements,
    roles,
    traffic,
)
from inventory.store.bulk import insert_rows
from inventory.store.chain import Event, canonical_json
from inventory.store.event_store import Projection

UTILISATION, TRAFFIC = "utilisation", "traffic"
_KEYS_A_QUERY = 400


def _measured(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        found = event.payload["measurements"]
        keys = sorted(found)
        for start in range(0, len(keys), _KEYS_A_QUERY):
            part = keys[start : start + _KEYS_A_QUERY]
            connection.execute(delete(measurements).where(measurements.c.system_key.in_(part)))
        rows = [
            {"system_key": key, "import_id": event.subject, "body": canonical_json(found[key])} for key in keys
        ]
        insert_rows(connection, measurements, rows)
        days = [found[key][name] for key in keys for name in ("first_day", "last_day")]
        _file(connection, event, UTILISATION, (min(days, default=None), max(days, default=None)), keys)


def _traffic_measured(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.payload
        connection.execute(delete(traffic))
        rows = [
            {
                "user_key": flow["user"],
                "used_key": flow["used"],
                "requests": flow["requests"],
                "bytes": flow["bytes"],
            }
            for flow in body["flows"]
        ]
        insert_rows(connection, traffic, rows)
        _file(connection, event, TRAFFIC, (body["first_day"], body["last_day"]), body["observed"])


def _file(
    connection: Connection,
    event: Event,
    kind: str,
    days: tuple[str | None, str | None],
    observed: Sequence[str],
) -> None:
    connection.execute(
        insert(measured_files).values(
            id=event.subject,
            kind=kind,
            number=event.payload["number"],
            filename=event.payload["filename"],
            sha256=event.payload["sha256"],
            first_day=days[0],
            last_day=days[1],
            observed=canonical_json(sorted(observed)),
            recorded_ms=event.recorded_ms,
            actor=event.actor,
        )
    )


def _case_opened(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.payload
        connection.execute(
            insert(cases).values(
                id=event.subject,
                number=body["number"],
                workflow=body["workflow"],
                system_key=body["system_key"],
                rule=body["rule"],
                evidence=canonical_json(body["evidence"]),
                state=body["state"],
                since=event.effective_on.isoformat(),
                history=canonical_json([_step(event, "open")]),
            )
        )


def _case_advanced(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        mine = cases.c.id == event.subject
        row = connection.execute(select(cases.c.history).where(mine)).mappings().one()
        history = [*json.loads(row["history"]), _step(event, event.payload["action"])]
        connection.execute(
            update(cases)
            .where(mine)
            .values(
                state=event.payload["state"],
                since=event.effective_on.isoformat(),
                history=canonical_json(history),
            )
        )


def _step(event: Event, action: str) -> dict[str, Any]:
    body = event.payload
    return {
        "action": action,
        "state": body["state"],
        "day": event.effective_on.isoformat(),
        "actor": event.actor,
        "reason": body["reason"],
        "document": body["document"],
        "sha256": body["sha256"],
    }


def _decided(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.payload
        values = {name: body[name] for name in ("disposition", "proposed", "rule", "reason", "document")}
        day = event.effective_on.isoformat()
        _newest(connection, decisions, event, {**values, "decided_on": day, "decided_by": event.actor})


def _role_declared(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        values = {name: event.payload[name] for name in ("role", "reason", "document")}
        day = event.effective_on.isoformat()
        _newest(connection, roles, event, {**values, "declared_on": day, "declared_by": event.actor})


def _newest(connection: Connection, table: Table, event: Event, values: dict[str, Any]) -> None:
    connection.execute(delete(table).where(table.c.system_key == event.subject))
    connection.execute(insert(table).values(system_key=event.subject, **values))


def _excepted(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        named = ("number", "rule", "subject", "reason", "document", "approver", "expires_on")
        connection.execute(
            insert(exceptions).values(
                id=event.subject,
                granted_on=event.effective_on.isoformat(),
                granted_by=event.actor,
                **{name: event.payload[name] for name in named},
            )
        )


def _told(connection: Connection, events: Sequence[Event]) -> None:
    """No table repeats which notices were sent: `inventory.assessment.notices` reads the events themselves."""


ASSESSMENT_PROJECTION = Projection(
    "assessment",
    ASSESSMENT_TABLES,
    {
        kinds.MEASURED: _measured,
        kinds.TRAFFIC_MEASURED: _traffic_measured,
        kinds.CASE_OPENED: _case_opened,
        kinds.CASE_ADVANCED: _case_advanced,
        kinds.NOTICE_SENT: _told,
        kinds.DECIDED: _decided,
        kinds.EXCEPTED: _excepted,
        kinds.ROLE_DECLARED: _role_declared,
    },
)
