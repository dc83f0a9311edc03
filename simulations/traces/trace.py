"""A trace: jobs that arrive over time, as columns. Readers and generators make it, the engine replays it.

A million jobs are a million rows of numbers, not a million objects; what many jobs share (queue, user, shape) is
kept once and referred to by position. Times are milliseconds since the trace's own origin, so that a trace starts
near 0 whatever year it was recorded in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.protocol import Shape
from simulations.traces.shape_json import shape_to_json

Int8s = npt.NDArray[np.int8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.object_]
T = TypeVar("T")
AnyColumn = TypeVar("AnyColumn", bound=npt.NDArray[Any])

SCHEMA_VERSION = 1
LONGEST_MS = 1 << 53  # 285,000 years; above it sums of times would leave 64 bits and floats their exactness


class Outcome(IntEnum):
    """How the recorded attempt ended, as the trace says. The engine decides by itself how a replayed one ends."""

    UNKNOWN = 0
    SUCCEEDED = 1
    FAILED = 2
    CANCELLED = 3


@dataclass(frozen=True, eq=False)
class Trace:
    """Jobs in order of arrival; equal arrivals stand in the order in which their source names them.

    All columns have one entry a job. Build it with `Trace.of`, which checks, sorts and numbers.

    job_ids       unique names (array of str)
    submitted_ms  int64, since the origin; never falls
    runtime_ms    int64, how long it runs on the recorded machine; 0 is allowed
    estimate_ms   int64, the submitter's estimate of the running time; 0: none given
    deadline_ms   int64, since the origin, by when it should have ended; 0: none
    queue, user   int32, positions in `queues` and `users`
    shape         int32, position in `shapes`; a shape's requirements hold the number of tasks
    priority      int32, larger goes first
    outcome       int8, an `Outcome`

    `origin_ms` is UTC milliseconds since 1970 of time 0; 0: unknown (no calendar can be laid over it).
    `notes` says what a reader skipped, assumed or converted; it is no part of the content.
    """

    name: str
    job_ids: Strings
    submitted_ms: Int64s
    runtime_ms: Int64s
    estimate_ms: Int64s
    deadline_ms: Int64s
    queue: Int32s
    user: Int32s
    shape: Int32s
    priority: Int32s
    outcome: Int8s
    queues: tuple[str, ...]
    users: tuple[str, ...]
    shapes: tuple[Shape, ...]
    origin_ms: int = 0
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, name: str, columns: TraceColumns, *, origin_ms: int = 0, notes: Sequence[str] = ()) -> Trace:
        """Checks the columns, sorts them by (submitted, position), and numbers queues, users and shapes in order of
        first use, so that equal jobs make an equal trace wherever they came from.

        Raises ValueError for columns of unequal length, times below 0 or above 2^53 ms, a position outside its
        table, an unknown outcome, or a job id that comes twice. Readers have named the line before it comes here.
        """
        columns.check()
        order = np.argsort(columns.submitted_ms, kind="stable")
        queue, queues = _renumbered(columns.positions(columns.queue)[order], columns.queues)
        user, users = _renumbered(columns.positions(columns.user)[order], columns.users)
        shape, shapes = _renumbered(columns.shape[order], columns.shapes)
        return cls(
            name=name,
            job_ids=_frozen(columns.job_ids[order]),
            submitted_ms=_frozen(columns.submitted_ms[order]),
            runtime_ms=_frozen(columns.runtime_ms[order]),
            estimate_ms=_frozen(columns.times(columns.estimate_ms)[order]),
            deadline_ms=_frozen(columns.times(columns.deadline_ms)[order]),
            queue=_frozen(queue),
            user=_frozen(user),
            shape=_frozen(shape),
            priority=_frozen(columns.positions(columns.priority)[order]),
            outcome=_frozen(columns.outcomes()[order]),
            queues=queues,
            users=users,
            shapes=shapes,
            origin_ms=origin_ms,
            notes=tuple(notes),
        )

    def __len__(self) -> int:
        return len(self.submitted_ms)

    @property
    def tasks(self) -> Int64s:
        """How many tasks each job starts together: int64, one a job."""
        return self.per_shape([shape.requirements.tasks for shape in self.shapes])

    @property
    def cpu_milli(self) -> Int64s:
        """What all tasks of each job ask for, in milli-CPU."""
        return self.per_shape([shape.total.cpu_milli for shape in self.shapes])

    @property
    def accelerator_milli(self) -> Int64s:
        """What all tasks of each job ask for, in milli-cards."""
        return self.per_shape([shape.total.accelerator_milli for shape in self.shapes])

    def per_shape(self, values: Sequence[int]) -> Int64s:
        """A value of each shape, spread over the jobs."""
        return np.asarray(values, dtype=np.int64)[self.shape] if len(self) else np.zeros(0, dtype=np.int64)

    @property
    def span_ms(self) -> int:
        """From the first arrival to the last."""
        return int(self.submitted_ms[-1] - self.submitted_ms[0]) if len(self) else 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the content: origin, columns and tables, but neither name nor notes.

        The byte form, for whoever wants to recompute it: the schema version, origin and count as 64-bit integers,
        then each number column, then the UTF-8 job ids, queues and users as JSON lists, then the shapes as a list
        of their JSON forms. Integers are little-endian.
        """
        digest = hashlib.sha256()
        digest.update(np.array([SCHEMA_VERSION, self.origin_ms, len(self)], dtype="<i8").tobytes())
        for times in (self.submitted_ms, self.runtime_ms, self.estimate_ms, self.deadline_ms):
            digest.update(times.astype("<i8", copy=False).tobytes())
        for numbers in (self.queue, self.user, self.shape, self.priority):
            digest.update(numbers.astype("<i4", copy=False).tobytes())
        digest.update(self.outcome.tobytes())
        texts: tuple[list[str], ...] = (
            self.job_ids.tolist(),
            list(self.queues),
            list(self.users),
            [shape_to_json(shape) for shape in self.shapes],
        )
        for text in texts:
            digest.update(json.dumps(text, ensure_ascii=False, separators=(",", ":")).encode())
        return digest.hexdigest()

    def columns(self) -> TraceColumns:
        """The trace's own columns, to change some and build another trace from."""
        return TraceColumns(
            job_ids=self.job_ids,
            submitted_ms=self.submitted_ms,
            runtime_ms=self.runtime_ms,
            shape=self.shape,
            shapes=self.shapes,
            estimate_ms=self.estimate_ms,
            deadline_ms=self.deadline_ms,
            queue=self.queue,
            queues=self.queues,
            user=self.user,
            users=self.users,
            priority=self.priority,
            outcome=self.outcome,
        )

    def select(self, wanted: Bools | Int64s, name: str | None = None) -> Trace:
        """The wanted jobs (a mask, or positions), with the same origin and notes."""
        kept: dict[str, Any] = {
            name: value[wanted] if isinstance(value, np.ndarray) else value
            for name, value in vars(self.columns()).items()
        }
        return Trace.of(name or self.name, TraceColumns(**kept), origin_ms=self.origin_ms, notes=self.notes)


