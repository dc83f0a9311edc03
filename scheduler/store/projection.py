"""The scheduler's events and what they make of its tables.

`scheduler.store.scheduler_store` records the drafts that this module forms; the store applies them here, at once
and again whenever the projections are rebuilt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from inventory.model.pool import Pool
from inventory.model.workload import WorkloadState
from inventory.store.archived import EVENTS_ARCHIVED
from inventory.store.bulk import insert_rows, insert_values, update_values
from inventory.store.chain import Draft, Event, JsonText, canonical_json
from inventory.store.event_store import Projection
from scheduler.core.changes import (
    Change,
    DeadlineMissed,
    RunChanged,
    RunPlaced,
    WorkloadChanged,
    WorkloadSubmitted,
)
from scheduler.core.migration.run import ChangeKind
from scheduler.store.access_events import ACCESS_ISSUED, ACCESS_REVOKED
from scheduler.store.body_texts import BodyTexts
from scheduler.store.documents import pool_document, run_document
from scheduler.store.schema import pools, runs, wave_plans, workloads

WORKLOAD_SUBMITTED = "workload.submitted"
WORKLOAD_CHANGED = "workload.changed"
DEADLINE_MISSED = "workload.deadline_missed"
RUN_PLACED = "run.placed"
RUN_CHANGED = "run.changed"
POOL_REGISTERED = "pool.registered"
POOL_ADMISSION_CHANGED = "pool.admission_changed"
POOL_HEALTH_CHANGED = "pool.health_changed"
POOL_MAINTAINED = "pool.maintained"
POOL_LEFT = "pool.left"
LEADERSHIP_STARTED = "leadership.started"
QUEUES = "queues"
QUEUES_DEFINED = "queues.defined"
RESERVATION_CREATED = "reservation.created"
RESERVATION_ENDED = "reservation.ended"
WAVES_PLANNED = "migration.waves_planned"
WAVE_STARTED = "migration.wave_started"  # of earlier releases, whose chains are still read


_BODIES = BodyTexts()
_PLACED_COLUMNS = tuple(column.name for column in runs.c if column.name not in ("nodes", "failure"))
_PLACED_VALUES = itemgetter(*_PLACED_COLUMNS)
_CHANGED_COLUMNS = ("state", "exit_code", "message", "started_ms", "ended_ms")
_CHANGED_VALUES = itemgetter(*_CHANGED_COLUMNS)
_STANDING = ("state", "message", "workload_id")
_KEPT_COLUMNS = frozenset({"started_ms"})


def draft_of(change: Change) -> Draft:
    """The event of a change. Called by one thread, the writer's."""
    match change:
        case WorkloadSubmitted(workload):
            submitted: dict[str, object] = {
                "state": workload.state.value,
                "submitted_ms": workload.submitted_ms,
                "body": _BODIES.of(workload),
            }
            return Draft(WORKLOAD_SUBMITTED, workload.workload_id, submitted)
        case WorkloadChanged(workload_id, state, message):
            return Draft(WORKLOAD_CHANGED, workload_id, {"state": state.value, "message": message})
        case RunPlaced(run):
            placed = run_document(run)
            placed["nodes"] = _nodes_text(run.nodes)
            return Draft(RUN_PLACED, run.workload_id, placed)
        case RunChanged():
            changed: dict[str, object] = {
                "run_id": change.run_id,
                "state": change.state.value,
                "exit_code": change.exit_code,
                "message": change.message,
                "started_ms": change.started_ms,
                "ended_ms": change.ended_ms,
            }
            if change.failure is not None:
                changed["failure"] = change.failure.value
            return Draft(RUN_CHANGED, workload_id_of(change.run_id), changed)
        case DeadlineMissed(workload_id, finish_by_ms):
            return Draft(DEADLINE_MISSED, workload_id, {"finish_by_ms": finish_by_ms})


# Runs of one task, which most are, share few lists of nodes.


@lru_cache(maxsize=4096)
def _nodes_text(nodes: tuple[str, ...]) -> JsonText:
    """As an event says it."""
    return JsonText(canonical_json(nodes))


@lru_cache(maxsize=4096)
def _nodes_column(nodes: tuple[str, ...]) -> str:
    """As the table of runs says it."""
    return json.dumps(nodes)


def workload_id_of(run_id: str) -> str:
    """A run id is its workload's id, a dot, and the attempt."""
    return run_id.rpartition(".")[0]


def workload_id_at(installation: str, number: int) -> str:
    return f"w-{installation}-{number}"


def number_of(workload_id: str) -> int:
    """The number that ends a workload id. Numbers rise in the order of acceptance and may have gaps: a group that
    could not be stored has used up its own."""
    return int(workload_id.rpartition("-")[2])


def pool_registered(pool: Pool, endpoint: str) -> Draft:
    return Draft(POOL_REGISTERED, pool.pool_id, {"declaration": pool_document(pool), "endpoint": endpoint})


def pool_admission_changed(pool_id: str, admission: str, reason: str) -> Draft:
    return Draft(POOL_ADMISSION_CHANGED, pool_id, {"admission": admission, "reason": reason})


def pool_maintained(pool_id: str, windows: Sequence[Mapping[str, object]]) -> Draft:
    """All windows of the pool: the newest list holds."""
    return Draft(POOL_MAINTAINED, pool_id, {"windows": list(windows)})


def pool_left(pool_id: str, reason: str) -> Draft:
    return Draft(POOL_LEFT, pool_id, {"reason": reason})


def pool_health_changed(pool_id: str, health: str, message: str) -> Draft:
    return Draft(POOL_HEALTH_CHANGED, pool_id, {"health": health, "message": message})


