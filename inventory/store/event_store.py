"""The append-only store of events, and the projections that are kept in step with them.

Everything that is stored goes through `Store.transaction`: intake, resolutions, workloads, runs. An event and
what the projections make of it are committed together or not at all; one commit is one disk flush, however many
events it carries. Any number of processes may append: each takes the row of `chain_head` first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import groupby

from sqlalchemy import Connection, Engine, RowMapping, Table, bindparam, select, update

from inventory.store.attribution import asked_by, current
from inventory.store.bulk import insert_values
from inventory.store.chain import Draft, Event, Head, link_all
from inventory.store.engine import reading, translated, writing
from inventory.store.errors import UnknownEventKind
from inventory.store.schema import chain_head, events

Apply = Callable[[Connection, Sequence[Event]], None]
PAGE = 1_000
# Made once: making a statement costs as much as executing it, and every transaction needs these.
_HEAD = select(chain_head.c.seq, chain_head.c.hash)
_LOCKED_HEAD = _HEAD.with_for_update()
_MOVE_HEAD = update(chain_head).values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
# An event of an import holds hundreds of ledger rows: whoever streams all events takes few at a time.
STREAM_PAGE = 50


@dataclass(frozen=True)
class Projection:
    """Tables that are a function of the events.

    `apply` maps each kind that concerns this projection to a function that changes `tables` and nothing else,
    reading nothing but its events and `tables`. It gets runs of consecutive events of that one kind, in order, so
    that it can use executemany; how the runs are cut is up to the store and must not matter to the result.
    """

    name: str
    tables: tuple[Table, ...]
    apply: Mapping[str, Apply]
    # For tables whose events may be archived: the column that holds the subject of the events that made a row.
    subjects: Mapping[str, str] = field(default_factory=dict)


class Transaction:
    """A write transaction, alone in the whole database until it ends. Made by `Store.transaction` only.

    `connection` serves queries and guards: what it reads cannot change before the commit.
    """

    def __init__(self, connection: Connection, projector: Projector) -> None:
        self.connection = connection
        self.head = Head(*connection.execute(_LOCKED_HEAD).one())
        self._stored_head = self.head
        self._projector = projector
        self._failed = False

    def append(self, drafts: Iterable[Draft], *, actor: str, recorded_ms: int) -> tuple[Event, ...]:
        """Records the drafts in order and applies them to the projections. Durable when the transaction ends.

        On behalf of a request (`inventory.store.attribution`) each event names that request.
        Raises UnknownEventKind, or ValueError for a payload that is not JSON. After any error in here the whole
        transaction can only be rolled back.
        """
        try:
            on_behalf_of = current()
            if on_behalf_of is not None:
                drafts = [asked_by(one, actor, on_behalf_of) for one in drafts]
            recorded = link_all(self.head, drafts, actor=actor, recorded_ms=recorded_ms)
            if recorded:
                self.head = Head(recorded[-1].seq, recorded[-1].hash)
                self._projector.check(recorded)
                insert_values(self.connection, events, _COLUMNS, [_values_of(event) for event in recorded])
                self._projector.apply(self.connection, recorded)
        except BaseException:
            self._failed = True
            raise
        return tuple(recorded)

    def close(self) -> None:
        """Writes the new end of the chain; the store calls it right before the commit."""
        if self._failed:
            raise RuntimeError(
                "an append in this transaction failed and was caught: nothing of it may be committed"
            )
        if self.head != self._stored_head:
            self.connection.execute(_MOVE_HEAD, {"to_seq": self.head.seq, "to_hash": self.head.hash})


class Projector:
    """Hands events to the projections that asked for their kind."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._appliers: dict[str, list[Apply]] = {}
        for projection in projections:
            for kind, apply in projection.apply.items():
                self._appliers.setdefault(kind, []).append(apply)
        self.kinds = frozenset(self._appliers)

    def check(self, recorded: Iterable[Event]) -> None:
        for kind in {event.kind for event in recorded}:
            if kind not in self.kinds:
                raise UnknownEventKind(kind, self.kinds)

    def apply(self, connection: Connection, recorded: Iterable[Event]) -> None:
        for kind, run in groupby(recorded, key=lambda event: event.kind):
            batch = tuple(run)
            if kind not in self.kinds:
                raise UnknownEventKind(kind, self.kinds)
            for apply in self._appliers[kind]:
                apply(connection, batch)


class Store:
    """The one door to the database. Thread-safe; a transaction belongs to the thread that opened it."""

    def __init__(self, engine: Engine, projections: Sequence[Projection]) -> None:
        self.engine = engine
        self.projections = tuple(projections)
        self.projector = Projector(self.projections)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commits when the block ends, rolls back when it raises.

        Raises Locked when another writer holds the database for longer than the engine's lock wait.
        """
        with writing(self.engine) as connection:
            transaction = Transaction(connection, self.projector)
            yield transaction
            transaction.close()

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection for reading: one unchanging state of the database as long as the block lasts."""
        return reading(self.engine)

    def read(
        self,
        after_seq: int = 0,
        limit: int = PAGE,
        *,
        kinds: Collection[str] = (),
        subject: str | None = None,
    ) -> tuple[Event, ...]:
        """At most `limit` events after `after_seq`, in order: of these kinds (empty: all), of this subject."""
        with self.connect() as connection:
            return read_events(connection, after_seq, limit, kinds=kinds, subject=subject)

    def head(self) -> Head:
        with self.connect() as connection:
            return read_head(connection)

    def close(self) -> None:
        with translated(self.engine):
            self.engine.dispose()


def read_head(connection: Connection) -> Head:
    return Head(*connection.execute(_HEAD).one())


def read_events(
    connection: Connection,
    after_seq: int,
    limit: int,
    *,
    kinds: Collection[str] = (),
    subject: str | None = None,
) -> tuple[Event, ...]:
    """Archived events are left out: what they said is not here any more."""
    query = (
        select(events).where(events.c.seq > after_seq, events.c.payload != "").order_by(events.c.seq).limit(limit)
    )
    if kinds:
        query = query.where(events.c.kind.in_(sorted(kinds)))
    if subject is not None:
        query = query.where(events.c.subject == subject)
    return tuple(event_of(row) for row in connection.execute(query).mappings())


def stream_events(connection: Connection) -> Iterator[tuple[Event, ...]]:
    """All events in order, a page at a time, so that a long history never lies in memory. Archived ones among them, with
    an empty payload."""
    query = select(events).order_by(events.c.seq).limit(STREAM_PAGE)
    after = 0
    while rows := connection.execute(query.where(events.c.seq > after)).mappings().all():
        yield tuple(event_of(row) for row in rows)
        after = rows[-1]["seq"]


_COLUMNS = (
    "seq",
    "kind",
    "subject",
    "payload",
    "effective_on",
    "recorded_ms",
    "actor",
    "previous_hash",
    "hash",
)


_iso = lru_cache(maxsize=64)(date.isoformat)


def _values_of(event: Event) -> tuple[object, ...]:
    """Of the columns above."""
    return (
        event.seq,
        event.kind,
        event.subject,
        event.payload_json,
        _iso(event.effective_on),
        event.recorded_ms,
        event.actor,
        event.previous_hash,
        event.hash,
    )


def event_of(row: RowMapping) -> Event:
    """The event of a row of `events`."""
    return Event(
        seq=row["seq"],
        kind=row["kind"],
        subject=row["subject"],
        payload_json=row["payload"],
        effective_on=date.fromisoformat(row["effective_on"]),
        recorded_ms=row["recorded_ms"],
        actor=row["actor"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )
