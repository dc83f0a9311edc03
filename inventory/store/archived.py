"""What the chain says of archived events: which files hold them, and what verification does with them.

`inventory.store.archive` writes and reads the files; this module knows their names only, so that a store without archives
never loads Parquet. `inventory.store.verify` asks `Archived` for each event whose payload is empty.
"""

from __future__ import annotations

import heapq
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from inventory.store.chain import Event
from inventory.store.errors import StoreError
from inventory.store.schema import events

EVENTS_ARCHIVED = "events.archived"
ARCHIVE = "archive"  # the subject of those events


class ArchiveUnusable(StoreError):
    """An archive file that is missing, was altered, or cannot be written."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """What the chain says of one file: its name, its hash, and the numbers of the events in it, as ranges."""

    name: str
    sha256: str
    ranges: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)


class Archived:
    """The archived events of one store. `count` of them; `unexplained` are their subjects, where no folder was given."""

    def __init__(self, files: Sequence[ArchiveFile], folder: Path | None, subjects: frozenset[str]) -> None:
        ranges = sorted(one for file in files for one in file.ranges)
        self._starts = [first for first, _ in ranges]
        self._ends = [last for _, last in ranges]
        self._files = tuple(files)
        self._folder = folder
        self._coming: Iterator[Event] | None = None
        self.count = sum(file.count for file in files)
        self.unexplained = subjects if folder is None else frozenset()

    @classmethod
    def of(cls, connection: Connection, folder: Path | None) -> Archived:
        """`folder` None: the files are not read."""
        files = archive_files(connection)
        if not files:
            return cls((), folder, frozenset())
        subjects = select(events.c.subject).where(events.c.payload == "").distinct()
        return cls(files, folder, frozenset(connection.execute(subjects).scalars()))

    def names(self, seq: int) -> bool:
        """Whether the chain says of this event that it was archived."""
        place = bisect_right(self._starts, seq) - 1
        return place >= 0 and seq <= self._ends[place]

    def restored(self, page: Iterable[Event]) -> Iterator[Event]:
        """The same events, archived ones with what their files say. Raises ArchiveUnusable."""
        for event in page:
            if event.payload_json or self._folder is None:
                yield event
                continue
            whole = self._advance_to(event.seq)
            if whole is None or whole.hash != event.hash:
                raise ArchiveUnusable(
                    f"归档中没有事件 {event.seq}，或与链中的哈希不符",
                    f"event {event.seq} is in no archive, or has another hash there than in the chain",
                )
            yield whole

    def _advance_to(self, seq: int) -> Event | None:
        """Files overlap in the order of the chain, and each is in order: read side by side, none lies in memory."""
        if self._coming is None:
            from inventory.store.archive import read_archive

            assert self._folder is not None
            readers = [read_archive(file, self._folder) for file in self._files]
            self._coming = heapq.merge(*readers, key=lambda event: event.seq)
        return next((event for event in self._coming if event.seq >= seq), None)


def archive_files(connection: Connection) -> tuple[ArchiveFile, ...]:
    """Every archive that the chain names, oldest first."""
    query = select(events.c.payload).where(events.c.subject == ARCHIVE, events.c.kind == EVENTS_ARCHIVED)
    payloads = connection.execute(query.order_by(events.c.seq)).scalars()
    return tuple(_file_of(json.loads(payload)) for payload in payloads)


def archived_until(connection: Connection) -> int:
    """The highest number of an archived event; 0 when there is none. Watchers cannot resume from before it."""
    query = select(events.c.payload).where(events.c.subject == ARCHIVE, events.c.kind == EVENTS_ARCHIVED)
    newest = connection.execute(query.order_by(events.c.seq.desc()).limit(1)).scalar_one_or_none()
    return 0 if newest is None else int(json.loads(newest)["until"])


def ranges_of(seqs: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Rising numbers as ranges, both ends included."""
    ranges: list[tuple[int, int]] = []
    for seq in seqs:
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return tuple(ranges)


def _file_of(said: Mapping[str, Any]) -> ArchiveFile:
    return ArchiveFile(said["file"], said["sha256"], tuple((first, last) for first, last in said["ranges"]))
