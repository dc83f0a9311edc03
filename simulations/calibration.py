"""Whether forecasts hold: a trace is lived through, and workloads that must wait are forecast as people would ask.

`xisuan sim calibrate` calls `calibrate`. The world that is lived through and the futures are the same code
(`scheduler.forecast.world`) with the production cycle; what differs is that the one knows the trace's running times and
arrivals, and the others draw them from what has come and gone by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from inventory.model.pool import PoolHealth
from scheduler.core.history import Arrival, History
from scheduler.core.queueing.queues import QueueTree
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.core.queueing.usage import QueueUsage
from scheduler.core.queueing.waiting import WaitingRow
from scheduler.cycle import CycleSettings
from scheduler.forecast.correction import Correction
from scheduler.forecast.forecast import Effort, Question, StartForecast, forecast
from scheduler.forecast.world import PoolCopy, Situation, World
from simulations.engine.site import BOTH_RUNTIMES, PoolPlan, build_site
from simulations.traces.trace import Trace

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """Every workload that waits after a cycle is asked about with probability `share`; the first `warm_up` arrivals are
    not, while next to nothing is known. `step_ms` lies between two cycles of the world that is lived through."""

    cycle: CycleSettings = field(default_factory=CycleSettings)
    effort: Effort = field(default_factory=Effort)
    share: float = 1.0
    warm_up: int = 200
    most: int = 1000
    step_ms: int = 1_000
    corrects: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """One forecast and what came of it: waiting times in milliseconds from the moment of the question. `latest_ms` None:
    the forecast named no end."""

    job: int
    earliest_ms: int
    latest_ms: int | None
    median_ms: int
    waited_ms: int

    @property
    def holds(self) -> bool:
        return self.earliest_ms <= self.waited_ms and (self.latest_ms is None or self.waited_ms <= self.latest_ms)


@dataclass(frozen=True, slots=True)
class Calibration:
    """`unfinished` were asked about and had not started when the trace ended; they are not counted."""

    trace: str
    asked: tuple[Asked, ...]
    unfinished: int

    @property
    def coverage(self) -> float:
        """The part of the intervals that held."""
        return sum(one.holds for one in self.asked) / max(1, len(self.asked))

    @property
    def early(self) -> float:
        """The part that started before its interval."""
        return sum(one.waited_ms < one.earliest_ms for one in self.asked) / max(1, len(self.asked))

    @property
    def late(self) -> float:
        return sum(one.latest_ms is not None and one.waited_ms > one.latest_ms for one in self.asked) / max(
            1, len(self.asked)
        )

    @property
    def widths(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Of the intervals that have an end, in milliseconds."""
        ends = [one.latest_ms - one.earliest_ms for one in self.asked if one.latest_ms is not None]
        return np.array(ends, dtype=np.int64)

    @property
    def waits(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([one.waited_ms for one in self.asked], dtype=np.int64)


def calibrate(
    trace: Trace, plans: Sequence[PoolPlan], settings: CalibrationSettings, told: Told | None = None
) -> Calibration:
    """Deterministic. `told(asked, arrived)` hears how far it has come."""
    return _Life(trace, plans, settings).live(told)


class _Life:
    def __init__(self, trace: Trace, plans: Sequence[PoolPlan], settings: CalibrationSettings) -> None:
        self._trace = trace
        self._settings = settings
        self._history = History()
        self._correction = Correction()
        self._open: list[tuple[int, int, StartForecast]] = []  # job, moment, forecast
        self._asked: list[Asked] = []
        self._shapes = ShapeTable()
        self._tree = QueueTree()
        self._world = World(self._first(plans), settings.cycle, self._runtime_of, lambda _: settings.step_ms)
        self._seen_ends = 0

    def live(self, told: Told | None) -> Calibration:
        random = np.random.default_rng(self._settings.seed)
        trace, settings = self._trace, self._settings
        moments = trace.submitted_ms.tolist()
        self._world.arrive((at_ms, self._row(job, at_ms)) for job, at_ms in enumerate(moments))
        for job, at_ms in enumerate(moments):
            self._world.run(at_ms + settings.step_ms, lambda: False)
            self._learn()
            self._history.arrive(self._arrival(job, at_ms))
            draw = random.random()
            waits = str(job) not in self._world.started
            if waits and job >= settings.warm_up and draw < settings.share:
                self._ask(job)
                if told is not None:
                    told(len(self._asked) + len(self._open), job + 1)
                if len(self._asked) + len(self._open) >= settings.most:
                    break
        self._world.run(self._world.now_ms + 10 * settings.effort.horizon_ms, self._all_started)
        self._learn()
        return Calibration(trace.name, tuple(self._asked), len(self._open))

    def _ask(self, job: int) -> None:
        question = Question(
            str(job), self._world.situation_now(), self._history, self._settings.cycle, self._settings.seed + job
        )
        correction = self._correction if self._settings.corrects else None
        said = forecast(question, self._settings.effort, correction)
        assert said is not None, "an effort without a clock always has an answer"
        self._open.append((job, self._world.now_ms, said))

    def _learn(self) -> None:
        """From runs that have ended, and from forecasts whose workloads have started."""
        for row, at_ms in self._world.ended[self._seen_ends :]:
            job = int(row.workload_id)
            self._history.finish(
                self._tree.name(row.queue),
                self._shapes.shapes[row.shape],
                int(self._trace.estimate_ms[job]),
                at_ms - row.started_ms,
            )
        self._seen_ends = len(self._world.ended)
        still_open = []
        for job, asked_ms, said in self._open:
            started = self._world.started.get(str(job))
            if started is None:
                still_open.append((job, asked_ms, said))
                continue
            self._settle(job, asked_ms, said, started.start_ms - asked_ms)
        self._open = still_open

    def _settle(self, job: int, asked_ms: int, said: StartForecast, waited_ms: int) -> None:
        low = said.earliest_ms - asked_ms
        high = None if said.latest_ms is None else said.latest_ms - asked_ms
        middle = waited_ms if said.median_ms is None else said.median_ms - asked_ms
        self._asked.append(Asked(job, low, high, middle, waited_ms))
        if said.raw is not None:
            self._correction.score(said.raw, waited_ms)

    def _all_started(self) -> bool:
        return all(str(job) in self._world.started for job, _, _ in self._open)

    def _runtime_of(self, row: RunningRow, elapsed_ms: int) -> int:
        return int(self._trace.runtime_ms[int(row.workload_id)])

    def _row(self, job: int, at_ms: int) -> WaitingRow:
        name, one = str(job), self._arrival(job, at_ms)
        return WaitingRow(
            order_ms=at_ms,
            submitted_ms=at_ms,
            id_length=len(name),
            workload_id=name,
            attempt=1,
            shape=self._shapes.number(one.shape),
            queue=self._tree.leaf(one.queue),
            priority=one.priority,
            estimated_ms=one.estimated_ms,
        )

    def _arrival(self, job: int, at_ms: int) -> Arrival:
        trace = self._trace
        return Arrival(
            at_ms,
            trace.queues[int(trace.queue[job])],
            trace.shapes[int(trace.shape[job])],
            int(trace.priority[job]),
            int(trace.estimate_ms[job]),
        )

    def _first(self, plans: Sequence[PoolPlan]) -> Situation:
        pools = [
            PoolCopy(one.pool, PoolHealth.READY, False, BOTH_RUNTIMES, one.state)
            for one in build_site(plans, None, self._settings.cycle.seed)
        ]
        began_ms = int(self._trace.submitted_ms[0]) if len(self._trace) else 0
        return Situation(began_ms, (), {}, self._shapes, QueueUsage(self._tree, self._shapes), pools)
