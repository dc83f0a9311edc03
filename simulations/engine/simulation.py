"""The engine: a virtual clock over arrivals, departures, outages and prices, and `scheduler.cycle` at its moments.

Scenarios, portfolios and questions call `simulate`. The order within one moment: ends of runs, then pools and nodes
that come back, outages and prices, then arrivals, then one scheduling cycle. Runs begin in that cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from inventory.model.placement import Placement
from inventory.model.units import Resources
from scheduler.core.placement.protocol import NodeBatch
from scheduler.core.timeline import Timeline
from scheduler.cycle import CycleSettings, run_cycle
from simulations.engine.outcome import Ending, Int64s, Outcome, OutcomeLog
from simulations.engine.ports import SitePools, StartingSink, VirtualClock, WaitingState
from simulations.engine.site import PoolPlan, build_site
from simulations.engine.waiting import WaitingJobs
from simulations.failures import Outage
from simulations.traces.trace import Trace

# The order of events of one moment.
_END, _RETURN, _NOTICE, _LEAVE, _PRICE = range(5)
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`granularity_ms`: at most one scheduling cycle in so many milliseconds of virtual time; 0: one at every
    moment at which something happens. `until_ms` ends the simulation (None: when the last job has ended).
    `checkpoint_ms`: a run that is interrupted keeps its work up to the last whole multiple of this (0: nothing).
    """

    cycle: CycleSettings = field(default_factory=CycleSettings)
    granularity_ms: int = 0
    until_ms: int | None = None
    checkpoint_ms: int = 0


@dataclass(frozen=True, slots=True)
class SimulationInput:
    """What a simulation depends on besides the trace and its settings. `weights` by queue name (default 1)."""

    pools: tuple[PoolPlan, ...]
    outages: tuple[Outage, ...] = ()
    weights: tuple[tuple[str, int], ...] = ()


def simulate(
    trace: Trace, given: SimulationInput, settings: EngineSettings, progress: Progress | None = None
) -> Outcome:
    """Runs to the end; deterministic. `progress(n)` is told now and then how many jobs have arrived.

    Raises ValueError for a pool that is given twice or a weight below 1.
    """
    return _Simulation(trace, given, settings, progress).run()


@dataclass(frozen=True, slots=True)
class _Running:
    """A run under way."""

    job: int
    pool: int
    run_id: str
    started_ms: int
    nodes: tuple[str, ...]


