"""The engine: a virtual clock over arrivals, departures, outages and prices, and `scheduler.cycle` at its moments.

Scenarios, portfolios and questions call `simulate`. The order within one moment: ends of runs, then pools and nodes
that come back, announcements, outages, prices and reservations, then arrivals, then one scheduling cycle. Runs begin
in that cycle, and so do runs that a preemption makes room for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from typing import NamedTuple

import numpy as np

from scheduler.core.placement.policies.registry import PolicyStack
from scheduler.core.placement.protocol import NodeBatch
from scheduler.core.queueing.moving import RunMove
from scheduler.core.queueing.plan import Granted, Plan
from scheduler.core.queueing.queues import QueueSpec
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.running import FAR
from scheduler.core.timeline import Timeline
from scheduler.cycle import CycleSettings, PoolMemory, run_cycle
from simulations.engine.outcome import Ending, Int64s, Outcome, OutcomeLog
from simulations.engine.ports import Books, SitePools, SiteState, StartingSink, VirtualClock
from simulations.engine.sampling import FragmentationSampler
from simulations.engine.site import PoolPlan, build_site
from simulations.failures import Outage
from simulations.traces.trace import Trace

# The order of events of one moment.
_END, _RETURN, _NOTICE, _LEAVE, _TARIFF, _CALENDAR = range(6)
# Cycles of one moment: a preemption makes room for the next one. More than these wait for the next event.
_ROUNDS = 16
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`granularity_ms`: at most one scheduling cycle in so many milliseconds of virtual time; 0: one at every
    moment at which something happens. `until_ms` ends the simulation (None: when the last job has ended).
    `checkpoint_ms`: a run that is interrupted keeps its work up to the last whole multiple of this (0: nothing).
    `nodes` chooses the nodes within a pool (None: what pools do by default).
    """

    cycle: CycleSettings = field(default_factory=CycleSettings)
    nodes: PolicyStack | None = None
    granularity_ms: int = 0
    until_ms: int | None = None
    checkpoint_ms: int = 0


@dataclass(frozen=True, slots=True)
class SimulationInput:
    """What a simulation depends on besides the trace and its settings. Queues that are not named have weight 1;
    `half_life_ms`: how long ago use counts half as much in fair shares (0: only present use)."""

    pools: tuple[PoolPlan, ...]
    outages: tuple[Outage, ...] = ()
    queues: tuple[QueueSpec, ...] = ()
    half_life_ms: int = 0
    reservations: tuple[Reservation, ...] = ()


def simulate(
    trace: Trace, given: SimulationInput, settings: EngineSettings, progress: Progress | None = None
) -> Outcome:
    """Runs to the end; deterministic. `progress(n)` is told now and then how many jobs have arrived.

    Raises ValueError for a pool or queue that is given twice, or queues whose quotas contradict each other.
    """
    return _Simulation(trace, given, settings, progress).run()


class _Running(NamedTuple):
    """A run under way: its id, job and pool, and (where nodes may fail) its nodes."""

    run_id: str
    job: int
    pool: int
    nodes: tuple[str, ...] = ()


