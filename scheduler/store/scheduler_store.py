"""Workloads, runs, pools and plans, as the control plane reads and records them.

A thin layer over `inventory.store`: it forms events from changes, and answers questions from the projections. One
`record` is one transaction, so a group of decisions is durable together and costs one disk flush.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)

from inventory.model.pool import Pool
from inventory.model.workload import Run, RunState, Workload, WorkloadState
from inventory.store.chain import Draft, Event
from inventory.store.engine import is_listed, listed
from inventory.store.event_store import Store
from inventory.store.schema import chain_head, events
from scheduler.core.admission import Known
from scheduler.core.queueing.calendar import (
    Created,
    Defined,
    Ended,
    Ending,
    QueuesInForce,
    Recorded,
    in_force,
)
from scheduler.store.documents import pool_of, run_of, workload_of
from scheduler.store.projection import (
    DEADLINE_MISSED,
    LEADERSHIP_STARTED,
    POOL_LEFT,
    POOL_MAINTAINED,
    QUEUES,
    QUEUES_DEFINED,
    RESERVATION_CREATED,
    RESERVATION_ENDED,
)
from scheduler.store.recording_process import Group, RecordingProcess
from scheduler.store.restoring import id_mark, latest_epoch
from scheduler.store.schema import adapter_cursors, pools, runs, wave_plans, workloads

_LOOKUP_CHUNK = 500
_LIVE_PAGE = 5_000
# Made once: making a statement costs as much as executing it.
_BY_KEY = {
    dialect: select(workloads).where(
        workloads.c.queue == bindparam("of_queue"), is_listed(dialect, workloads.c.client_key, "wanted")
    )
    for dialect in ("sqlite", "postgresql")
}
_BY_ID = {
    dialect: select(workloads).where(is_listed(dialect, workloads.c.workload_id, "wanted"))
    for dialect in ("sqlite", "postgresql")
}
_DROP_CURSOR = delete(adapter_cursors).where(adapter_cursors.c.pool_id == bindparam("of_pool"))
_KEEP_CURSOR = insert(adapter_cursors)
_FINAL = tuple(state.value for state in WorkloadState if state.is_final)


@dataclass(frozen=True, slots=True)
class StoredPool:
    """A registered pool; `admission` is open, cordoned or draining."""

    pool: Pool
    endpoint: str
    admission: str


@dataclass(frozen=True, slots=True)
class StoredPlan:
    plan_id: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leadership:
    """One start of a control plane: its fencing epoch, higher than any before, and where numbering goes on.

    `installation` tells this database's ids from those of every other: it is taken from the hash of the first
    event, so that two installations may share a pool.
    """

    epoch: int
    installation: str
    last_number: int


@dataclass(slots=True)
class Batch:
    """What one transaction records: events, in order, and the adapter cursors that they go with."""

    drafts: list[Draft] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)


class Deposed(Exception):
    """A newer control plane leads on this store: this one must write nothing more, and end."""


class SchedulerStore:
    def __init__(self, store: Store, recording: RecordingProcess | None = None) -> None:
        """`recording` takes what is large (`scheduler.store.recording_process`), where there is one."""
        self.store = store
        self._recording = recording
        self._epoch = 0
        self.seen_seq = 0
        """The last event that is known to this one: whoever led before wrote up to there."""

    def close(self) -> None:
        if self._recording is not None:
            self._recording.close()
        self.store.close()

    def start_leadership(self, actor: str, now_ms: int) -> Leadership:
        """Raises the fencing epoch by one, durably, and says where to go on."""
        with self.store.transaction() as tx:
            before = latest_epoch(tx.connection)
            tx.append([Draft(LEADERSHIP_STARTED, actor, {"epoch": before + 1})], actor=actor, recorded_ms=now_ms)
            last = tx.connection.execute(select(func.coalesce(func.max(workloads.c.number), 0))).scalar_one()
            mark = id_mark(tx.connection)
        self.lead(before + 1, tx.head.seq)
        return Leadership(epoch=before + 1, installation=mark, last_number=last)

    def lead(self, epoch: int, seen_seq: int) -> None:
        """From now on what is recorded is of this epoch; up to `seen_seq` nobody led since."""
        self._epoch, self.seen_seq = epoch, seen_seq

    def record(self, batch: Batch, *, actor: str, now_ms: int) -> int:
        """One transaction; how many events it has recorded. Raises Deposed when another control plane began to lead since
        `start_leadership`."""
        recording = self._recording
        if recording is not None and len(batch.drafts) >= recording.large and recording.is_ready():
            drafts = list(map(tuple, batch.drafts))
            group = Group(self._epoch, self.seen_seq, drafts, batch.cursors, actor, now_ms)
            self.seen_seq = recording.record(group)
            return len(drafts)
        with self.store.transaction() as tx:
            self._require_leadership(tx.connection, tx.head.seq)
            recorded = tx.append(batch.drafts, actor=actor, recorded_ms=now_ms)
            for pool_id, cursor in batch.cursors.items():
                tx.connection.execute(_DROP_CURSOR, {"of_pool": pool_id})
                tx.connection.execute(_KEEP_CURSOR, {"pool_id": pool_id, "cursor": cursor})
        self.seen_seq = tx.head.seq
        return len(recorded)

    def require_leadership(self) -> None:
        """Raises Deposed as `record` does, and writes nothing: a leader that has nothing to store asks now and then."""
        with self.store.connect() as connection:
            head_seq = connection.execute(select(chain_head.c.seq)).scalar_one()
            self._require_leadership(connection, head_seq)

    def _require_leadership(self, connection: Connection, head_seq: int) -> None:
        """Looks only at what others have recorded since our last transaction: mostly nothing."""
        if head_seq == self.seen_seq:
            return
        newer = select(events.c.seq).where(
            events.c.seq > self.seen_seq, events.c.seq <= head_seq, events.c.kind == LEADERSHIP_STARTED
        )
        if self._epoch and connection.execute(newer.limit(1)).first() is not None:
            raise Deposed(
                f"另一个控制平面已接管此数据库，第 {self._epoch} 任在此结束 / another control plane leads on this "
                f"database now; the one of epoch {self._epoch} ends"
            )

    def live(self) -> Iterator[tuple[Workload, tuple[Run, ...]]]:
        """Workloads that are not finished, oldest first, and then those whose run has not ended all the same; with their
        runs. A page at a time: a million rows do not lie in memory."""
        ended = tuple(state.value for state in RunState if state.is_final)
        unended = select(runs.c.workload_id).where(runs.c.state.not_in(ended))
        outlived = select(workloads).where(
            workloads.c.state.in_(_FINAL), workloads.c.workload_id.in_(unended.scalar_subquery())
        )
        unfinished = select(workloads).where(workloads.c.state.not_in(_FINAL)).order_by(workloads.c.number)
        with self.store.connect() as connection:
            after = 0
            while (
                rows := connection.execute(unfinished.where(workloads.c.number > after).limit(_LIVE_PAGE))
                .mappings()
                .all()
            ):
                yield from _with_runs(connection, rows)
                after = rows[-1]["number"]
            yield from _with_runs(connection, connection.execute(outlived).mappings().all())

    def lookup(self, keys: Iterable[tuple[str, str]], ids: Sequence[str]) -> Known:
        """Stored workloads by (queue, client key) and by id; unknown ones are absent."""
        by_key: dict[tuple[str, str], Workload] = {}
        by_id: dict[str, Workload] = {}
        keys_of: dict[str, list[str]] = {}
        for queue, key in keys:
            keys_of.setdefault(queue, []).append(key)
        if not keys_of and not ids:
            return Known(by_key, by_id)
        dialect = self.store.engine.dialect.name
        with self.store.connect() as connection:
            for queue, wanted in keys_of.items():
                values = {"of_queue": queue, "wanted": listed(dialect, wanted)}
                for row in connection.execute(_BY_KEY[dialect], values).mappings():
                    by_key[queue, row["client_key"]] = workload_of(row)
            if ids:
                for row in connection.execute(_BY_ID[dialect], {"wanted": listed(dialect, ids)}).mappings():
                    by_id[row["workload_id"]] = workload_of(row)
        return Known(by_key, by_id)

    def workload(self, workload_id: str) -> tuple[Workload, tuple[Run, ...]] | None:
        with self.store.connect() as connection:
            query = select(workloads).where(workloads.c.workload_id == workload_id)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            return workload_of(row), _runs_of(connection, [workload_id]).get(workload_id, ())

    def page(
        self,
        queue: str,
        states: frozenset[WorkloadState],
        after_number: int,
        size: int,
        array_id: str = "",
        within: Collection[str] = (),
    ) -> tuple[tuple[tuple[Workload, tuple[Run, ...]], ...], int | None]:
        """At most `size` workloads after a number, and the number to go on from (None: that was all).

        The elements of the array `array_id`, or, where it is empty, everything but elements. `within`: only queues in
        one of these subtrees; empty: all.
        """
        query = (
            select(workloads).where(workloads.c.number > after_number).order_by(workloads.c.number).limit(size + 1)
        )
        query = query.where(workloads.c.array_id == array_id if array_id else workloads.c.array_id.is_(None))
        if queue:
            query = query.where(workloads.c.queue == queue)
        if within:
            query = query.where(or_(*(_lies_in(path) for path in within)))
        if states:
            query = query.where(workloads.c.state.in_(sorted(states)))
        with self.store.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
            shown = rows[:size]
            runs_of = _runs_of(connection, [row["workload_id"] for row in shown])
        records = tuple((workload_of(row), runs_of.get(row["workload_id"], ())) for row in shown)
        return records, shown[-1]["number"] if len(rows) > size else None

    def recent(self, limit: int) -> tuple[list[Workload], list[tuple[Workload, Run]]]:
        """The newest workloads, and the newest that succeeded with each of their runs; oldest of them first."""
        newest = select(workloads).order_by(workloads.c.number.desc()).limit(limit)
        with self.store.connect() as connection:
            arrived = [workload_of(row) for row in connection.execute(newest).mappings()][::-1]
            ended = newest.where(workloads.c.state == WorkloadState.SUCCEEDED.value)
            succeeded = [workload_of(row) for row in connection.execute(ended).mappings()][::-1]
            runs_of = _runs_of(connection, [one.workload_id for one in succeeded])
        return arrived, [(one, run) for one in succeeded for run in runs_of.get(one.workload_id, ())]

    def element_counts(self, array_ids: Sequence[str]) -> Mapping[str, Mapping[WorkloadState, int]]:
        """How many elements of each array are in each state. Arrays without elements are absent."""
        counted: dict[str, dict[WorkloadState, int]] = {}
        columns = (workloads.c.array_id, workloads.c.state)
        with self.store.connect() as connection:
            for start in range(0, len(array_ids), _LOOKUP_CHUNK):
                chunk = array_ids[start : start + _LOOKUP_CHUNK]
                query = select(*columns, func.count()).where(workloads.c.array_id.in_(chunk)).group_by(*columns)
                for array_id, state, count in connection.execute(query):
                    counted.setdefault(array_id, {})[WorkloadState(state)] = int(count)
        return counted

    def missed_deadlines(self, workload_ids: Sequence[str]) -> frozenset[str]:
        """Which of these were told to have missed their deadline."""
        missed: set[str] = set()
        with self.store.connect() as connection:
            for start in range(0, len(workload_ids), _LOOKUP_CHUNK):
                chunk = workload_ids[start : start + _LOOKUP_CHUNK]
                query = select(events.c.subject).where(
                    events.c.kind == DEADLINE_MISSED, events.c.subject.in_(chunk)
                )
                missed |= set(connection.execute(query).scalars())
        return frozenset(missed)

    def pools(self) -> tuple[StoredPool, ...]:
        with self.store.connect() as connection:
            rows = connection.execute(select(pools).order_by(pools.c.pool_id)).mappings().all()
        return tuple(
            StoredPool(pool_of(json.loads(row["declaration"])), row["endpoint"], row["admission"]) for row in rows
        )

    def maintenance(self) -> Mapping[str, list[dict[str, Any]]]:
        """The maintenance windows that were last stated, by pool."""
        query = select(events.c.subject, events.c.payload).where(events.c.kind.in_((POOL_MAINTAINED, POOL_LEFT)))
        with self.store.connect() as connection:
            rows = connection.execute(query.order_by(events.c.seq)).all()
        return {row.subject: json.loads(row.payload).get("windows", []) for row in rows}

    def cursor(self, pool_id: str) -> str:
        """Where to resume the pool's stream; empty when it was never read."""
        query = select(adapter_cursors.c.cursor).where(adapter_cursors.c.pool_id == pool_id)
        with self.store.connect() as connection:
            return connection.execute(query).scalar_one_or_none() or ""

    def queues(self) -> Mapping[str, Any] | None:
        """The newest queue document; None when none was ever applied."""
        query = (
            select(events.c.payload).where(events.c.kind == QUEUES_DEFINED).order_by(events.c.seq.desc()).limit(1)
        )
        with self.store.connect() as connection:
            payload = connection.execute(query).scalar_one_or_none()
        document: Mapping[str, Any] | None = None if payload is None else json.loads(payload)["document"]
        return document

    def queues_in_force(self) -> QueuesInForce:
        """The newest document of queues with every reservation, as the events since say."""
        found: list[Event] = []
        while page := self.store.read(found[-1].seq if found else 0, subject=QUEUES):
            found += page
        newest = max((event.seq for event in found if event.kind == QUEUES_DEFINED), default=0)
        # Documents before the newest one hold no more, so they are not parsed.
        lasting = (event for event in found if event.seq == newest or event.kind != QUEUES_DEFINED)
        return in_force(_recorded(event) for event in lasting)

    def newest_plan(self) -> StoredPlan | None:
        query = select(wave_plans).order_by(wave_plans.c.number.desc()).limit(1)
        with self.store.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else StoredPlan(row["plan_id"], json.loads(row["document"]))

    def plan_count(self) -> int:
        with self.store.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(wave_plans)).scalar_one())


