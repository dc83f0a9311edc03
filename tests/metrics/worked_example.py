"""A simulation small enough to be worked out by hand: one pool of 10 CPUs on two nodes, four jobs, 100 seconds.

A  submitted  0, 40 s on 6 CPUs: runs  0-40
B  submitted  0, 30 s on 5 CPUs: runs 40-70
C  submitted 10, 20 s on 4 CPUs: runs 10-15, is preempted and loses all; runs 70-90
D  submitted 80, 50 s on 1 CPU:  runs 90-, and is cut when the simulation ends
"""

from __future__ import annotations

import numpy as np

from inventory.model.pool import Pool
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.engine.outcome import Ending, Outcome, OutcomeLog
from simulations.traces.trace import Trace, TraceColumns, strings

S = 1000


def a_pool(pool_id: str = "p", vcpu_hour_cny: float = 0.1) -> Pool:
    return Pool(
        pool_id=pool_id,
        name=pool_id,
        hub="",
        adapter="simulated",
        zones=frozenset(),
        protection_level=3,
        architectures=frozenset(),
        accelerator=None,
        cards=0,
        disk_bytes=0,
        one_way_ms=1.0,
        egress_gbps=1.0,
        pue=1.5,
        green_share=0.0,
        kwh_cny=1.0,
        card_hour_cny=None,
        vcpu_hour_cny=vcpu_hour_cny,
        classes=frozenset(),
    )


def jobs(deadlines_s: tuple[int, ...] = (40, 60, 200, 95)) -> Trace:
    return Trace.of(
        "worked",
        TraceColumns(
            job_ids=strings(["A", "B", "C", "D"]),
            submitted_ms=np.array([0, 0, 10, 80], dtype=np.int64) * S,
            runtime_ms=np.array([40, 30, 20, 50], dtype=np.int64) * S,
            deadline_ms=np.array(deadlines_s, dtype=np.int64) * S,
            shape=np.arange(4, dtype=np.int32),
            shapes=[Shape(Requirements(Resources(cpu_milli=cpus * 1000))) for cpus in (6, 5, 4, 1)],
            queue=np.array([0, 0, 1, 1], dtype=np.int32),
            queues=["first", "second"],
        ),
    )


def worked(trace: Trace | None = None) -> Outcome:
    log = OutcomeLog()
    log.step(0, 0, 2, Resources(cpu_milli=10_000))
    a = log.start(0, 1, 0, 0)
    c = log.start(2, 1, 0, 10 * S)
    log.end(c, 15 * S, Ending.PREEMPTED, 0)
    log.end(a, 40 * S, Ending.FINISHED, 40 * S)
    b = log.start(1, 1, 0, 40 * S)
    log.end(b, 70 * S, Ending.FINISHED, 30 * S)
    c = log.start(2, 2, 0, 70 * S)
    log.end(c, 90 * S, Ending.FINISHED, 20 * S)
    log.start(3, 1, 0, 90 * S)
    return Outcome(
        trace=trace or jobs(),
        pools=(a_pool(),),
        runs=log.runs(100 * S),
        capacity=log.steps(),
        weights=(1, 1),
        unplaceable=np.zeros(0, dtype=np.int64),
        began_ms=0,
        ended_ms=100 * S,
        cycles=5,
    )