class _Simulation:
    def __init__(
        self, trace: Trace, given: SimulationInput, settings: EngineSettings, progress: Progress | None
    ) -> None:
        self._given = given
        self._settings = settings
        self._progress = progress
        self._trace = trace
        self._site = build_site(given.pools)
        self._position = {pool.pool.pool_id: i for i, pool in enumerate(self._site)}
        self._totals = [shape.total for shape in trace.shapes]
        self._shape = trace.shape.tolist()
        self._queue = trace.queue.tolist()
        self._remaining = trace.runtime_ms.tolist()
        self._waiting = WaitingJobs(trace.priority, trace.queue)
        self._usage = [Resources()] * len(trace.queues)
        self._running: dict[int, _Running] = {}
        self._log = OutcomeLog()
        first = int(trace.submitted_ms[0]) if len(trace) else 0
        self._began_ms = min([first, *(outage.from_ms for outage in given.outages)])
        self._clock = VirtualClock(self._began_ms)
        self._timeline: Timeline[int | tuple[int, Outage | int]] = Timeline(self._began_ms)
        self._ended: dict[int, list[str]] = {}  # runs that ended and whose room is not given back yet, by pool
        self._cycles = 0
        self._is_changed = False  # has anything happened since the last cycle that could let a job start
        weights = dict(given.weights)
        self._state = WaitingState(trace, self._waiting, self._site, self._usage, weights)
        self._ports = SitePools({pool.pool.pool_id: pool for pool in self._site})
        self._sink = StartingSink(self._start)

    def run(self) -> Outcome:
        unplaceable = self._set_aside_unplaceable()
        for number in range(len(self._site)):
            self._note_capacity(number)
        self._plan_events()
        arrivals = np.delete(np.arange(len(self._trace)), unplaceable)
        submitted = self._trace.submitted_ms[arrivals]
        until = self._settings.until_ms
        arrived, count = 0, len(arrivals)
        earliest = self._began_ms  # of the next cycle
        while True:
            moment = self._timeline.next_ms()
            if arrived < count:
                arrival = int(submitted[arrived])
                moment = arrival if moment is None else min(moment, arrival)
            if moment is None or (arrived == count and not self._waiting and not self._running):
                break
            moment = max(moment, earliest)
            if until is not None and moment > until:
                self._advance(until)
                break
            self._advance(moment)
            now_arrived = int(np.searchsorted(submitted, moment, side="right"))
            if now_arrived > arrived:
                self._waiting.add(arrivals[arrived:now_arrived].tolist())
                self._is_changed = True
                arrived = now_arrived
                if self._progress is not None:
                    self._progress(arrived)
            self._give_back()
            if self._waiting and self._is_changed:
                self._cycle(moment)
                earliest = moment + self._settings.granularity_ms
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
            if not pool.plan.power.price_kwh.is_constant:
                self._timeline.add(self._began_ms, _PRICE, (_PRICE, number))

    def _advance(self, moment: int) -> None:
        """Everything up to and including this moment."""
        while (at_ms := self._timeline.next_ms()) is not None and at_ms <= moment:
            event = self._timeline.take()
            if isinstance(event, int):
                self._end(event, at_ms, Ending.FINISHED)
                continue
            kind, about = event
            if isinstance(about, Outage):
                self._change_nodes(kind, about, at_ms)
            else:
                self._change_price(about, at_ms)
            self._is_changed = True
        self._clock.moment_ms = moment

    def _end(self, run: int, at_ms: int, ending: Ending) -> None:
        running = self._running.pop(run, None)
        if running is None:
            return  # it was interrupted before
        job, elapsed = running.job, at_ms - running.started_ms
        kept = elapsed
        if ending is not Ending.FINISHED:
            step = self._settings.checkpoint_ms
            kept = elapsed // step * step if step else 0
            self._remaining[job] -= kept
            self._waiting.add((job,))
        self._log.end(run, at_ms, ending, kept)
        queue = self._queue[job]
        self._usage[queue] = self._usage[queue] - self._totals[self._shape[job]]
        self._ended.setdefault(running.pool, []).append(running.run_id)
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
                run
                for run, running in self._running.items()
                if running.pool == outage.pool and (node is None or node in running.nodes)
            ]
            for run in hit:
                self._end(run, at_ms, outage.cause)
            self._give_back()
            pool.leave(outage)
        self._note_capacity(outage.pool, at_ms)

    def _change_price(self, number: int, at_ms: int) -> None:
        pool = self._site[number]
        pool.price_at(at_ms)
        later = pool.plan.power.price_kwh.next_change_ms(at_ms)
        if later is not None:
            self._timeline.add(later, _PRICE, (_PRICE, number))

    def _note_capacity(self, number: int, at_ms: int | None = None) -> None:
        nodes, offered = self._site[number].offered()
        self._log.step(self._began_ms if at_ms is None else at_ms, number, nodes, offered)

    # What the scheduler does

    def _cycle(self, moment: int) -> None:
        self._is_changed = False
        self._cycles += 1
        run_cycle(self._state, self._ports, self._sink, self._clock, self._settings.cycle)

    def _start(self, placements: Sequence[Placement]) -> None:
        now_ms = self._clock.moment_ms
        jobs = []
        for placement in placements:
            job, pool = int(placement.workload_id), self._position[placement.pool_id]
            run = self._log.start(job, placement.attempt, pool, now_ms)
            self._running[run] = _Running(job, pool, placement.run_id, now_ms, placement.nodes)
            self._state.attempts[job] = placement.attempt
            queue = self._queue[job]
            self._usage[queue] = self._usage[queue] + self._totals[self._shape[job]]
            self._timeline.add(now_ms + self._remaining[job], _END, run)
            jobs.append(job)
        self._waiting.remove(jobs)

    # The edges

    def _set_aside_unplaceable(self) -> Int64s:
        """Positions of jobs whose shape fits into no pool while all nodes are up and empty: asked of the pools
        themselves, through one cycle a shape that commits nothing."""
        shapes = self._trace.shapes
        fits = np.array([self._fits_empty(number) for number in range(len(shapes))], dtype=np.bool_)
        return np.flatnonzero(~fits[self._trace.shape]) if len(self._trace) else np.zeros(0, dtype=np.int64)

    def _fits_empty(self, number: int) -> bool:
        shape = self._trace.shapes[number]
        for pool in self._site:
            view = pool.view()
            if any(refuse(shape, view) is not None for refuse in self._settings.cycle.stack.declared_filters):
                continue
            batch = NodeBatch(["probe"], np.zeros(1, dtype=np.int32), (shape.requirements,))
            granted = bool(pool.state.place(batch).granted[0])
            pool.state.release("probe")
            if granted:
                return True
        return False

    def _outcome(self, unplaceable: Int64s) -> Outcome:
        ended_ms = max(self._clock.moment_ms, self._settings.until_ms or 0)
        weights = dict(self._given.weights)
        return Outcome(
            trace=self._trace,
            pools=tuple(plan.pool for plan in self._given.pools),
            runs=self._log.runs(ended_ms),
            capacity=self._log.steps(),
            weights=tuple(weights.get(queue, 1) for queue in self._trace.queues),
            unplaceable=unplaceable,
            began_ms=self._began_ms,
            ended_ms=ended_ms,
            cycles=self._cycles,
        )
