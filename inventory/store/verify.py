"""Judges a store: is the chain whole, and are the projections what the events say? And rebuilds them if not.

`xisuan verify` calls `verify` and prints where events and projections first differ. The judge trusts nothing that
was computed at the time of writing: hashes are recomputed from the bytes in the columns, projections are built
anew in a scratch database and compared row by row. Both are streamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    StaticPool,
    String,
    Table,
    cast,
    create_engine,
    delete,
    func,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from inventory.store.archived import Archived
from inventory.store.chain import Head, event_hash
from inventory.store.engine import writing
from inventory.store.event_store import PAGE, STREAM_PAGE, Projector, Store, stream_events
from inventory.store.schema import chain_head, events, metadata


class Fault(StrEnum):
    """How the chain is broken at an event."""

    ALTERED = "altered"  # the hash does not fit the event's own fields
    MISSING = "missing"  # a number is left out
    REORDERED = "reordered"  # the event does not follow the one before it
    HEAD = "head"  # the recorded end of the chain is not its last event: events were cut off, or put on


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first place where the chain does not hold. `seq` is the number of the event that is wrong or absent."""

    seq: int
    fault: Fault
    chinese: str
    english: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row of a table that is not what the events say.

    `key` is the row's primary key. `column` is None when the whole row is missing from the store (`stored` is
    None) or should not be there (`rebuilt` is None).
    """

    projection: str
    table: str
    key: tuple[object, ...]
    column: str | None
    stored: object
    rebuilt: object


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict. Projections are compared only where the chain holds: `differences` has one entry a table."""

    head: Head
    chain_break: ChainBreak | None
    differences: tuple[Difference, ...]
    rows_compared: int
    # Events whose content lies in archives, and whether it was read and verified too.
    archived: int = 0
    archives_read: bool = False

    @property
    def holds(self) -> bool:
        return self.chain_break is None and not self.differences


def verify(store: Store, *, anchor: Head | None = None, archives: Path | None = None) -> Verification:
    """Recomputes everything. Changes nothing.

    `anchor` is a head that somebody wrote down earlier: the chain must still contain it. Without one, a history
    that was replaced as a whole (its hashes and the head with it) cannot be told from a true one.

    `archives` is the folder of archived events, whose content is verified like all other. Without it their hashes are,
    link by link, and rows that they alone explain are not compared. Raises ArchiveUnusable for a file that is not as the
    chain names it.
    """
    with store.connect() as connection:
        archived = Archived.of(connection, archives)
        end, broken = _check_chain(connection, anchor, archived)
        if broken is not None:
            return Verification(end, broken, (), 0)
        with _scratch(store) as scratch:
            with scratch.begin() as rebuilt:
                replay(connection, rebuilt, store.projector, archived)
            with scratch.connect() as rebuilt:
                differences, rows = _compare(store, connection, rebuilt, archived.unexplained)
    return Verification(end, None, differences, rows, archived.count, archives is not None)


def rebuild_projections(store: Store) -> int:
    """Empties the tables of all projections and fills them again from the events, in one transaction.

    Returns the number of events applied. The chain is not checked: call `verify` for that.
    """
    with writing(store.engine) as connection:
        connection.execute(select(chain_head).with_for_update())  # keeps every writer out until we commit
        for projection in reversed(store.projections):
            for table in reversed(projection.tables):
                connection.execute(delete(table))
        return replay(connection, connection, store.projector)


def replay(source: Connection, target: Connection, projector: Projector, archived: Archived | None = None) -> int:
    """Archived events are applied with what their files say, and left out where those are not at hand."""
    count = 0
    for page in stream_events(source):
        whole = page if archived is None else tuple(archived.restored(page))
        present = tuple(event for event in whole if event.payload_json)
        projector.apply(target, present)
        count += len(present)
    return count


def _check_chain(
    connection: Connection, anchor: Head | None, archived: Archived
) -> tuple[Head, ChainBreak | None]:
    """The last event up to which the chain holds, and the break right behind it."""
    end = Head()
    for seq, stored_previous, stored_hash, fields in _raw_events(connection):
        is_archived = not fields[-1] and archived.names(seq)
        broken = _check_link(end, seq, (stored_previous, stored_hash), None if is_archived else fields)
        if broken is not None:
            return end, broken
        end = Head(seq, stored_hash)
        if anchor is not None and anchor.seq == seq and anchor.hash != stored_hash:
            return end, ChainBreak(
                seq,
                Fault.ALTERED,
                f"事件 {seq} 与记下的哈希不符，历史已被整体改写",
                f"event {seq} has another hash than the one written down: the history was replaced",
            )
    return end, _check_end(connection, end, anchor)


def _check_link(
    end: Head, seq: int, stored: tuple[str, str], fields: tuple[bytes, ...] | None
) -> ChainBreak | None:
    """`fields` None: the event is archived, and its file is held to the hash that stands here."""
    previous_hash, own_hash = stored
    expected = end.seq + 1
    if seq != expected:
        return ChainBreak(
            expected,
            Fault.MISSING,
            f"缺少事件 {expected}（其后是 {seq}）",
            f"event {expected} is missing (event {seq} comes next)",
        )
    if fields is not None and event_hash(fields) != own_hash:
        return ChainBreak(
            seq, Fault.ALTERED, f"事件 {seq} 被改动", f"event {seq} was altered: its hash does not fit its fields"
        )
    if previous_hash != end.hash:
        return ChainBreak(
            seq,
            Fault.REORDERED,
            f"事件 {seq} 未接在事件 {end.seq} 之后",
            f"event {seq} does not follow event {end.seq}: it was made after another one",
        )
    return None