def queues_defined(document: object, reason: str = "") -> Draft:
    """The whole document (`scheduler.core.queueing.document`): the newest one holds."""
    return Draft(QUEUES_DEFINED, QUEUES, {"document": document, "reason": reason})


def reservation_created(form: object) -> Draft:
    """`form` is that of one reservation in the document of queues. Its subject is the document's, so that a start
    finds all that is in force by the index of subjects."""
    return Draft(RESERVATION_CREATED, QUEUES, {"reservation": form})


def reservation_ended(reservation_id: str, reason: str) -> Draft:
    return Draft(RESERVATION_ENDED, QUEUES, {"reservation_id": reservation_id, "reason": reason})


def waves_planned(plan_id: str, document: object, repairs: object = None) -> Draft:
    """`repairs`: where the plan repairs another one, which, what changed, and the price."""
    body = {"document": document} if repairs is None else {"document": document, "repairs": repairs}
    return Draft(WAVES_PLANNED, plan_id, body)


def _submitted(connection: Connection, events: Sequence[Event]) -> None:
    rows = []
    for event in events:
        said = orjson.loads(event.payload_json)
        body = said["body"]
        rows.append(
            {
                "workload_id": event.subject,
                "number": number_of(event.subject),
                "queue": body["queue"],
                "client_key": body["client_key"],
                "state": said["state"],
                "message": "",
                "submitted_ms": said["submitted_ms"],
                "body": orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode(),
                "array_id": body["element"][0] if "element" in body else None,
            }
        )
    insert_rows(connection, workloads, rows)


def _workload_changed(connection: Connection, events: Sequence[Event]) -> None:
    values = [(event.payload["state"], event.payload["message"], event.subject) for event in events]
    update_values(connection, workloads, _STANDING, values)


def _placed(connection: Connection, events: Sequence[Event]) -> None:
    values = []
    for event in events:
        said = orjson.loads(event.payload_json)
        values.append((*_PLACED_VALUES(said), _nodes_column(tuple(said["nodes"]))))
    insert_values(connection, runs, (*_PLACED_COLUMNS, "nodes"), values)
    active = WorkloadState.ACTIVE.value
    update_values(connection, workloads, _STANDING, [(active, "", event.subject) for event in events])


def _run_changed(connection: Connection, events: Sequence[Event]) -> None:
    said = (event.payload for event in events)
    values = [(*_CHANGED_VALUES(one), one.get("failure"), one["run_id"]) for one in said]
    # A later report need not repeat when the run started.
    update_values(connection, runs, (*_CHANGED_COLUMNS, "failure", "run_id"), values, kept=_KEPT_COLUMNS)


def _pool_registered(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        known = connection.execute(
            select(pools.c.admission).where(pools.c.pool_id == event.subject)
        ).scalar_one_or_none()
        connection.execute(delete(pools).where(pools.c.pool_id == event.subject))
        row = {
            "pool_id": event.subject,
            "declaration": json.dumps(event.payload["declaration"], ensure_ascii=False, sort_keys=True),
            "endpoint": event.payload["endpoint"],
            "admission": known or "open",
        }
        connection.execute(insert(pools), row)


def _pool_admission_changed(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        connection.execute(
            update(pools).where(pools.c.pool_id == event.subject).values(admission=event.payload["admission"])
        )


def _pool_left(connection: Connection, events: Sequence[Event]) -> None:
    connection.execute(delete(pools).where(pools.c.pool_id.in_([event.subject for event in events])))


def _waves_planned(connection: Connection, events: Sequence[Event]) -> None:
    last = connection.execute(select(func.coalesce(func.max(wave_plans.c.number), 0))).scalar_one()
    rows = [
        {
            "plan_id": event.subject,
            "number": number,
            "document": json.dumps(event.payload["document"], ensure_ascii=False, sort_keys=True),
            "actor": event.actor,
            "made_ms": event.recorded_ms,
        }
        for number, event in enumerate(events, start=last + 1)
    ]
    connection.execute(insert(wave_plans), rows)


def _only_recorded(connection: Connection, events: Sequence[Event]) -> None:
    """Facts that matter as history and change no table."""


SCHEDULER = Projection(
    name="scheduler",
    tables=(workloads, runs, pools, wave_plans),
    subjects={"workloads": "workload_id", "runs": "workload_id"},
    apply={
        WORKLOAD_SUBMITTED: _submitted,
        WORKLOAD_CHANGED: _workload_changed,
        DEADLINE_MISSED: _only_recorded,
        RUN_PLACED: _placed,
        RUN_CHANGED: _run_changed,
        POOL_REGISTERED: _pool_registered,
        POOL_ADMISSION_CHANGED: _pool_admission_changed,
        POOL_HEALTH_CHANGED: _only_recorded,
        POOL_MAINTAINED: _only_recorded,
        POOL_LEFT: _pool_left,
        LEADERSHIP_STARTED: _only_recorded,
        EVENTS_ARCHIVED: _only_recorded,
        QUEUES_DEFINED: _only_recorded,
        RESERVATION_CREATED: _only_recorded,
        RESERVATION_ENDED: _only_recorded,
        WAVES_PLANNED: _waves_planned,
        WAVE_STARTED: _only_recorded,
        ACCESS_ISSUED: _only_recorded,
        ACCESS_REVOKED: _only_recorded,
        # A migration run is the fold of its events (`scheduler.core.migration.run`): no table repeats it.
        **{kind.value: _only_recorded for kind in ChangeKind},
    },
)