def _lies_in(path: str) -> ColumnElement[bool]:
    """Whether the queue is this one or below it. By characters: LIKE would not tell upper from lower case."""
    below = f"{path}/"
    return or_(workloads.c.queue == path, func.substr(workloads.c.queue, 1, len(below)) == below)


def _recorded(event: Event) -> Recorded:
    """An event about queues. Raises ValueError for a kind that is none of theirs."""
    said = event.payload
    if event.kind == QUEUES_DEFINED:
        return Defined(said["document"], event.actor, event.recorded_ms)
    if event.kind == RESERVATION_CREATED:
        return Created(said["reservation"], event.actor, event.recorded_ms)
    if event.kind == RESERVATION_ENDED:
        return Ended(said["reservation_id"], Ending(event.actor, said["reason"], event.recorded_ms))
    raise ValueError(f"event {event.seq} of kind {event.kind!r} is not about queues; upgrade this program")


def _with_runs(connection: Connection, rows: Sequence[RowMapping]) -> Iterator[tuple[Workload, tuple[Run, ...]]]:
    runs_of = _runs_of(connection, [row["workload_id"] for row in rows])
    for row in rows:
        yield workload_of(row), runs_of.get(row["workload_id"], ())


def _runs_of(connection: Connection, workload_ids: Sequence[str]) -> dict[str, tuple[Run, ...]]:
    dialect = connection.dialect.name
    query = select(runs).where(is_listed(dialect, runs.c.workload_id, "wanted"))
    found: dict[str, list[Run]] = {}
    in_order = query.order_by(runs.c.workload_id, runs.c.attempt)
    for row in connection.execute(in_order, {"wanted": listed(dialect, workload_ids)}).mappings():
        found.setdefault(row["workload_id"], []).append(run_of(row))
    return {workload_id: tuple(group) for workload_id, group in found.items()}
