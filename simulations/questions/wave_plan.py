"""What does a wave plan do to the pools? Each system becomes a service that runs from its cutover on.

`xisuan sim waves` calls `wave_impact` with a plan and what its systems need. The scenario's own trace runs beside
them, once with the plan and once without, so that its waiting shows what the migration costs those who are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.engine.outcome import DIMENSIONS, Int32s, Int64s, Outcome
from simulations.scenarios.cell import Cell
from simulations.scenarios.fields import DAY
from simulations.traces.trace import Trace, TraceColumns, strings

SERVICES = "migration"  # the queue of the systems that were migrated
_AFTERWARDS = 7 * DAY


@dataclass(frozen=True, slots=True)
class Landing:
    """A system that is cut over in `wave` at `at_ms` (since the first day of the plan) and runs from then on."""

    system_key: str
    wave: int
    at_ms: int
    requirements: Requirements


@dataclass(frozen=True, slots=True)
class WaveEffect:
    """The pools a day after the wave: `shares` is the dominant allocated share of each pool (0..1), by pool id.
    `started` and `waiting` count the wave's systems; `nowhere` fit into no pool that they may use, even empty."""

    wave: int
    at_ms: int
    started: int
    waiting: int
    nowhere: int
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class WaveImpact:
    """`before` are the pools' shares without the plan, at the end. `wait_p95` in seconds, of the scenario's own jobs,
    without and with the plan (None: it has none)."""

    before: dict[str, float]
    waves: tuple[WaveEffect, ...]
    wait_p95: tuple[float, float] | None
    stuck: tuple[str, ...]


def wave_impact(cell: Cell, landings: Sequence[Landing]) -> WaveImpact:
    """`cell` gives pools, policy and the trace beside. Raises ScenarioError or TraceError for what cannot be used."""
    if not landings:
        raise ValueError("计划里没有任何系统 / the plan has no systems; plan first")
    trace, ready = cell.trace(), replace(cell.prepare(), counts_unplaceable=True)
    last = max(landing.at_ms for landing in landings) + _AFTERWARDS
    until = max(last, int(trace.submitted_ms[-1]) if len(trace) else 0)
    ready = replace(ready, settings=replace(ready.settings, until_ms=until))
    without = ready.simulate(trace)
    together, position = _beside(trace, landings, until)
    outcome = ready.simulate(together)
    first = _first_starts(outcome)
    nowhere = set(outcome.unplaceable.tolist())
    effects = []
    for wave in sorted({landing.wave for landing in landings}):
        mine = [at for at, landing in enumerate(landings) if landing.wave == wave]
        at_ms = max(landings[at].at_ms for at in mine)
        jobs = [position[at] for at in mine]
        started = int((first[jobs] <= at_ms + DAY).sum())
        lost = sum(job in nowhere for job in jobs)
        shares = pool_shares(outcome, min(at_ms + DAY, until))
        effects.append(WaveEffect(wave, at_ms, started, len(jobs) - started - lost, lost, shares))
    stuck = tuple(landing.system_key for at, landing in enumerate(landings) if first[position[at]] > until)
    waits = (_wait_p95(without), _wait_p95(outcome, position)) if len(trace) else None
    return WaveImpact(pool_shares(without, until), tuple(effects), waits, stuck)


def pool_shares(outcome: Outcome, at_ms: int) -> dict[str, float]:
    """The largest allocated share of CPU, memory, disk or cards of each pool at one moment."""
    totals = np.array([_vector(shape) for shape in outcome.trace.shapes], dtype=np.int64).reshape(-1, DIMENSIONS)
    runs, steps = outcome.runs, outcome.capacity
    running = (runs.started_ms <= at_ms) & (runs.ended_ms >= at_ms)
    shares: dict[str, float] = {}
    for number, pool in enumerate(outcome.pools):
        held = totals[outcome.trace.shape[runs.job[running & (runs.pool == number)]]].sum(axis=0)
        offered = steps.offered[(steps.pool == number) & (steps.at_ms <= at_ms)][-1]
        there = offered > 0
        shares[pool.pool_id] = float((held[there] / offered[there]).max(initial=0.0))
    return shares


def _vector(shape: Shape) -> tuple[int, int, int, int]:
    total = shape.total
    return total.cpu_milli, total.memory_bytes, total.disk_bytes, total.accelerator_milli


def _beside(trace: Trace, landings: Sequence[Landing], until: int) -> tuple[Trace, list[int]]:
    """The trace with the systems in it, and where each of them stands. A system goes before whoever waits."""
    columns, count = trace.columns(), len(landings)
    ids = [f"system:{at}:{landing.system_key}" for at, landing in enumerate(landings)]
    highest = int(trace.priority.max(initial=0)) + 1

    def longer(column: Int64s | None, more: Sequence[int]) -> Int64s:
        mine = columns.times(column)
        return np.concatenate([mine, np.array(more, dtype=mine.dtype)])

    def wider(column: Int32s | None, more: Sequence[int]) -> Int32s:
        return np.concatenate([columns.positions(column), np.array(more, dtype=np.int32)])

    merged = Trace.of(
        trace.name,
        TraceColumns(
            job_ids=strings([*trace.job_ids.tolist(), *ids]),
            submitted_ms=longer(columns.submitted_ms, [landing.at_ms for landing in landings]),
            runtime_ms=longer(columns.runtime_ms, [2 * until + DAY] * count),
            estimate_ms=longer(columns.estimate_ms, [0] * count),
            deadline_ms=longer(columns.deadline_ms, [0] * count),
            shape=wider(columns.shape, range(len(trace.shapes), len(trace.shapes) + count)),
            shapes=[*trace.shapes, *(Shape(landing.requirements) for landing in landings)],
            queue=wider(columns.queue, [len(trace.queues)] * count),
            queues=[*trace.queues, SERVICES],
            user=wider(columns.user, [len(trace.users)] * count),
            users=[*trace.users, SERVICES],
            priority=wider(columns.priority, [highest] * count),
        ),
        origin_ms=trace.origin_ms,
        notes=trace.notes,
    )
    where = {name: at for at, name in enumerate(merged.job_ids.tolist())}
    return merged, [where[name] for name in ids]


def _first_starts(outcome: Outcome) -> Int64s:
    """When each job first began; later than everything for one that never did."""
    first = np.full(len(outcome.trace), np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(first, outcome.runs.job, outcome.runs.started_ms)
    return first


def _wait_p95(outcome: Outcome, services: Sequence[int] = ()) -> float:
    """Of the scenario's own jobs: what has not begun has waited until the end. In seconds."""
    first = np.minimum(_first_starts(outcome), outcome.ended_ms)
    own = np.ones(len(outcome.trace), dtype=np.bool_)
    own[list(services)] = False
    own[outcome.unplaceable] = False
    waited = (first - outcome.trace.submitted_ms)[own]
    return float(np.quantile(waited, 0.95, method="higher")) / 1000 if len(waited) else 0.0
