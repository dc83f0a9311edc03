"""Old events of finished subjects go to Parquet files; their hashes stay in the chain.

`scheduler.store.retention` chooses what is old, and calls `archive`. An archived event keeps its row, with an empty
payload; everything else of it stays, so that the chain can be followed link by link. What it said lies in a file that an
event of the chain (EVENTS_ARCHIVED) names by its SHA-256 together with the numbers that it holds. So with the files the
whole is verified as before, without them the hashes are, and an event whose payload was emptied by somebody else is found.

Killed at any moment nothing is lost: the file is on disk before the rows are emptied, which happens in one transaction
with the event that names it. A file without such an event is a leftover of a kill, and is written over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, bindparam, select, update

from inventory.store.archived import (
    ARCHIVE,
    EVENTS_ARCHIVED,
    ArchiveFile,
    ArchiveUnusable,
    archived_until,
    ranges_of,
)
from inventory.store.chain import Draft, Event, event_hash
from inventory.store.event_store import Store, event_of
from inventory.store.schema import events

_CHUNK = 500
_TEXTS = ("kind", "subject", "payload", "effective_on", "actor", "previous_hash", "hash")
_COLUMNS: list[pa.Field[Any]] = [
    pa.field("seq", pa.int64()),
    pa.field("recorded_ms", pa.int64()),
    *(pa.field(name, pa.string()) for name in _TEXTS),
]
_SCHEMA = pa.schema(_COLUMNS)


def archive(
    store: Store, subjects: Sequence[str], folder: Path, *, actor: str, recorded_ms: int
) -> ArchiveFile | None:
    """Moves what is said in the events of these subjects to a file below `folder`; None when there is none left.

    Raises ArchiveUnusable when the file cannot be written; then nothing was changed.
    """
    with store.connect() as connection:
        found = sorted(_events_of(connection, subjects), key=lambda event: event.seq)
    if not found:
        return None
    written = _write(found, folder)
    with store.transaction() as tx:
        for start in range(0, len(found), _CHUNK):
            seqs = [event.seq for event in found[start : start + _CHUNK]]
            tx.connection.execute(_EMPTY, {"wanted": seqs})
        payload = {
            "file": written.name,
            "sha256": written.sha256,
            "ranges": [list(one) for one in written.ranges],
            # The highest number in this file and in all before it.
            "until": max(archived_until(tx.connection), found[-1].seq),
        }
        tx.append([Draft(EVENTS_ARCHIVED, ARCHIVE, payload)], actor=actor, recorded_ms=recorded_ms)
    return written


def read_archive(file: ArchiveFile, folder: Path) -> Iterator[Event]:
    """The events of a file in order, each as it was recorded. Raises ArchiveUnusable for a file that is not the one that
    the chain names, or an event in it that does not fit its hash."""
    path = folder / file.name
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ArchiveUnusable(
            f"归档文件 {path} 读不到；请放回，或不带归档校验",
            f"the archive {path} cannot be read; put it back, or verify without archives",
        ) from error
    if digest != file.sha256:
        raise ArchiveUnusable(
            f"归档文件 {path} 已改动，与链中记录的哈希不符",
            f"the archive {path} was altered: it has not the hash that the chain names",
        )
    for batch in pq.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            yield _checked(row, path)


def _events_of(connection: Connection, subjects: Sequence[str]) -> Iterator[Event]:
    for start in range(0, len(subjects), _CHUNK):
        query = select(events).where(
            events.c.subject.in_(subjects[start : start + _CHUNK]), events.c.payload != ""
        )
        for row in connection.execute(query).mappings():
            yield event_of(row)


def _write(found: Sequence[Event], folder: Path) -> ArchiveFile:
    ranges = ranges_of(event.seq for event in found)
    columns = {
        "seq": [event.seq for event in found],
        "kind": [event.kind for event in found],
        "subject": [event.subject for event in found],
        "payload": [event.payload_json for event in found],
        "effective_on": [event.effective_on.isoformat() for event in found],
        "recorded_ms": [event.recorded_ms for event in found],
        "actor": [event.actor for event in found],
        "previous_hash": [event.previous_hash for event in found],
        "hash": [event.hash for event in found],
    }
    name = f"events-{found[0].seq:012d}-{found[-1].seq:012d}-{found[-1].hash[:8]}.parquet"
    partial = folder / f"{name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns, schema=_SCHEMA), partial, compression="zstd")
        with partial.open("rb+") as opened:
            os.fsync(opened.fileno())
        digest = hashlib.sha256(partial.read_bytes()).hexdigest()
        partial.rename(folder / name)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ArchiveUnusable(
            f"归档目录 {folder} 无法写入（{error.strerror}）；请检查权限和磁盘空间",
            f"the folder of archives {folder} cannot be written ({error.strerror}); check its permissions and the "
            "disk's free space",
        ) from error
    return ArchiveFile(name, digest, ranges)


def _checked(row: dict[str, Any], path: Path) -> Event:
    event = Event(
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
    fields = (
        event.previous_hash, str(event.seq), event.kind, event.subject, row["effective_on"], str(event.recorded_ms),
        event.actor, event.payload_json,
    )  # fmt: skip
    if event_hash(tuple(field.encode() for field in fields)) != event.hash:
        raise ArchiveUnusable(
            f"归档文件 {path} 中的事件 {event.seq} 与其哈希不符",
            f"event {event.seq} in the archive {path} does not fit its hash",
        )
    return event


_EMPTY = update(events).where(events.c.seq.in_(bindparam("wanted", expanding=True))).values(payload="")