def _check_end(connection: Connection, end: Head, anchor: Head | None) -> ChainBreak | None:
    rows = connection.execute(select(chain_head.c.seq, chain_head.c.hash)).all()
    recorded = [Head(row[0], row[1]) for row in rows]
    if anchor is not None and anchor.seq > end.seq:
        recorded.append(anchor)
    elif recorded == [end]:
        return None
    ends = ", ".join(str(head.seq) for head in recorded) or "?"
    first = min([end.seq + 1, *(head.seq + 1 for head in recorded if head.seq < end.seq)])
    return ChainBreak(
        first,
        Fault.HEAD,
        f"链尾不符：记录的末尾是事件 {ends}，实际的末尾是事件 {end.seq}",
        f"the chain ends with event {end.seq}, but its recorded end is {ends}: events were cut off or put on",
    )


def _raw_events(connection: Connection) -> Iterator[tuple[int, str, str, tuple[bytes, ...]]]:
    """(seq, previous hash, hash, fields as hashed) of every event, from the bytes that lie in the columns.

    Bytes, because tampering may leave text that is not UTF-8; then an ordinary read would fail, and not judge.
    """
    texts = [_as_bytes(connection, column) for column in _HASHED]
    query = (
        select(events.c.seq, _as_bytes(connection, events.c.hash), *texts)
        .order_by(events.c.seq)
        .limit(STREAM_PAGE)
    )
    after: int | None = None
    while True:
        page = connection.execute(query if after is None else query.where(events.c.seq > after)).all()
        for seq, digest, *fields in page:
            values = tuple(bytes(field) if field is not None else b"" for field in fields)
            yield seq, _ascii(values[0]), _ascii(digest), values
        if len(page) < STREAM_PAGE:
            return
        after = page[-1][0]


_HASHED = (
    events.c.previous_hash,
    events.c.seq,
    events.c.kind,
    events.c.subject,
    events.c.effective_on,
    events.c.recorded_ms,
    events.c.actor,
    events.c.payload,
)


def _as_bytes(connection: Connection, column: Column[Any]) -> ColumnElement[Any]:
    if connection.dialect.name == "postgresql":
        return func.convert_to(cast(column, String), "UTF8", type_=LargeBinary)
    return cast(column, LargeBinary)


def _ascii(text: bytes | None) -> str:
    return bytes(text or b"").decode("ascii", "replace")


@contextmanager
def _scratch(store: Store) -> Iterator[Engine]:
    """A private database with the projections' tables: in memory while it is small, in a hidden file after."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect("", check_same_thread=False), poolclass=StaticPool
    )
    try:
        metadata.create_all(engine, tables=[table for one in store.projections for table in one.tables])
        yield engine
    finally:
        engine.dispose()


def _compare(
    store: Store, stored: Connection, rebuilt: Connection, unexplained: frozenset[str]
) -> tuple[tuple[Difference, ...], int]:
    """Rows that only events of `unexplained` subjects can have made are left out on both sides."""
    differences = []
    rows = 0
    for projection in store.projections:
        for table in projection.tables:
            column = projection.subjects.get(table.name)
            left, right = (
                _explained(_rows(side, table), table, column, unexplained) for side in (stored, rebuilt)
            )
            difference, compared = _compare_table(projection.name, table, left, right)
            rows += compared
            if difference is not None:
                differences.append(difference)
    return tuple(differences), rows


def _explained(
    rows: Iterator[tuple[Any, ...]], table: Table, column: str | None, unexplained: frozenset[str]
) -> Iterator[tuple[Any, ...]]:
    if column is None or not unexplained:
        return rows
    place = [one.name for one in _ordered_columns(table)].index(column)
    return (row for row in rows if row[place] not in unexplained)


def _compare_table(
    projection: str, table: Table, left: Iterator[tuple[Any, ...]], right: Iterator[tuple[Any, ...]]
) -> tuple[Difference | None, int]:
    width = len(table.primary_key.columns)
    names = [column.name for column in _ordered_columns(table)]
    ours, theirs = next(left, None), next(right, None)
    count = 0
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[:width] < theirs[:width]):
            assert ours is not None
            return Difference(projection, table.name, ours[:width], None, ours, None), count
        if ours is None or theirs[:width] < ours[:width]:
            return Difference(projection, table.name, theirs[:width], None, None, theirs), count
        if ours != theirs:
            at = next(index for index, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
            return Difference(projection, table.name, ours[:width], names[at], ours[at], theirs[at]), count
        count += 1
        ours, theirs = next(left, None), next(right, None)
    return None, count


def _ordered_columns(table: Table) -> list[Column[Any]]:
    return sorted(table.columns, key=lambda column: not column.primary_key)


def _rows(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """Rows in key order. Text sorts by code point on both engines, which is how Python compares it."""
    order: list[ColumnElement[Any]] = []
    for column in _ordered_columns(table)[: len(table.primary_key.columns)]:
        bytewise = connection.dialect.name == "postgresql" and isinstance(column.type, String)
        order.append(column.collate("C") if bytewise else column)
    query = select(*_ordered_columns(table)).order_by(*order).execution_options(yield_per=PAGE)
    for row in connection.execute(query):
        yield tuple(row)