@dataclass(frozen=True, kw_only=True)
class TraceColumns:
    """What `Trace.of` takes: jobs in the order of their source, times since the origin, in milliseconds.

    What a source does not know may be left out: no estimate, no deadline, one queue, one user, priority 0,
    outcome unknown.
    """

    job_ids: Strings
    submitted_ms: Int64s
    runtime_ms: Int64s
    shape: Int32s
    shapes: Sequence[Shape]
    estimate_ms: Int64s | None = None
    deadline_ms: Int64s | None = None
    queue: Int32s | None = None
    queues: Sequence[str] = ("default",)
    user: Int32s | None = None
    users: Sequence[str] = ("",)
    priority: Int32s | None = None
    outcome: Int8s | None = None

    def times(self, column: Int64s | None) -> Int64s:
        """The column, or 0 for every job."""
        return np.zeros(len(self.job_ids), dtype=np.int64) if column is None else column

    def positions(self, column: Int32s | None) -> Int32s:
        """The column, or 0 for every job."""
        return np.zeros(len(self.job_ids), dtype=np.int32) if column is None else column

    def outcomes(self) -> Int8s:
        return np.zeros(len(self.job_ids), dtype=np.int8) if self.outcome is None else self.outcome

    def check(self) -> None:
        """Raises ValueError for columns that make no trace."""
        count = len(self.job_ids)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and len(value) != count:
                raise ValueError(f"column {name} has {len(value)} entries, job_ids has {count}")
        if not count:
            return
        for name in ("submitted_ms", "runtime_ms", "estimate_ms", "deadline_ms"):
            times = self.times(getattr(self, name))
            if times.min() < 0 or times.max() > LONGEST_MS:
                raise ValueError(f"{name} runs from {times.min()} to {times.max()}; 0 to 2^53 ms is allowed")
        for name, table in (("queue", self.queues), ("user", self.users), ("shape", self.shapes)):
            positions = self.positions(getattr(self, name))
            if positions.min() < 0 or positions.max() >= len(table):
                raise ValueError(f"column {name} points outside its table of {len(table)}")
        known = [outcome.value for outcome in Outcome]
        if not np.isin(self.outcomes(), known).all():
            raise ValueError(f"an outcome is one of {known}")
        if len(set(self.job_ids.tolist())) != count:
            raise ValueError("a job id comes twice")


def strings(values: Sequence[str]) -> Strings:
    """A column of texts."""
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    return column


def _frozen(column: AnyColumn) -> AnyColumn:
    """The column is shared by every replay: whoever writes to it fails at once."""
    column.flags.writeable = False
    return column


def _renumbered(positions: Int32s, table: Sequence[T]) -> tuple[Int32s, tuple[T, ...]]:
    """Positions in a table that holds each value once, in order of first use, and nothing unused."""
    used, first, inverse = np.unique(positions, return_index=True, return_inverse=True)
    numbers: dict[T, int] = {}
    for old in used[np.argsort(first, kind="stable")].tolist():
        numbers.setdefault(table[old], len(numbers))
    new = np.array([numbers[table[old]] for old in used.tolist()], dtype=np.int32)
    return new[inverse], tuple(numbers)
