"""The trace part of a scenario: a file of a known format, a generator, or a few jobs written in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.scenarios.fields import HOUR, Bytes, Duration, Form, MilliCpu
from simulations.scenarios.generated import LedgerForm, StressForm
from simulations.traces.reading import READERS, Reading, read_trace
from simulations.traces.trace import Int64s, Trace, TraceColumns, strings

_GROWTH = 7202  # keeps this stream of random numbers apart from others of the same seed


class JobForm(Form):
    """`count` equal jobs, the first at `at` and each further one `every` later; each of `tasks` equal tasks."""

    id: str = Field(min_length=1, max_length=200)
    at: Duration
    runtime: Duration
    estimate: Duration = 0
    deadline: Duration = 0
    cpu: MilliCpu = 1000
    memory: Bytes = 0
    cards: float = Field(default=0, ge=0, le=100_000)
    accelerator: str | None = None
    tasks: int = Field(default=1, ge=1, le=1_000_000)
    queue: str = Field(default="default", min_length=1)
    user: str = ""
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    zone: Zone | None = None
    arch: frozenset[Architecture] = frozenset()
    pools: frozenset[str] = frozenset()
    count: int = Field(default=1, ge=1, le=1_000_000)
    every: Duration = 0

    def shape(self) -> Shape:
        per_task = Resources(self.cpu, self.memory, 0, round(self.cards * 1000))
        return Shape(
            Requirements(
                per_task,
                self.tasks,
                zone=self.zone,
                architectures=self.arch,
                accelerator=self.accelerator,
                pools=self.pools,
            )
        )

    def ids(self) -> list[str]:
        return [self.id] if self.count == 1 else [f"{self.id}-{i}" for i in range(self.count)]


def trace_of_jobs(name: str, jobs: Sequence[JobForm]) -> Trace:
    """Raises ValueError for an id that comes twice."""
    copies = [(job, i) for job in jobs for i in range(job.count)]
    ids = [name for job in jobs for name in job.ids()]
    twice = sorted({one for one in ids if ids.count(one) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise ValueError(f"jobs: id {', '.join(twice[:3])} 重复 / given twice; every id must be unique")
    queues = list(dict.fromkeys(job.queue for job in jobs))
    users = list(dict.fromkeys(job.user for job in jobs))
    shapes = list(dict.fromkeys(job.shape() for job in jobs))
    return Trace.of(
        name,
        TraceColumns(
            job_ids=strings(ids),
            submitted_ms=_column(job.at + i * job.every for job, i in copies),
            runtime_ms=_column(job.runtime for job, _ in copies),
            estimate_ms=_column(job.estimate for job, _ in copies),
            deadline_ms=_column(job.deadline for job, _ in copies),
            shape=_column(shapes.index(job.shape()) for job, _ in copies).astype(np.int32),
            shapes=shapes,
            queue=_column(queues.index(job.queue) for job, _ in copies).astype(np.int32),
            queues=queues,
            user=_column(users.index(job.user) for job, _ in copies).astype(np.int32),
            users=users,
            priority=_column(job.priority for job, _ in copies).astype(np.int32),
        ),
    )


def grown(trace: Trace, demand: float, seed: int) -> Trace:
    """The trace with `demand` times as many jobs: whole copies of all, and of the rest a random choice; below 1 a
    random choice stays. A copy comes up to an hour (or a fiftieth of the trace, if that is less) after its original, so
    that twins do not all collide and the trace keeps its length."""
    if demand == 1.0 or not len(trace):
        return trace
    bits = np.random.PCG64(np.random.SeedSequence([_GROWTH, seed]))
    chance = (bits.random_raw(len(trace)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    copies = int(demand) + (chance < demand - int(demand))
    rows = np.repeat(np.arange(len(trace)), copies)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
    if not len(rows):
        return trace.select(rows)
    spread = max(1, min(HOUR, trace.span_ms // 50))
    later = (bits.random_raw(len(rows)) % np.uint64(spread)).astype(np.int64) * (number > 0)
    ids = trace.job_ids[rows].tolist()
    columns: dict[str, Any] = {
        name: value[rows] if isinstance(value, np.ndarray) else value
        for name, value in vars(trace.columns()).items()
    }
    columns["job_ids"] = strings(
        [one if k == 0 else f"{one}+{k}" for one, k in zip(ids, number.tolist(), strict=True)]
    )
    columns["submitted_ms"] = columns["submitted_ms"] + later
    columns["deadline_ms"] = np.where(columns["deadline_ms"] > 0, columns["deadline_ms"] + later, 0)
    return Trace.of(trace.name, TraceColumns(**columns), origin_ms=trace.origin_ms, notes=trace.notes)


def _column(values: Iterable[int]) -> Int64s:
    return np.array(list(values), dtype=np.int64)


class TraceForm(Form):
    """Where jobs come from: `jobs` written here, a `file` beside the scenario, or a generator (`stress`, `ledger`), which
    draws anew for every seed. `format` is a name of
    `simulations.traces.reading.READERS` (left out: as the file's name tells), `beside` the second file of formats that
    have one.

    Then, in this order: `first` keeps only so many, the earliest; `queue` puts all of them into one queue, so that fair
    shares move none before another; `estimates: exact` makes each running time its own estimate, for logs that have none
    (`given`: as the source says); `demand` multiplies their number (see `grown`).
    """

    jobs: tuple[JobForm, ...] = Field(default=(), max_length=100_000)
    file: str | None = Field(default=None, min_length=1)
    format: str | None = None
    beside: str | None = Field(default=None, min_length=1)
    stress: StressForm | None = None
    ledger: LedgerForm | None = None
    first: int | None = Field(default=None, ge=1)
    queue: str | None = Field(default=None, min_length=1, max_length=200)
    estimates: Literal["given", "exact"] = "given"
    demand: float = Field(default=1.0, gt=0, le=1000)

    @field_validator("format")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in READERS:
            known = ", ".join(READERS)
            raise ValueError(f"未知的轨迹格式，可用 {known} / unknown trace format; known: {known}")
        return name

    @model_validator(mode="after")
    def _one_source(self) -> TraceForm:
        sources = [bool(self.jobs), *(one is not None for one in (self.file, self.stress, self.ledger))]
        if sum(sources) != 1:
            raise ValueError("须写 jobs、file、stress、ledger 之一 / needs one of jobs, file, stress and ledger")
        if self.file is None and (self.format or self.beside):
            raise ValueError("format 和 beside 只用于 file / format and beside go with a file")
        return self

    @property
    def is_drawn(self) -> bool:
        """Another seed gives another trace."""
        return self.demand != 1.0 or self.stress is not None or self.ledger is not None

    def trace(self, name: str, folder: Path, seed: int, skip_bad: bool) -> Trace:
        """Files are found from `folder`. Raises ValueError or TraceError for what cannot be used."""
        found = self._source(name, folder, seed, skip_bad)
        if self.first is not None and len(found) > self.first:
            found = found.select(np.arange(self.first))
        return grown(self._replayed(found), self.demand, seed)

    def _replayed(self, found: Trace) -> Trace:
        changes: dict[str, Any] = {}
        if self.queue is not None:
            changes |= {"queue": None, "queues": (self.queue,)}
        if self.estimates == "exact":
            changes["estimate_ms"] = np.maximum(found.runtime_ms, 1)  # 0 would mean that nobody knows
        if not changes:
            return found
        return Trace.of(
            found.name, replace(found.columns(), **changes), origin_ms=found.origin_ms, notes=found.notes
        )

    def _source(self, name: str, folder: Path, seed: int, skip_bad: bool) -> Trace:
        if self.stress is not None:
            return self.stress.trace(seed)
        if self.ledger is not None:
            return self.ledger.trace(folder, seed)
        if self.file is None:
            return trace_of_jobs(name, self.jobs)
        beside = folder / self.beside if self.beside is not None else None
        return read_trace(folder / self.file, self.format, Reading(skip_bad=skip_bad, beside=beside))