class _Simulation:
    def __init__(
        self, trace: Trace, given: SimulationInput, settings: EngineSettings, progress: Progress | None
    ) -> None:
        self._trace = trace
        self._given = given
        self._settings = settings
        self._progress = progress
        self._site = build_site(given.pools, settings.nodes, settings.cycle.seed)
        self._pool_ids = [pool.pool.pool_id for pool in self._site]
        self._books = Books(trace, given.queues, given.half_life_ms)
        self._remaining: Int64s = trace.runtime_ms.copy()
        self._running: dict[int, _Running] = {}  # by the run's number in the log
        self._keeps_nodes = bool(given.outages)
        self._log = OutcomeLog()
        self._sampler = FragmentationSampler(trace, self._site)
        first = int(trace.submitted_ms[0]) if len(trace) else 0
        self._began_ms = min([first, *(outage.from_ms for outage in given.outages)])
        self._clock = VirtualClock(self._began_ms)
        self._timeline: Timeline[int | tuple[int, Outage | int]] = Timeline(self._began_ms)
        self._ended: dict[int, list[str]] = {}  # runs that ended and whose room is not given back yet, by pool
        self._cycles = 0
        self._is_changed = False  # has anything happened since the last cycle that could let a job start
        self._state = SiteState(self._books, self._site, self._clock, given.reservations)
        self._ports = SitePools(dict(zip(self._pool_ids, self._site, strict=True)))
        self._memory = PoolMemory()
        self._sink = StartingSink(self._carry_out)

    def run(self) -> Outcome:
        unplaceable = self._unplaceable()
        for number in range(len(self._site)):
            self._note_capacity(number, self._began_ms)
        self._plan_events()
        arrivals = np.delete(np.arange(len(self._trace)), unplaceable)
        submitted = self._trace.submitted_ms[arrivals]
        until = self._settings.until_ms
        arrived, coming = 0, len(arrivals)
        earliest = self._began_ms  # of the next cycle
        while True:
            moment = self._timeline.next_ms()
            if arrived < coming:
                arrival = int(submitted[arrived])
                # While nobody waits, ends of runs change nothing that anybody looks at before the next arrival.
                is_idle = not self._keeps_nodes and not len(self._books.waiting)
                moment = arrival if moment is None or is_idle else min(moment, arrival)
            if moment is None or (arrived == coming and not len(self._books.waiting) and not self._running):
                break
            moment = max(moment, earliest)
            if until is not None and moment > until:
                self._advance(until)
                break
            self._advance(moment)
            now_arrived = int(np.searchsorted(submitted, moment, side="right"))
            if now_arrived > arrived:
                self._arrive(arrivals[arrived:now_arrived])
                arrived = now_arrived
            if self._is_changed and len(self._books.waiting):
                self._schedule()
                earliest = moment + self._settings.granularity_ms
            self._sampler.look(moment)
        return self._outcome(unplaceable)

    # What happens by itself

    def _plan_events(self) -> None:
        for outage in self._given.outages:
            notice = max(self._began_ms, outage.from_ms - outage.notice_ms)
            self._timeline.add(notice, _NOTICE, (_NOTICE, outage))
            self._timeline.add(outage.from_ms, _LEAVE, (_LEAVE, outage))
            if outage.until_ms is not None:
                self._timeline.add(outage.until_ms, _RETURN, (_RETURN, outage))
        for number, pool in enumerate(self._site):
            power = pool.plan.power
            if not (power.price_kwh.is_constant and power.carbon.is_constant):
                self._timeline.add(self._began_ms, _TARIFF, (_TARIFF, number))
        for reservation in self._given.reservations:
            for at_ms in (reservation.start_ms, reservation.until_ms):
                if self._began_ms <= at_ms < FAR:
                    self._timeline.add(at_ms, _CALENDAR, (_CALENDAR, 0))

    def _arrive(self, jobs: Int64s) -> None:
        self._books.waiting.add(jobs)
        self._is_changed = True
        if self._progress is not None:
            self._progress(int(jobs[-1]) + 1)

    def _advance(self, moment: int) -> None:
        """Everything up to and including this moment."""
        timeline, running = self._timeline, self._running
        runs: list[int] = []  # that ended, and are not told to the books yet
        ended_ms: list[int] = []
        while (at_ms := timeline.next_ms()) is not None and at_ms <= moment:
            for at_ms, event in timeline.take_until(moment):
                if isinstance(event, int):
                    if event in running:  # else it was interrupted before
                        runs.append(event)
                        ended_ms.append(at_ms)
                    continue
                kind, about = event
                if isinstance(about, Outage):
                    self._end(runs, ended_ms, Ending.FINISHED)
                    runs, ended_ms = [], []
                    self._change_nodes(kind, about, at_ms)
                elif kind == _TARIFF:
                    self._change_tariff(about, moment)
                self._is_changed = True
        self._end(runs, ended_ms, Ending.FINISHED)
        self._give_back()
        self._clock.moment_ms = moment

    def _end(self, runs: Sequence[int], at_ms: Sequence[int], ending: Ending) -> None:
        """Each of these runs ended at its moment. Their room is given back by `_give_back`."""
        if not runs:
            return
        of = [self._running.pop(run) for run in runs]
        numbers, ended_ms = np.array(runs, dtype=np.int64), np.array(at_ms, dtype=np.int64)
        self._books.end([run.run_id for run in of], ended_ms)
        kept = ended_ms - self._log.started_ms(numbers)
        if ending is not Ending.FINISHED:
            step = self._settings.checkpoint_ms
            kept = kept // step * step if step else np.zeros_like(kept)
            for run, kept_ms in zip(of, kept.tolist(), strict=True):
                self._remaining[run.job] -= kept_ms
                self._books.wait_again(run.job, kept_ms)
        self._log.end_all(numbers, ended_ms, ending, kept)
        for run in of:
            self._ended.setdefault(run.pool, []).append(run.run_id)
        self._is_changed = True

    def _give_back(self) -> None:
        """The room of all runs that ended, in one call a pool."""
        for pool, run_ids in self._ended.items():
            self._site[pool].state.release(*run_ids)
        self._ended.clear()

    def _change_nodes(self, kind: int, outage: Outage, at_ms: int) -> None:
        pool = self._site[outage.pool]
        if kind == _NOTICE:
            pool.announce(outage)
            return
        if kind == _RETURN:
            pool.come_back(outage)
        else:
            node = None if outage.node is None else pool.plan.nodes[outage.node].node_id
            hit = [
                number
                for number, run in self._running.items()
                if run.pool == outage.pool and (node is None or node in run.nodes)
            ]
            self._end(hit, [at_ms] * len(hit), outage.cause)
            self._give_back()
            pool.leave(outage)
        self._note_capacity(outage.pool, at_ms)

    def _change_tariff(self, number: int, at_ms: int) -> None:
        later = self._site[number].tariff_at(at_ms)
        if later is not None:
            self._timeline.add(later, _TARIFF, (_TARIFF, number))

    def _note_capacity(self, number: int, at_ms: int) -> None:
        nodes, offered = self._site[number].offered()
        self._log.step(at_ms, number, nodes, offered)

    # What the scheduler does

    def _schedule(self) -> None:
        """Cycles until a window was looked at to its end and no preemption has made room any more."""
        for _ in range(_ROUNDS):
            self._is_changed = False
            self._cycles += 1
            report = run_cycle(
                self._state, self._ports, self._sink, self._clock, self._settings.cycle, self._memory
            )
            self._is_changed |= report.is_cut_short
            if not self._is_changed or not len(self._books.waiting):
                return

    def _carry_out(self, plan: Plan) -> None:
        for chunk in plan.placements.granted:
            self._start(chunk)
        if plan.preemptions:
            stopped = {preemption.run_id for preemption in plan.preemptions}
            numbers = [number for number, run in self._running.items() if run.run_id in stopped]
            self._end(numbers, [self._clock.moment_ms] * len(numbers), Ending.PREEMPTED)
        for move in plan.moves:
            self._move(move)
        self._give_back()

    def _move(self, move: RunMove) -> None:
        """The run ends, and its job begins again at once on the node that was found for it. It has its new place before
        the old one is given back, as the moves were planned."""
        now_ms = self._clock.moment_ms
        number = next(number for number, run in self._running.items() if run.run_id == move.run_id)
        moved = self._running[number]
        state, job = self._site[moved.pool].state, np.array([moved.job], dtype=np.int64)
        asked = state.held.requirements(move.run_id)
        self._end([number], [now_ms], Ending.MOVED)
        attempt = self._books.jobs.attempt[job]
        run_id = f"{moved.job}.{attempt[0]}"
        state.adopt(run_id, asked, (move.to_node,), (move.cards,))
        self._begin(job, [run_id], moved.pool, [(move.to_node,)] if self._keeps_nodes else repeat(()))

    def _start(self, chunk: Granted) -> None:
        """The runs that one pool granted."""
        jobs = self._state.window.jobs[chunk.rows]
        nodes: Iterable[tuple[str, ...]] = repeat(())
        if self._keeps_nodes:
            nodes = map(chunk.answers.nodes_of, chunk.turn.tolist())
        self._begin(jobs, chunk.run_ids, chunk.pool, nodes)

    def _begin(self, jobs: Int64s, run_ids: Sequence[str], pool: int, nodes: Iterable[tuple[str, ...]]) -> None:
        now_ms = self._clock.moment_ms
        self._books.start(jobs, run_ids, self._pool_ids[pool], now_ms)
        first = self._log.start_all(jobs, self._books.jobs.attempt[jobs], pool, now_ms)
        ends, add = (now_ms + self._remaining[jobs]).tolist(), self._timeline.add
        runs = map(_Running, run_ids, jobs.tolist(), repeat(pool), nodes)
        for number, run, end_ms in zip(count(first), runs, ends, strict=False):
            self._running[number] = run
            add(end_ms, _END, number)

    # The edges

    def _unplaceable(self) -> Int64s:
        """Positions of jobs whose shape fits into no pool while all nodes are up and empty: the filters and the pools
        themselves are asked."""
        shapes = self._trace.shapes
        fits = np.array([self._fits_empty(number) for number in range(len(shapes))], dtype=np.bool_)
        return np.flatnonzero(~fits[self._trace.shape]) if len(self._trace) else np.zeros(0, dtype=np.int64)

    def _fits_empty(self, number: int) -> bool:
        shape = self._trace.shapes[number]
        for pool in self._site:
            view = pool.view()
            if any(refuse(shape, view) is not None for refuse in self._settings.cycle.stack.declared_filters):
                continue
            granted = bool(pool.state.place(NodeBatch.of([("probe", shape.requirements)])).granted[0])
            pool.state.release("probe")
            if granted:
                return True
        return False

    def _outcome(self, unplaceable: Int64s) -> Outcome:
        ended_ms = max(self._clock.moment_ms, self._settings.until_ms or 0)
        return Outcome(
            trace=self._trace,
            pools=tuple(plan.pool for plan in self._given.pools),
            runs=self._log.runs(ended_ms),
            capacity=self._log.steps(),
            weights=tuple(self._weight(queue) for queue in self._trace.queues),
            unplaceable=unplaceable,
            began_ms=self._began_ms,
            ended_ms=ended_ms,
            cycles=self._cycles,
            fragmentation=self._sampler.samples(),
        )

    def _weight(self, queue: str) -> int:
        """The weight of the queue as defined; 1 for one that nobody defined."""
        return next((spec.weight for spec in self._given.queues if spec.path == queue), 1)
