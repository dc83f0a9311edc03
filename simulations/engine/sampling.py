"""What is looked at now and then while a simulation runs, because it cannot be told from its runs afterwards.

`simulations.engine.simulation` offers every moment after its scheduling cycle; at most `SAMPLES` of them, spread over
the time in which jobs arrive, are taken. Later moments are not: a cluster that empties says nothing about placement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scheduler.core.placement.policies.demand import Demand, most_of
from scheduler.core.placement.policies.shape import TaskShape
from scheduler.core.placement.pool_arrays import task_shape
from simulations.engine.site import SimulatedPool
from simulations.metrics.fragmentation import FragmentationSamples
from simulations.traces.trace import Trace

SAMPLES = 256


class FragmentationSampler:
    """Samples the fragmentation of every pool that has cards, against the typical tasks of the whole trace."""

    def __init__(self, trace: Trace, site: Sequence[SimulatedPool]) -> None:
        """No sample is taken where no pool has cards, or no job comes."""
        self._demand = _demand_of(trace)
        self._pools = [(number, pool) for number, pool in enumerate(site) if _cards(pool)]
        first, self._last_ms = (int(trace.submitted_ms[at]) for at in (0, -1)) if len(trace) else (0, -1)
        self._every_ms = max(1, (self._last_ms - first) // SAMPLES)
        self._due_ms = first if self._pools and self._demand.total else self._last_ms + 1
        self._taken: list[tuple[int, int, float, int]] = []

    def look(self, now_ms: int) -> None:
        """The state as it is after what happened at this moment."""
        if now_ms < self._due_ms or self._due_ms > self._last_ms:
            return
        # The next sample is due from the next multiple on, so that rare moments are not made up for.
        self._due_ms += ((now_ms - self._due_ms) // self._every_ms + 1) * self._every_ms
        for number, pool in self._pools:
            if pool.is_up:
                stranded = pool.state.arrays().fragmentation_for(self._demand) / self._demand.total
                self._taken.append((now_ms, number, stranded, _cards(pool)))

    def samples(self) -> FragmentationSamples | None:
        """None where nothing was sampled."""
        if not self._taken:
            return None
        at_ms, pool, stranded, offered = zip(*self._taken, strict=True)
        return FragmentationSamples(
            at_ms=np.array(at_ms, dtype=np.int64),
            pool=np.array(pool, dtype=np.int32),
            stranded_milli=np.array(stranded, dtype=np.float64),
            offered_milli=np.array(offered, dtype=np.int64),
        )


def _cards(pool: SimulatedPool) -> int:
    """Milli-cards on nodes that take new runs."""
    open_nodes, _ = pool.state.arrays().table.sums
    return int(open_nodes[2])


def _demand_of(trace: Trace) -> Demand:
    """The typical tasks of a trace: each shape counts as often as its jobs have tasks."""
    jobs = np.bincount(trace.shape, minlength=len(trace.shapes)).tolist()
    counts: Counter[TaskShape] = Counter()
    for shape, count in zip(trace.shapes, jobs, strict=True):
        counts[replace(task_shape(shape.requirements), memory=0)] += count * shape.requirements.tasks
    return most_of(counts)
