"""A copy of the state in which time moves: waiting and running workloads, queues and nodes under a virtual clock.

`scheduler.forecast.forecast` makes one for each future; `simulations.calibration` makes one of what really happened. What
it runs is `scheduler.cycle`, the cycle of production.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inventory.model.placement import Placement
from inventory.model.pool import Pool, PoolHealth
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch, PoolView
from scheduler.core.placement.scores.input_locality import staging_ms
from scheduler.core.queueing.plan import Plan
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.running import FAR, RunningRow, RunningTable
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.core.queueing.turns import next_turn_ms
from scheduler.core.queueing.usage import QueueUsage
from scheduler.core.queueing.waiting import WaitingRow, WaitingTable
from scheduler.core.timeline import Timeline
from scheduler.cycle import CycleSettings, PoolMemory, run_cycle
from scheduler.ports import Commit, Snapshot

# Cycles of one moment: a preemption makes room for the next one.
_ROUNDS = 4
_END, _ARRIVE, _TURN = range(3)
RuntimeOf = Callable[[RunningRow, int], int]


@dataclass(frozen=True, slots=True)
class PoolCopy:
    """A pool as it is: who it is, whether it takes runs, and its nodes with what is held on them."""

    pool: Pool
    health: PoolHealth
    cordoned: bool
    runtimes: frozenset[str]
    state: PoolState

    def view(self) -> PoolView:
        return self.state.view(self.pool, self.health, self.cordoned, self.runtimes)


@dataclass(frozen=True, slots=True)
class Situation:
    """The state at one moment, to be copied by each world. `running` by pool; rows hold numbers of `shapes` and of the
    tree of `usage`."""

    now_ms: int
    waiting: Sequence[WaitingRow]
    running: Mapping[str, Sequence[RunningRow]]
    shapes: ShapeTable
    usage: QueueUsage
    pools: Sequence[PoolCopy]
    reservations: Sequence[Reservation] = ()


@dataclass(slots=True)
class Started:
    """Where and when a workload started, and when it ends (staging and running time included)."""

    pool_id: str
    start_ms: int
    end_ms: int


class World:
    """Moves forward by `run`. It is itself the ports of the cycle."""

    def __init__(
        self,
        situation: Situation,
        settings: CycleSettings,
        runtime_of: RuntimeOf,
        step_ms: Callable[[int], int],
    ) -> None:
        """`runtime_of(row, elapsed)` says how long a run takes in all, `elapsed` of it before now. `step_ms(moment)` is
        the least time between two cycles at that moment: far futures need no fine clock."""
        self.situation = situation
        self.now_ms = situation.now_ms
        self.cycles = 0
        self.started: dict[str, Started] = {}
        self.ended: list[tuple[RunningRow, int]] = []
        self._settings = settings
        self._runtime_of = runtime_of
        self._step_ms = step_ms
        self._waiting = WaitingTable()
        self._memory = PoolMemory()
        self._changed = True
        self._arrivals: Iterator[tuple[int, WaitingRow]] = iter(())
        shared = {id(situation.shapes): situation.shapes, id(situation.usage.tree): situation.usage.tree}
        self._usage = copy.deepcopy(situation.usage, shared)
        self._pools = {one.pool.pool_id: copy.deepcopy(one) for one in situation.pools}
        self._running = RunningTable(situation.shapes)
        self._timeline: Timeline[WaitingRow | str | None] = Timeline(situation.now_ms)  # None: the calendar turns
        for row in situation.waiting:
            self._waiting.add(row)
        for pool_id, rows in situation.running.items():
            for running in rows:
                self._running.start(pool_id, running)
                self._end_later(running, max(0, situation.now_ms - running.started_ms))
        self._next_turn(self.now_ms)

    def arrive(self, arrivals: Iterator[tuple[int, WaitingRow]]) -> None:
        """Workloads that come later, in order of their moments; one is looked at ahead, so there may be no end of them."""
        self._arrivals = arrivals
        self._next_arrival()

    def _next_arrival(self) -> None:
        at_ms, row = next(self._arrivals, (0, None))
        if row is not None:
            self._timeline.add(max(at_ms, self.now_ms), _ARRIVE, row)

    def _next_turn(self, after_ms: int) -> None:
        at_ms = next_turn_ms(self.situation.reservations, self._usage, after_ms)
        if at_ms is not None:
            self._timeline.add(at_ms, _TURN, None)

    def run(self, until_ms: int, is_enough: Callable[[], bool]) -> None:
        """Moves on until the moment, until nothing is left to happen, or until it is enough."""
        earliest_ms = self.now_ms
        while not is_enough():
            if self._changed and len(self._waiting) and self.now_ms >= earliest_ms:
                self._schedule()
                earliest_ms = self.now_ms + self._step_ms(self.now_ms)
                continue
            moment = self._timeline.next_ms()
            if self._changed and len(self._waiting):
                moment = earliest_ms if moment is None else min(max(moment, self.now_ms), earliest_ms)
            if moment is None or moment > until_ms:
                self.now_ms = max(self.now_ms, min(until_ms, moment or until_ms))
                return
            self._advance(moment)

    def situation_now(self) -> Situation:
        """A copy of the state as it is."""
        return Situation(
            now_ms=self.now_ms,
            waiting=[self._waiting_row(workload_id) for workload_id in self._waiting.ids()],
            running={pool_id: tuple(self._running.by_end(pool_id)) for pool_id in self._pools},
            shapes=self.situation.shapes,
            usage=self._usage,
            pools=tuple(self._pools.values()),
            reservations=self.situation.reservations,
        )

    # The ports of the cycle

    def snapshot(self, limit: int) -> Snapshot:
        return Snapshot(
            waiting=self._waiting.window(limit),
            shapes=self.situation.shapes,
            queues=self._usage.columns(self.now_ms),
            pools=tuple(one.view() for one in self._pools.values()),
            reservations=tuple(one for one in self.situation.reservations if not one.is_over(self.now_ms)),
        )

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self._running.by_end(pool_id)

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        return {pool_id: self._pools[pool_id].state.place(batch) for pool_id, batch in requests.items()}

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        return self._pools[pool_id].state.fits_without(batch, victims)

    def release(self, placements: Sequence[Placement]) -> None:
        for placement in placements:
            self._pools[placement.pool_id].state.release(placement.run_id)

    def commit(self, plan: Plan) -> Commit:
        for placement in plan.placements:
            self._start(placement)
        for victim in plan.preemptions:
            self._preempt(victim.run_id)
        return Commit(frozenset(plan.placements.run_ids))

    # What happens

    def _schedule(self) -> None:
        for _ in range(_ROUNDS):
            self._changed = False
            self.cycles += 1
            report = run_cycle(self, self, self, _Clock(self), self._settings, self._memory)
            self._changed |= report.is_cut_short
            if not self._changed or not len(self._waiting):
                return

    def _advance(self, moment: int) -> None:
        while (next_ms := self._timeline.next_ms()) is not None and next_ms <= moment:
            event = self._timeline.take()
            if isinstance(event, str):
                self._end(event, next_ms)
            elif event is None:
                self._changed = True
                self._next_turn(next_ms)
            else:
                self._waiting.add(event)
                self._changed = True
                self._next_arrival()
            self.now_ms = next_ms
        self.now_ms = max(self.now_ms, moment)

    def _start(self, placement: Placement) -> None:
        row = self._waiting.remove(placement.workload_id)
        assert row is not None, "the cycle places who waits"
        now_ms = self.now_ms
        staging = self._staging_ms(row.shape, placement.pool_id)
        end_ms = now_ms + row.estimated_ms + staging if row.estimated_ms else FAR
        running = RunningRow(end_ms, placement.run_id, row.workload_id, row.shape, row.queue, row.priority, now_ms)
        self._running.start(placement.pool_id, running)
        self._usage.charge(row.queue, row.shape, now_ms, end_ms)
        real_ms = self._end_later(running, 0, staging)
        self.started.setdefault(row.workload_id, Started(placement.pool_id, now_ms, real_ms))

    def _staging_ms(self, shape: int, pool_id: str) -> int:
        return staging_ms(self.situation.shapes.shapes[shape].inputs, self._pools[pool_id].pool)

    def _end_later(self, row: RunningRow, elapsed_ms: int, staging: int = 0) -> int:
        """What runs already has its staging in its expected end."""
        length = self._runtime_of(row, elapsed_ms) - elapsed_ms + staging
        at_ms = self.now_ms + max(1, length)
        self._timeline.add(at_ms, _END, row.run_id)
        return at_ms

    def _end(self, run_id: str, at_ms: int) -> None:
        pool_id = self._running.pool_of(run_id)
        row = self._running.end(run_id)
        if row is None or pool_id is None:
            return  # it was preempted before
        self._usage.discharge(row.queue, row.shape, at_ms, row.end_ms)
        self._pools[pool_id].state.release(run_id)
        self.ended.append((row, at_ms))
        self._changed = True

    def _preempt(self, run_id: str) -> None:
        pool_id, row = self._running.pool_of(run_id), self._running.end(run_id)
        if row is None or pool_id is None:
            return
        self._usage.discharge(row.queue, row.shape, self.now_ms, row.end_ms)
        self._pools[pool_id].state.release(run_id)
        attempt = int(run_id.rpartition(".")[2]) + 1
        staged = self._staging_ms(row.shape, pool_id)
        length = max(1, row.end_ms - row.started_ms - staged) if row.end_ms < FAR else 0
        again = WaitingRow(
            order_ms=self.now_ms,
            submitted_ms=self.now_ms,
            id_length=len(row.workload_id),
            workload_id=row.workload_id,
            attempt=attempt,
            shape=row.shape,
            queue=row.queue,
            priority=row.priority,
            estimated_ms=length,
        )
        self._waiting.add(again)
        self._changed = True

    def _waiting_row(self, workload_id: str) -> WaitingRow:
        row = self._waiting.row(workload_id)
        assert row is not None, "the table lists who waits"
        return row


@dataclass(frozen=True, slots=True)
class _Clock:
    world: World

    def now_ms(self) -> int:
        return self.world.now_ms
