"""From a ledger of systems to the workload that they will bring: services, batch, training. A planning assumption.

`xisuan sim generate ledger` calls `ledger_trace`. A ledger says what a system has, not what it does; every assumption
that turns the one into the other is a number in `LedgerSettings` and stands in the trace's notes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inventory.model.system import System
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.random_streams import Stream
from simulations.traces.trace import Trace, TraceColumns, strings

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
NOISE, NIGHT, TRAINING, START = range(10, 14)  # purposes of random streams
SERVICE, BATCH, TRAIN = "service", "batch", "training"
QUEUES = (SERVICE, BATCH, TRAIN)
CARDS_A_TASK = 8
MILLI = 1000


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How systems behave. Days are counted from `origin_ms`, midnight of the first day in the city's time.

    Services: `base_share` of a system's CPU runs day and night; the rest comes for `day_hours` each day, scaled by
    `weekend` on Saturday and Sunday, by the month's factor in `season` (January first), and by a log-normal noise of
    `noise` (standard deviation of the logarithm). Batch: each night one job of `batch_share` of the CPU, about
    `batch_ms` long. Training: where a system has cards, so many jobs a week for each card, about `training_ms` long.
    """

    days: int = 7
    origin_ms: int = 0
    base_share: float = 0.6
    day_hours: tuple[int, int] = (8, 19)
    weekend: float = 0.4
    season: tuple[float, ...] = (1.0, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.25)
    noise: float = 0.15
    batch_share: float = 0.2
    batch_ms: int = 2 * HOUR_MS
    trainings_a_card_week: float = 1.5
    training_ms: int = 8 * HOUR_MS

    def check(self) -> None:
        """Raises ValueError, naming the value and the rule."""
        if not 1 <= self.days <= 3660:
            raise ValueError(f"days {self.days}: 须为 1 到 3660 / must be 1..3660")
        if not (0 <= self.base_share <= 1 and len(self.season) == 12):
            raise ValueError("base_share 须在 0 到 1，season 须有 12 个月 / base_share 0..1, season of 12 months")


@dataclass(slots=True)
class _Jobs:
    ids: list[str] = field(default_factory=list)
    submitted: list[int] = field(default_factory=list)
    runtime: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    user: list[int] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)
    shapes: dict[Shape, int] = field(default_factory=dict)

    def add(self, job_id: str, at: int, runtime: int, kind: str, need: tuple[Shape, int]) -> None:
        shape, user = need
        self.ids.append(job_id)
        self.submitted.append(at)
        self.runtime.append(runtime)
        self.queue.append(QUEUES.index(kind))
        self.user.append(user)
        self.shape.append(self.shapes.setdefault(shape, len(self.shapes)))


def ledger_trace(systems: Sequence[System], settings: LedgerSettings, seed: int) -> Trace:
    """One trace of all systems that say how many vCPUs they have; the others are counted in the notes, not guessed.

    The user of a job is the system's department. A system's random numbers depend on its place in `systems` alone,
    not on how many others there are. Raises ValueError for settings or systems that make no workload.
    """
    settings.check()
    sized = [system for system in systems if system.vcpu]
    if not sized:
        raise ValueError(
            "台账中没有填写 vCPU 的系统，无法生成负载 / no system of the ledger says how many vCPUs it has"
        )
    departments = list(dict.fromkeys(system.department or "" for system in sized))
    jobs = _Jobs()
    for number, system in enumerate(sized):
        user = departments.index(system.department or "")
        name = f"{number}-{system.name}"
        _services(jobs, name, system, user, (settings, Stream(seed, NOISE * 1_000_000 + number)))
        _nights(jobs, name, system, user, (settings, Stream(seed, NIGHT * 1_000_000 + number)))
        _trainings(jobs, name, system, user, (settings, Stream(seed, TRAINING * 1_000_000 + number)))
    columns = TraceColumns(
        job_ids=strings(jobs.ids),
        submitted_ms=np.array(jobs.submitted, dtype=np.int64),
        runtime_ms=np.array(jobs.runtime, dtype=np.int64),
        shape=np.array(jobs.shape, dtype=np.int32),
        shapes=list(jobs.shapes),
        queue=np.array(jobs.queue, dtype=np.int32),
        queues=QUEUES,
        user=np.array(jobs.user, dtype=np.int32),
        users=departments,
    )
    return Trace.of(
        f"ledger-{len(sized)}-{settings.days}d-{seed}",
        columns,
        origin_ms=settings.origin_ms,
        notes=_notes(systems, sized, settings),
    )


Given = tuple[LedgerSettings, Stream]


def _services(jobs: _Jobs, name: str, system: System, user: int, given: Given) -> None:
    settings, stream = given
    base = _shape(system, settings.base_share)
    jobs.add(f"{name}/base", 0, settings.days * DAY_MS, SERVICE, (base, user))
    begin, end = settings.day_hours
    noise = np.exp(settings.noise * stream.normal(settings.days)).tolist()
    for day in range(settings.days):
        share = (1 - settings.base_share) * settings.season[_month(settings, day)] * noise[day]
        if _weekday(settings, day) >= 5:
            share *= settings.weekend
        if share > 0:
            at = day * DAY_MS + begin * HOUR_MS
            jobs.add(f"{name}/day-{day}", at, (end - begin) * HOUR_MS, SERVICE, (_shape(system, share), user))


def _nights(jobs: _Jobs, name: str, system: System, user: int, given: Given) -> None:
    settings, stream = given
    lengths = stream.lognormal(settings.batch_ms, 0.5, settings.days).astype(np.int64).tolist()
    starts = stream.below(4 * HOUR_MS, settings.days).tolist()  # between one and five
    shape = _shape(system, settings.batch_share)
    for day in range(settings.days):
        at = day * DAY_MS + HOUR_MS + starts[day]
        jobs.add(f"{name}/night-{day}", at, max(1, lengths[day]), BATCH, (shape, user))


def _trainings(jobs: _Jobs, name: str, system: System, user: int, given: Given) -> None:
    if system.gpu is None or system.gpu.count < 1:
        return
    settings, stream = given
    expected = settings.trainings_a_card_week * system.gpu.count * settings.days / 7
    count = int(expected) + int(stream.uniform(1)[0] < expected - int(expected))
    times = stream.moments(settings.days * DAY_MS, count).tolist()
    lengths = stream.lognormal(settings.training_ms, 1.0, count).astype(np.int64).tolist()
    sizes = (1 << stream.below(max(1, system.gpu.count.bit_length()), count)).tolist()
    for number in range(count):
        cards = min(sizes[number], system.gpu.count)
        each = min(cards, CARDS_A_TASK)
        per_task = Resources(4 * each * MILLI, 32 * each * GIB, 0, each * MILLI)
        shape = Shape(Requirements(per_task, tasks=math.ceil(cards / each), zone=system.zone))
        at, length = times[number], max(1, lengths[number])
        jobs.add(f"{name}/training-{number}", at, length, TRAIN, (shape, user))


def _shape(system: System, share: float) -> Shape:
    """A share of the system's CPU and memory, spread over as many equal tasks as it has servers. Memory that the
    ledger does not say is 4 GiB a vCPU. Zone, architecture and protection level are those of the system."""
    vcpu = system.vcpu or 0
    tasks = max(1, min(system.servers or 1, vcpu))
    cpu = max(1, round(vcpu * share / tasks))
    memory_gb = float(system.mem_gb) if system.mem_gb else 4.0 * vcpu
    memory = max(1, round(memory_gb * share / tasks))
    level = int(system.mlps) if system.mlps and system.mlps.isdecimal() else 0
    return Shape(
        Requirements(
            Resources(cpu * MILLI, memory * GIB),
            tasks=tasks,
            zone=system.zone,
            protection_level=level,
            architectures=frozenset() if system.arch is None else frozenset({system.arch}),
        )
    )


def _weekday(settings: LedgerSettings, day: int) -> int:
    """0 Monday .. 6 Sunday; 1970-01-01 was a Thursday. The city's midnight lies eight hours before UTC's."""
    return ((settings.origin_ms + 8 * HOUR_MS) // DAY_MS + day + 3) % 7


def _month(settings: LedgerSettings, day: int) -> int:
    """0 January .. 11 December."""
    return int(
        np.datetime64((settings.origin_ms + 8 * HOUR_MS) // DAY_MS + day, "D").astype("datetime64[M]").astype(int)
        % 12
    )


def _notes(systems: Sequence[System], sized: Sequence[System], settings: LedgerSettings) -> list[str]:
    unknown = len(systems) - len(sized)
    notes = [
        f"由台账推算，非实测：{len(sized)} 个系统，{settings.days} 天 / inferred from a ledger, not measured: {len(sized)} "
        f"systems, {settings.days} days; base {settings.base_share:g}, weekend {settings.weekend:g}, batch "
        f"{settings.batch_share:g}, trainings {settings.trainings_a_card_week:g} a card and week"
    ]
    if unknown:
        notes.append(
            f"{unknown} 个系统未填 vCPU，未计入（未知不等于零） / {unknown} systems say no vCPU and are left out (unknown is "
            "not zero)"
        )
    return notes
